"""A batch of journal entries on the wire: readings as columns, all else as it stands.

Columns, deflated, take a fifth of what the same entries take one by one, and both ends can take
them apart without an object for each value.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import accumulate, pairwise
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from common.errors import Undecodable
from common.messages.envelope import MAX_BYTES, VERSION, decode, deflate, encode
from common.messages.uplink import Count, HexId, Int64, Line, Millis, Readings, Seq, Value

INT64_MAX = 2**63 - 1
MILLIS_MAX = 2**53
ENTRY_BYTES = MAX_BYTES - 4096
"""An entry's body is at most so long, so that a message can carry it."""

SPAN_TOLERANCE_MS = 20
"""Within a span of the clock, monotonic times are true to this."""


class ClockQuality(IntEnum):
    """What the gateway's wall clock was worth when an entry was appended."""

    UNKNOWN = 0
    FREE = 1
    CLOUD = 2
    SYNCED = 3


class Entry(Struct, frozen=True):
    """One journal entry: its place in the stream, its body (still encoded), and its stamp.

    ``at``: when it was appended, by the gateway's wall clock, which was worth ``clock``;
    ``mono``: the same by the monotonic clock of boot ``boot``, in milliseconds.
    """

    seq: int
    body: Raw
    at: int = 0
    boot: int = 0
    mono: int = 0
    clock: int = ClockQuality.UNKNOWN


class Lost(Struct, frozen=True, array_like=True):
    """Entries that the gateway does not have any more and that were never committed; and why."""

    first: Seq
    last: Seq
    reason: Line


class ClockSpan(Struct, frozen=True, array_like=True):
    """``count`` entries of one boot whose wall clock ran ``offset`` ms ahead of the monotonic."""

    count: Annotated[int, Meta(ge=1)]
    boot: Count
    offset: int
    quality: Annotated[int, Meta(ge=0, le=15)]


class Other(Struct, frozen=True, array_like=True):
    """An entry that is not in the columns: when it was appended, and its body."""

    seq: Seq
    at: Millis
    body: Raw


class Columns(Struct, frozen=True, omit_defaults=True):
    """The message as it is on the wire. Normative: docs/protocol.md, 4.2."""

    stream: HexId
    first: Seq
    last: Seq
    v: int
    clock: list[ClockSpan] = []
    at: list[int] = []
    kept: list[int] = []
    n: list[int] = []
    no: list[int] = []
    value: list[int | None] = []
    quality: list[int] = []
    raw: list[int | None] = []
    other: list[Other] = []
    lost: list[Lost] = []


class _Readings(Struct, tag="readings", tag_field="k", forbid_unknown_fields=True):
    """The body of a readings entry, as cheaply as it can be read."""

    at: Millis
    r: list[tuple[Seq, Int64 | None, Annotated[int, Meta(ge=0, le=15)], Int64 | None]]


_readings = msgspec.json.Decoder(_Readings)


@dataclass(slots=True)
class Batch:
    """Entries first..last of a stream, taken apart. Every number is in one of three places.

    Readings are in columns: entry ``seqs[i]`` was measured at ``at[i]``, appended ``kept[i]`` ms
    later, and has ``n[i]`` values, which follow each other in ``no``, ``value``, ``quality`` and
    ``raw``. ``others`` are the remaining entries, ``lost`` what the gateway has no more.
    """

    stream: str
    first: int
    last: int
    seqs: list[int] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    n: list[int] = field(default_factory=list)
    no: list[int] = field(default_factory=list)
    value: list[int | None] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    raw: list[int | None] = field(default_factory=list)
    others: list[Other] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    clock: list[ClockSpan] = field(default_factory=list)

    @property
    def appended_at(self) -> int | None:
        """When the first of the entries was appended; None unless by a clock that was set."""
        if not self.clock or self.clock[0].quality < ClockQuality.CLOUD:
            return None
        times = [self.at[0] + self.kept[0]] if self.at else []
        return min(times + [other.at for other in self.others[:1]], default=None)

    def readings(self) -> Iterator[tuple[int, Readings]]:
        """The entries in the columns one by one, each with its number."""
        start = 0
        for seq, at, count in zip(self.seqs, self.at, self.n, strict=True):
            cut = slice(start, start + count)
            start += count
            columns = (self.no[cut], self.value[cut], self.quality[cut], self.raw[cut])
            yield seq, Readings(at, list(map(Value, *columns)))

    def bodies(self) -> dict[int, Raw]:
        """All entries by number, as the journal has them."""
        found = {seq: Raw(encode(body)) for seq, body in self.readings()}
        found |= {other.seq: other.body for other in self.others}
        return dict(sorted(found.items()))

    def only(self, wanted: Callable[[int], bool]) -> "Batch":
        """The batch without what is not ``wanted``, by number; ``lost`` stays."""
        found = [(seq, body) for seq, body in self.readings() if wanted(seq)]
        values = [value for _, body in found for value in body.r]
        kept = dict(zip(self.seqs, self.kept, strict=True))
        return replace(
            self,
            seqs=[seq for seq, _ in found],
            at=[body.at for _, body in found],
            kept=[kept[seq] for seq, _ in found],
            n=[len(body.r) for _, body in found],
            no=[value.no for value in values],
            value=[value.value for value in values],
            quality=[value.quality for value in values],
            raw=[value.raw for value in values],
            others=[other for other in self.others if wanted(other.seq)],
        )


def pack(stream: str, entries: list[Entry], lost: list[Lost] | None = None) -> bytes:
    """The message for ``entries`` and ``lost``, which together are all of first..last, in order."""
    lost = lost or []
    ends = [(entry.seq, entry.seq) for entry in entries] + [(one.first, one.last) for one in lost]
    at: list[int] = []
    kept: list[int] = []
    n: list[int] = []
    no: list[int] = []
    value: list[int | None] = []
    quality: list[int] = []
    raw: list[int | None] = []
    other: list[Other] = []
    values: dict[int, int] = {}
    raws: dict[int, int] = {}
    for entry in entries:
        try:
            body = _readings.decode(entry.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            other.append(Other(entry.seq, entry.at, entry.body))
            continue
        at.append(body.at)
        kept.append(entry.at - body.at)
        n.append(len(body.r))
        for number, scaled, worth, count in body.r:
            no.append(number)
            quality.append(worth)
            if scaled is None:
                value.append(None)
            else:
                value.append(scaled - values.get(number, 0))
                values[number] = scaled
            if count is None:
                raw.append(None)
            else:
                raw.append(count - raws.get(number, 0))
                raws[number] = count
    return deflate(
        encode(
            Columns(
                stream,
                min(first for first, _ in ends),
                max(last for _, last in ends),
                VERSION,
                _spans(entries),
                at[:1] + [later - earlier for earlier, later in pairwise(at)],
                kept,
                n,
                no,
                value,
                quality if any(quality) else [],
                raw,
                other,
                lost,
            )
        )
    )


def unpack(payload: bytes) -> Batch:
    """The batch in ``payload``; raises Undecodable unless it holds exactly first..last."""
    columns = decode(payload, Columns)
    values = len(columns.no)
    quality = columns.quality or [0] * values
    if not sum(columns.n) == values == len(columns.value) == len(columns.raw) == len(quality):
        raise Undecodable("the columns of a batch are of different lengths")
    if not len(columns.at) == len(columns.n) == len(columns.kept):
        raise Undecodable("the columns of a batch are of different lengths")
    batch = Batch(
        columns.stream,
        columns.first,
        columns.last,
        _free_numbers(columns),
        list(accumulate(columns.at)),
        columns.kept,
        columns.n,
        columns.no,
        _sums(columns.no, columns.value),
        quality,
        _sums(columns.no, columns.raw),
        columns.other,
        columns.lost,
        columns.clock,
    )
    _check_bounds(batch)
    return batch


def _free_numbers(columns: Columns) -> list[int]:
    """The numbers of the entries in the columns: all that are neither ``other`` nor ``lost``."""
    first, last = columns.first, columns.last
    taken = sorted(
        [(other.seq, other.seq) for other in columns.other]
        + [(lost.first, lost.last) for lost in columns.lost]
    )
    free: list[int] = []
    position, room = first, len(columns.at)
    for begin, end in [*taken, (last + 1, last + 1)]:
        if not position <= begin <= end <= last + 1 or begin - position > room - len(free):
            break
        free.extend(range(position, begin))
        position = end + 1
    if last < first or position != last + 2 or len(free) != room:
        raise Undecodable(f"the entries of a batch are not {first}..{last}")
    return free


def _sums(numbers: list[int], differences: list[int | None]) -> list[int | None]:
    """Each register's values, of which the column has the differences."""
    last: dict[int, int] = {}
    get = last.get
    sums: list[int | None] = []
    for number, difference in zip(numbers, differences, strict=True):
        if difference is None:
            sums.append(None)
        else:
            last[number] = value = get(number, 0) + difference
            sums.append(value)
    return sums


def _check_bounds(batch: Batch) -> None:
    for name, column, low, high in (
        ("n", batch.n, 0, INT64_MAX),
        ("at", batch.at, 0, MILLIS_MAX),
        ("kept", batch.kept, -MILLIS_MAX, MILLIS_MAX),
        ("no", batch.no, 1, 2**62),
        ("quality", batch.quality, 0, 15),
        ("value", batch.value, -INT64_MAX - 1, INT64_MAX),
        ("raw", batch.raw, -INT64_MAX - 1, INT64_MAX),
    ):
        numbers = [number for number in column if number is not None]
        if numbers and not low <= min(numbers) <= max(numbers) <= high:
            raise Undecodable(f"column {name} of a batch has a number outside {low}..{high}")


def _spans(entries: list[Entry]) -> list[ClockSpan]:
    """The stamps of ``entries``, alike ones together."""
    spans: list[ClockSpan] = []
    count, boot, offset, quality = 0, 0, 0, 0
    for entry in entries:
        shift = entry.at - entry.mono
        if (
            count
            and (entry.boot, entry.clock) == (boot, quality)
            and abs(shift - offset) <= SPAN_TOLERANCE_MS
        ):
            count += 1
            continue
        if count:
            spans.append(ClockSpan(count, boot, offset, quality))
        count, boot, offset, quality = 1, entry.boot, shift, entry.clock
    if count:
        spans.append(ClockSpan(count, boot, offset, quality))
    return spans
