"""How complete a register's readings are, by local day: pure arithmetic on slots.

A register promises a reading each interval. Around each instant at which one is due lies a slot,
as wide as the interval: a reading in it is the one that was due, further ones change nothing, so
that what comes twice hides no hole. A slot belongs to the day in which its reading is due.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

LATE_MS = 10_000
"""A reading is missed only when it should have been here for so long."""

BLOCK = 60
"""So many slots fit into the bits of one integer."""


class Worth(IntEnum):
    """What the best reading of a slot is worth: no value, a doubtful one, a good one."""

    NOTHING = 0
    ESTIMATED = 1
    GOOD = 2


class Cause(StrEnum):
    """Why a reading is missing, the surest first."""

    FAILING = "failing"
    LOST = "lost"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots first..last, none when ``last`` is smaller.

    Slot n begins at ``origin`` + n * ``width`` (ms).
    """

    origin: int
    width: int
    first: int
    last: int

    def start_of(self, slot: int) -> int:
        """When a slot begins."""
        return self.origin + slot * self.width

    def due_from(self, at: int) -> int:
        """The first slot whose reading is due at ``at`` or later."""
        return -((self.origin + self.width // 2 - at) // self.width)


@dataclass(frozen=True, slots=True)
class Run:
    """Slots first..last, all of the same worth."""

    first: int
    last: int
    worth: Worth


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` to ``end`` (ms) readings may be missing because of ``cause``."""

    start: int
    end: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class Count:
    """How many readings were expected; ``got`` and ``missing`` add up to that.

    ``estimated`` is the part of ``got`` that has a value, but no good one. ``failing``, ``lost``
    and ``waiting`` are the parts of ``missing`` whose cause is known.
    """

    expected: int = 0
    got: int = 0
    estimated: int = 0
    missing: int = 0
    failing: int = 0
    lost: int = 0
    waiting: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.expected + other.expected,
            self.got + other.got,
            self.estimated + other.estimated,
            self.missing + other.missing,
            self.failing + other.failing,
            self.lost + other.lost,
            self.waiting + other.waiting,
        )


def slots_of(interval_s: int, newest_at: int | None, start: int, end: int) -> Slots:
    """The slots whose readings are due from ``start`` to ``end`` (ms).

    Readings are due at the times that are whole intervals away from the newest one: so a device
    with a clock and an offset of its own is in the middle of its slots. ``interval_s`` is 1 or
    more.
    """
    width = interval_s * 1000
    origin = (newest_at or 0) % width - width // 2
    slots = Slots(origin, width, 0, 0)
    return replace(slots, first=slots.due_from(start), last=slots.due_from(end) - 1)


def due_between(interval_s: int, newest_at: int, start: int, end: int) -> int:
    """How many readings are due from ``start`` to ``end``: those of ``slots_of``."""
    width = interval_s * 1000
    phase = newest_at % width
    return max(0, (phase - start) // width - (phase - end) // width)


def over_by(now_ms: int, interval_s: int) -> int:
    """Readings that were due before this time (ms) should be here at ``now_ms``."""
    return now_ms - LATE_MS - interval_s * 500


def runs_of(blocks: Iterable[tuple[int, Sequence[int]]]) -> list[Run]:
    """The runs of slots with readings, from blocks in order.

    A block is its first slot, and for each Worth, ascending, the bits of those of its BLOCK slots
    that have a reading of it. A slot is worth its best reading.
    """
    found: list[Run] = []
    for start, bits in blocks:
        if bits[Worth.GOOD] == 2**BLOCK - 1:
            _extend(found, Run(start, start + BLOCK - 1, Worth.GOOD))
            continue
        for slot in range(BLOCK):
            worth = max((one for one in Worth if bits[one] >> slot & 1), default=None)
            if worth is not None:
                _extend(found, Run(start + slot, start + slot, worth))
    return found


def _extend(runs: list[Run], run: Run) -> None:
    if runs and runs[-1].worth is run.worth and runs[-1].last + 1 == run.first:
        runs[-1] = replace(runs[-1], last=run.last)
    else:
        runs.append(run)


def counts(
    days: Sequence[int], slots: Slots, runs: Iterable[Run], causes: Iterable[Span]
) -> list[Count]:
    """The counts of each day between two neighbouring instants of ``days`` (ms).

    Only ``slots`` are expected; ``runs`` are those that have readings, in order. A slot that lies
    in spans of several causes counts for the first of them in ``causes``, one whose reading has
    no value as failing.
    """
    marks = [slots.due_from(day) for day in days]
    tally = _Tally(slots, marks)
    tally.expect()
    left = []
    position = slots.first
    for run in runs:
        if run.first > position:
            left.append((position, run.first - 1))
        position = run.last + 1
        tally.found(run)
    if position <= slots.last:
        left.append((position, slots.last))
    for span in causes:
        if not left:
            break
        first = (span.start - slots.origin) // slots.width
        last = (span.end - 1 - slots.origin) // slots.width
        inside, left = _cut(left, first, last)
        for part in inside:
            tally.add(span.cause, *part)
    return tally.counts()


def merged(spans: Iterable[Span]) -> list[Span]:
    """The spans, in order, those of one cause that touch as one."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda one: (list(Cause).index(one.cause), one.start)):
        if found and found[-1].cause is span.cause and span.start <= found[-1].end:
            found[-1] = replace(found[-1], end=max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def failing_spans(told: Iterable[tuple[int, bool]], end: int) -> list[Span]:
    """When a device failed, of what it told in order: (time, whether it began to fail)."""
    found = []
    since: int | None = None
    for at, bad in told:
        if bad and since is None:
            since = at
        elif not bad and since is not None:
            found.append(Span(since, at, Cause.FAILING))
            since = None
    if since is not None:
        found.append(Span(since, end, Cause.FAILING))
    return found


Ranges = list[tuple[int, int]]


def _cut(ranges: Ranges, first: int, last: int) -> tuple[Ranges, Ranges]:
    """What of ``ranges`` is in first..last, and what is not."""
    inside, outside = [], []
    for low, high in ranges:
        if high < first or low > last:
            outside.append((low, high))
            continue
        inside.append((max(low, first), min(high, last)))
        if low < first:
            outside.append((low, first - 1))
        if high > last:
            outside.append((last + 1, high))
    return inside, outside


class _Tally:
    """Counts slots by day. ``marks`` are the first slots of the days, and of the one after."""

    def __init__(self, slots: Slots, marks: Sequence[int]) -> None:
        self._slots = slots
        self._marks = marks
        days = len(marks) - 1
        self._expected = [0] * days
        self._estimated = [0] * days
        self._got = [0] * days
        self._because: Mapping[Cause, list[int]] = {cause: [0] * days for cause in Cause}

    def expect(self) -> None:
        self._count(self._expected, self._slots.first, self._slots.last)

    def found(self, run: Run) -> None:
        if run.worth is Worth.NOTHING:
            self.add(Cause.FAILING, run.first, run.last)
            return
        self._count(self._got, run.first, run.last)
        if run.worth is Worth.ESTIMATED:
            self._count(self._estimated, run.first, run.last)

    def add(self, cause: Cause, first: int, last: int) -> None:
        self._count(self._because[cause], first, last)

    def counts(self) -> list[Count]:
        return [
            Count(
                expected=expected,
                got=self._got[day],
                estimated=self._estimated[day],
                missing=expected - self._got[day],
                failing=self._because[Cause.FAILING][day],
                lost=self._because[Cause.LOST][day],
                waiting=self._because[Cause.WAITING][day],
            )
            for day, expected in enumerate(self._expected)
        ]

    def _count(self, days: list[int], first: int, last: int) -> None:
        for day in range(len(days)):
            low, high = max(first, self._marks[day]), min(last, self._marks[day + 1] - 1)
            if low <= high:
                days[day] += high - low + 1
