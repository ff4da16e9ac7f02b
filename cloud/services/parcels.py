"""Messages of gateways, taken apart: what each one is, or why it is nothing."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from cloud.domain.catalogs import Refused, open_catalog
from cloud.domain.entries import (
    BatchHeader,
    check,
    check_session,
    open_header,
    tame,
)
from common import topics
from common.errors import Undecodable
from common.ids import check_key
from common.messages.batch import Batch, Lost
from common.messages.batch import unpack as unpack_batch
from common.messages.envelope import decode, encode
from common.messages.uplink import Body, Catalog, Hello, Status, decode_body


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came from the broker."""

    topic: str
    payload: bytes
    received_at_ms: int


@dataclass(frozen=True, slots=True)
class OpenEntry:
    """A journal entry: its body, or the reason why it can never be stored.

    ``refused`` is what cannot be taken of a catalog; it is not in the body. ``appended_at`` is when
    the gateway wrote it down, by its own clock; None when that is not known.
    """

    seq: int
    raw: bytes
    body: Body | None
    reason: str
    refused: tuple[Refused, ...] = ()
    appended_at: int | None = None


@dataclass(frozen=True, slots=True)
class BatchParcel:
    """Entries first..last: readings in the columns of ``batch``, all other ones in ``entries``.

    ``batch.others`` is not looked at any more. For a batch that cannot be read, each entry is
    rejected by its number. ``is_part``: of a message that is taken entry by entry.
    """

    source: Received
    gateway: str
    batch: Batch
    entries: tuple[OpenEntry, ...]
    quarantine: str = ""
    is_part: bool = False

    @property
    def stream(self) -> str:
        return self.batch.stream

    @property
    def first(self) -> int:
        return self.batch.first

    @property
    def last(self) -> int:
        return self.batch.last

    @property
    def count(self) -> int:
        """How many entries there are, lost ones left out."""
        return len(self.entries) + len(self.batch.seqs)


@dataclass(frozen=True, slots=True)
class HelloParcel:
    source: Received
    gateway: str
    hello: Hello


@dataclass(frozen=True, slots=True)
class StatusParcel:
    source: Received
    gateway: str
    status: Status


@dataclass(frozen=True, slots=True)
class BadParcel:
    """A message that nothing can be done with but keeping it."""

    source: Received
    reason: str


Parcel = BatchParcel | HelloParcel | StatusParcel | BadParcel


def unpack(message: Received, now_ms: int) -> Parcel:
    """What ``message`` is. Raises nothing."""
    try:
        gateway, _, leaf = topics.parse(message.topic)
        match leaf:
            case "hello":
                return _hello(message, gateway)
            case "status":
                return _status(message, gateway, now_ms)
            case "journal":
                return _batch(message, gateway, now_ms)
            case _:
                return BadParcel(message, "a message to a gateway, not from one")
    except Undecodable as error:
        return BadParcel(message, str(error))


def _hello(message: Received, gateway: str) -> HelloParcel:
    hello = decode(message.payload, Hello)
    check_session(hello.boot, hello.session)
    check_key(hello.site, "site")
    return HelloParcel(message, gateway, hello)


def _status(message: Received, gateway: str, now_ms: int) -> StatusParcel:
    status = decode(message.payload, Status)
    check_session(status.boot, status.session)
    return StatusParcel(message, gateway, tame(status, now_ms))


def _batch(message: Received, gateway: str, now_ms: int) -> BatchParcel:
    try:
        batch = unpack_batch(message.payload)
    except Undecodable as error:
        header = open_header(message.payload)
        if header is None:
            raise
        return _unreadable(message, gateway, header, str(error))
    entries = tuple(
        open_entry(other.seq, bytes(other.body), now_ms, other.at) for other in batch.others
    )
    return BatchParcel(message, gateway, batch, entries)


def open_entry(seq: int, raw: bytes, now_ms: int, appended_at: int | None = None) -> OpenEntry:
    """The entry whose body is ``raw``. Raises nothing."""
    body, reason = None, ""
    try:
        body = decode_body(raw)
        check(body, now_ms)
    except Undecodable as error:
        reason = str(error)
    if (isinstance(body, Catalog) or reason) and (opened := open_catalog(raw)):
        catalog, refused = opened
        return OpenEntry(seq, raw, catalog, "", refused, appended_at)
    return OpenEntry(seq, raw, None if reason else body, reason, appended_at=appended_at)


def catalog_numbers(catalog: Catalog) -> set[int]:
    """The numbers that the catalog gives a meaning."""
    return {register.no for device in catalog.devices for register in device.registers}


def coming_numbers(entries: Iterable[OpenEntry]) -> set[int]:
    """The numbers that catalogs among ``entries`` say something about."""
    coming: set[int] = set()
    for entry in entries:
        if isinstance(entry.body, Catalog):
            coming |= catalog_numbers(entry.body)
            coming |= {refused.no for refused in entry.refused}
    return coming


def _unreadable(message: Received, gateway: str, header: BatchHeader, reason: str) -> BatchParcel:
    entries = tuple(
        OpenEntry(seq, b"", None, reason) for seq in range(header.first, header.last + 1)
    )
    batch = Batch(header.stream, header.first, header.last)
    return BatchParcel(message, gateway, batch, entries, quarantine=reason)


def split(parcel: BatchParcel) -> list[BatchParcel]:
    """The batch as batches of one entry each, and one for each range that is lost."""
    batch = parcel.batch

    def part(
        first: int, last: int, entries: tuple[OpenEntry, ...], lost: list[Lost]
    ) -> BatchParcel:
        only = replace(batch.only(range(first, last + 1).__contains__), lost=lost)
        return BatchParcel(
            parcel.source,
            parcel.gateway,
            replace(only, first=first, last=last),
            entries,
            is_part=True,
        )

    parts = [part(entry.seq, entry.seq, (entry,), []) for entry in parcel.entries]
    parts += [part(seq, seq, (), []) for seq in batch.seqs]
    parts += [part(lost.first, lost.last, (), [lost]) for lost in batch.lost]
    return sorted(parts, key=by_stream)


def rejecting(parcel: BatchParcel, reason: str) -> BatchParcel:
    """The batch with every entry rejected for ``reason``."""
    entries = [OpenEntry(e.seq, e.raw, None, e.reason or reason) for e in parcel.entries]
    entries += [OpenEntry(seq, encode(body), None, reason) for seq, body in parcel.batch.readings()]
    batch = Batch(parcel.stream, parcel.first, parcel.last, lost=parcel.batch.lost)
    return BatchParcel(parcel.source, parcel.gateway, batch, tuple(entries))


def by_stream(parcel: BatchParcel) -> tuple[str, str, int]:
    """Sort key: a stream's batches in the order of their numbers."""
    return (parcel.gateway, parcel.stream, parcel.first)
