"""Takes the messages that are kept apart once more, and compares with what is stored.

What is stored is never changed: a reading that is missing is put in when that is wanted, one that
is otherwise is only counted. An entry counts once, however often it came.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from cloud.domain.consumption import HOUR_MS
from cloud.services.journal import MAX_SALVAGES
from cloud.services.messages import Names, names_of, sender, take_apart
from cloud.services.parcels import BatchParcel, OpenEntry, open_entry
from cloud.services.points import Change
from cloud.storage.audit import AuditRow
from cloud.storage.messages import MessageRow
from cloud.storage.readings import ReadingRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.messages.envelope import encode
from common.messages.uplink import Readings, Salvaged
from common.ranges import RangeSet

SUBJECT = "messages"
"""Of the audit trail's lines about messages that were taken apart again."""

MESSAGES = 20
"""In one transaction: ingest waits for it where it is the same gateway's."""


class Found(StrEnum):
    """What a reading of a message is, beside what is stored."""

    SAME = "same"
    MISSING = "missing"
    DIFFERENT = "different"
    TOO_OLD = "too old"  # older than what is kept: whether it was stored is not known any more


@dataclass(slots=True)
class Decoded:
    """What was found, by device and register; ``unreadable`` messages, and readings whose number
    names nothing. ``stored``: how many of the missing were put in."""

    messages: int = 0
    unreadable: int = 0
    nameless: int = 0
    stored: int = 0
    registers: dict[tuple[str, str], Counter[Found]] = field(
        default_factory=lambda: defaultdict(Counter)
    )


def decode_again(
    store: Store, gateway_id: int, start_ms: int, end_ms: int, change: Change | None = None
) -> Decoded:
    """Compare the gateway's messages received from ``start_ms`` to before ``end_ms``; with a
    ``change``, put in the readings that are missing. Raises NotFound."""
    result = Decoded()
    with store.read() as uow:
        sender(uow, gateway_id)
    seen: dict[str, RangeSet] = defaultdict(RangeSet)
    after = None
    while True:
        with store.read() as uow:
            rows = uow.messages.of(gateway_id, start_ms, end_ms, MESSAGES, after)
        if not rows:
            break
        after = rows[-1].key
        readings = _Page(store, gateway_id, seen, result).readings(rows)
        if not change:
            with store.read() as uow:
                _compare(uow, readings, result, uow.kept.since().floor)
            continue

        def work(uow: UnitOfWork, new: _Readings = readings) -> tuple[Decoded, int]:
            uow.gateways.lock([gateway_id])
            page = Decoded()
            missing = _compare(uow, new, page, uow.kept.hold().floor)
            if missing:
                uow.readings.add(missing, change.now_ms)
                uow.rollups.add_marks({(row[0], row[1] - row[1] % HOUR_MS) for row in missing})
            return page, len(missing)

        page, stored = store.run(work)
        result.stored += stored
        for name, counts in page.registers.items():
            result.registers[name] += counts
    if change and result.stored:
        store.run(lambda uow: _note(uow, gateway_id, result.stored, change))
    return result


_Readings = list[tuple[tuple[str, str], ReadingRow]]
"""Each with the device and the register that it is of."""


class _Page:
    """Some messages, taken apart."""

    def __init__(
        self, store: Store, gateway_id: int, seen: dict[str, RangeSet], result: Decoded
    ) -> None:
        self._store = store
        self._gateway_id = gateway_id
        self._seen = seen
        self._result = result
        self._names: dict[str, Names] = {}

    def readings(self, rows: list[MessageRow]) -> _Readings:
        """The readings of entries that were in no message before."""
        found: _Readings = []
        with self._store.read() as uow:
            key = sender(uow, self._gateway_id)
            for row in rows:
                message = uow.messages.one(self._gateway_id, row.key)
                if row.kind != "journal" or message is None:
                    continue
                self._result.messages += 1
                parcel = take_apart(key, *message)
                if not isinstance(parcel, BatchParcel) or parcel.quarantine:
                    self._result.unreadable += 1
                    continue
                for stream, seq, body in _bodies(parcel):
                    if seq not in self._seen[stream]:
                        self._seen[stream].add(seq, seq)
                        found += self._named(uow, stream, body)
        return found

    def _named(self, uow: UnitOfWork, stream: str, body: Readings) -> _Readings:
        if stream not in self._names:
            self._names[stream] = names_of(uow, self._gateway_id, stream)
        found: _Readings = []
        for one in body.r:
            register = self._names[stream].get(one.no)
            if register is None:
                self._result.nameless += 1
                continue
            row = (register.register_id, body.at, one.value, one.quality, one.raw)
            found.append(((register.device, register.register), row))
        return found


def _bodies(parcel: BatchParcel) -> Iterator[tuple[str, int, Readings]]:
    """All readings of a batch that can be stored, with the stream and number of their entry."""
    at = parcel.source.received_at_ms
    for seq, body in parcel.batch.readings():
        entry = open_entry(seq, encode(body), at)
        yield from _of_entry(parcel.stream, entry, at)
    for entry in parcel.entries:
        yield from _of_entry(parcel.stream, entry, at)


def _of_entry(
    stream: str, entry: OpenEntry, at: int, depth: int = 0
) -> Iterator[tuple[str, int, Readings]]:
    body = entry.body
    if isinstance(body, Readings):
        yield stream, entry.seq, body
    elif isinstance(body, Salvaged) and depth < MAX_SALVAGES:
        inner = open_entry(body.seq, bytes(body.body), at)
        yield from _of_entry(body.stream, inner, at, depth + 1)


def _compare(uow: UnitOfWork, readings: _Readings, result: Decoded, floor: int) -> list[ReadingRow]:
    """Count what the readings are; returns those that are missing."""
    stored = uow.readings.stored([row for _, row in readings])
    known = {row[:2] for row in stored}
    missing: dict[tuple[int | None, ...], ReadingRow] = {}
    for name, row in readings:
        key = row[:2]
        if row in stored or missing.get(key) == row:
            found = Found.SAME
        elif key in known or key in missing:
            found = Found.DIFFERENT
        elif row[1] < floor:
            found = Found.TOO_OLD
        else:
            found = Found.MISSING
            missing[key] = row
        result.registers[name][found] += 1
    return list(missing.values())


def _note(uow: UnitOfWork, gateway_id: int, stored: int, change: Change) -> None:
    detail = {"gateway": str(gateway_id), "new": str(stored)}
    text = msgspec.json.encode(detail).decode()
    row = AuditRow(change.now_ms, change.by, "decoded_again", SUBJECT, change.reason, text)
    uow.audit.note(row)
