"""The index at boundaries: from hours and days that are summed up, where those have it all."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from itertools import chain, groupby, pairwise, product
from operator import itemgetter
from typing import TypeVar
from zoneinfo import ZoneInfo

from cloud.domain.consumption import (
    HOUR_MS,
    Boundary,
    Step,
    amounts,
    midnights,
    tolerance_ms,
)
from cloud.domain.corrections import Correction, touched
from cloud.domain.retention import Since
from cloud.domain.spans import (
    Span,
    alone,
    cut,
    marks,
    merged,
    nearest,
    stretches,
    unmeasured,
)
from cloud.services.views import ConsumptionView
from cloud.storage.indexes import AFTER, BEFORE
from cloud.storage.rollups import LONGEST_DAY_MS, Calendar
from cloud.storage.unit_of_work import UnitOfWork
from common.clock import to_datetime, to_ms
from common.errors import Permanent
from common.reading import from_scaled


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Instants with the readings next to them, the spans that these were found in, and what of
    these a person has corrected."""

    marks: list[Boundary]
    spans: list[Span]
    corrected: Sequence[Correction] = ()


def look_up(
    uow: UnitOfWork, register_id: int, calendar: Calendar, instants: Sequence[int], step: Step
) -> Boundaries:
    """As ``look_up_all``, of one register."""
    return look_up_all(uow, {register_id: calendar}, instants, step)[register_id]


def look_up_all(
    uow: UnitOfWork, calendars: Mapping[int, Calendar], instants: Sequence[int], step: Step
) -> dict[int, Boundaries]:
    """By register, the readings with a value next to the boundaries of periods of one ``step`` (ms,
    in order). As many questions as for one register.

    What has changed since it was summed up is summed up here, from the readings.
    """
    if not instants:
        return {id_: Boundaries([], []) for id_ in calendars}
    look = _hours if step is Step.HOUR else _days
    start, end = instants[0], instants[-1]
    spans_of = look(uow, calendars, _wider(uow, calendars, instants, step))
    known = {id_: spans_of.get(id_, []) for id_ in calendars}
    heads = _beside(
        uow, [id_ for id_, its in known.items() if not its or its[0].at >= start], start, BEFORE
    )
    tails = _beside(
        uow, [id_ for id_, its in known.items() if not its or its[-1].at < end], end, AFTER
    )
    corrected = uow.corrections.by_register(calendars.keys())
    found = {}
    for id_, spans in known.items():
        head = heads[id_].before if id_ in heads else None
        tail = tails[id_].after if id_ in tails else None
        before, after = ([alone(id_, one)] if one else [] for one in (head, tail))
        its = corrected[id_].all if id_ in corrected else ()
        whole = [*before, *spans, *after]
        found[id_] = Boundaries(marks(instants, whole), whole, its)
    return found


def _wider(
    uow: UnitOfWork, calendars: Mapping[int, Calendar], instants: Sequence[int], step: Step
) -> Sequence[int]:
    """With the hour, or day, before and after: where these have readings, they have those that are
    next to the first and the last instant. As it is where hours or days do not tell so much."""
    start, end = instants[0], instants[-1]
    if step is Step.HOUR:
        wide = [start - HOUR_MS, *instants, end + HOUR_MS]
        told = not any(instant % HOUR_MS for instant in instants)
    else:
        timezone = next(iter(calendars.values())).timezone
        [(before, _)], [(_, after)] = (days_of(one, one + 1, timezone) for one in (start - 1, end))
        wide, told = [before, *instants, after], True
    return wide if told and wide[0] >= uow.kept.since().readings else instants


def neighbours(
    uow: UnitOfWork, register_id: int, first: int, last: int
) -> tuple[Boundary, Boundary]:
    """The readings with a value next to two instants, as of ``Indexes``. Those that are gone are
    remembered by hours and days; where these do not tell the nearest, it is unsure."""
    one, two = uow.indexes.boundaries(register_id, [first, last])
    kept = uow.kept.since()  # asked last: what went meanwhile had gone from here before
    return _remembered(uow, register_id, one, kept), _remembered(uow, register_id, two, kept)


def _beside(
    uow: UnitOfWork, register_ids: Collection[int], instant: int, side: int
) -> dict[int, Boundary]:
    """By register, as ``neighbours``, on one side of one instant; the other side may be unknown."""
    if not register_ids:
        return {}
    found = uow.indexes.boundaries_of(register_ids, [instant], [side])
    kept = uow.kept.since()
    return {
        id_: mark
        if side == AFTER and instant >= kept.readings
        else _remembered(uow, id_, mark, kept)
        for id_, [mark] in found.items()
    }


def _remembered(uow: UnitOfWork, register_id: int, mark: Boundary, kept: Since) -> Boundary:
    if not kept.readings or (mark.before and mark.at >= kept.readings):
        return mark
    return nearest(mark, uow.rollups.near(register_id, mark.at))


Stretch = tuple[int, int]
"""From when (inclusive) to when."""

REGISTERS = 500
ROW = 31
"""Registers, and days of theirs, that are looked at in one statement."""

T = TypeVar("T", bound=Hashable)

Spans = dict[int, list[Span]]
"""By register, in order of time."""


def _hours(uow: UnitOfWork, calendars: Mapping[int, Calendar], instants: Sequence[int]) -> Spans:
    """The hours between the instants, which are those of some clock on a wall. Of what is no longer
    kept, hours of UTC, else days: they tell less."""
    ids = list(calendars)
    start, end = instants[0], instants[-1]
    whole = not any(instant % HOUR_MS for instant in instants)
    found = (_whole_hours if whole else _other_hours)(uow, ids, instants)
    kept = uow.kept.since()
    since = kept.hours if whole else kept.readings
    if start >= since:
        return found
    days = _by_register(uow.rollups.days(ids, start - LONGEST_DAY_MS, min(end, kept.hours)))
    hours: Spans = {}
    if not whole:
        span = max(start - HOUR_MS, kept.hours), min(end, kept.readings)
        hours = _by_register(uow.rollups.hours(ids, *span))
    left: Spans = {}
    for id_ in ids:
        older = [*cut(days.get(id_, ()), instants, kept.hours)]
        older += cut(hours.get(id_, ()), instants, kept.readings)
        left[id_] = [one for one in older if start <= one.first_at and one.last_at < end]
        # An hour of which a part is gone tells its end.
        left[id_] += [
            one if one.at >= since else alone(id_, one.last)
            for one in found.get(id_, ())
            if one.last_at >= since
        ]
    return left


def _other_hours(uow: UnitOfWork, ids: Collection[int], instants: Sequence[int]) -> Spans:
    runs = (uow.rollups.of_readings(ids, start, end) for start, end in _runs(instants))
    return _by_register(chain.from_iterable(runs))


def _whole_hours(uow: UnitOfWork, ids: Collection[int], instants: Sequence[int]) -> Spans:
    start, end = instants[0], instants[-1]
    changed = _stretches(uow, ids, start, end)
    hours = uow.rollups.hours(ids, start, end)
    if not changed:
        return _by_register(hours)
    found = {(one.register_id, one.at): one for one in hours}
    for (first, last), some in by_stretch(changed):
        for at in range(first, last, HOUR_MS):
            for id_ in some:
                found.pop((id_, at), None)  # nothing of it may count any more
        fresh = uow.rollups.of_readings(some, first, last)
        found.update(((one.register_id, one.at), one) for one in fresh)
    return _by_register(found[key] for key in sorted(found))


def _days(uow: UnitOfWork, calendars: Mapping[int, Calendar], instants: Sequence[int]) -> Spans:
    """The local days between the instants, which are midnights."""
    ids = list(calendars)
    start, end = instants[0], instants[-1]
    changed = {
        (id_, day)
        for id_, (first, last) in _stretches(uow, ids, start, end)
        for day in days_of(first, last, calendars[id_].timezone)
    }
    found = {(one.register_id, one.at): one for one in uow.rollups.days(ids, start, end)}
    kept = uow.kept.since()
    told = ((id_, day) for id_, day in sorted(changed) if is_told(day, kept))
    for row, some in by_stretch(_in_rows(told, kept)):
        look = uow.rollups.of_readings if kept.has_readings(row[0][0]) else uow.rollups.hours
        begins = [midnight for midnight, _ in row]
        for key in product(some, begins):
            found.pop(key, None)
        hours_of: dict[tuple[int, int], list[Span]] = defaultdict(list)
        for hour in look(some, begins[0], row[-1][1]):
            midnight = begins[bisect_right(begins, hour.at) - 1]
            hours_of[hour.register_id, midnight].append(hour)
        for (id_, midnight), hours in hours_of.items():
            tolerance = tolerance_ms(calendars[id_].interval_s)
            found[id_, midnight] = merged(midnight, hours, tolerance)
    days = _by_register(found[key] for key in sorted(found) if start <= key[1] < end)
    if start >= kept.readings:
        return days
    # What is no longer kept may have been summed up by days that began at other times.
    return {id_: list(cut(its, instants)) for id_, its in days.items()}


def is_told(day: Stretch, kept: Since) -> bool:
    """Whether readings of the day are kept, or at least hours that it consists of."""
    return kept.has_readings(day[0]) or (kept.has_hours(day[0]) and is_whole(*day))


def _in_rows(
    days: Iterable[tuple[int, Stretch]], kept: Since
) -> Iterator[tuple[int, tuple[Stretch, ...]]]:
    """By register (in order), days that follow each other and that one look tells: they begin whole
    hours after the first, and readings of all or of none of them are kept."""
    row: list[Stretch] = []
    last_id = 0
    for id_, day in days:
        joins = (
            row
            and (id_, day[0]) == (last_id, row[-1][1])
            and (day[0] - row[0][0]) % HOUR_MS == 0
            and kept.has_readings(day[0]) == kept.has_readings(row[0][0])
            and len(row) < ROW
        )
        if row and not joins:
            yield last_id, tuple(row)
            row = []
        row.append(day)
        last_id = id_
    if row:
        yield last_id, tuple(row)


def _by_register(spans: Iterable[Span]) -> Spans:
    """``spans`` are in order of time."""
    found: Spans = {}
    for one in spans:
        found.setdefault(one.register_id, []).append(one)
    return found


def by_stretch(stretches: Iterable[tuple[int, T]]) -> Iterator[tuple[T, Sequence[int]]]:
    """Each stretch, or row of days, with the registers that have it, REGISTERS at a time."""
    registers = defaultdict(list)
    for register_id, stretch in stretches:
        registers[stretch].append(register_id)
    for stretch, ids in registers.items():
        for first in range(0, len(ids), REGISTERS):
            yield stretch, ids[first : first + REGISTERS]


@lru_cache(maxsize=4096)
def days_of(start: int, end: int, timezone: str) -> Sequence[tuple[int, int]]:
    """The local days that overlap start..end, each from midnight to midnight (ms)."""
    instants = midnights(Step.DAY, to_datetime(start), to_datetime(end), zone_of(timezone))
    return list(pairwise(map(to_ms, instants)))


def is_whole(start: int, end: int) -> bool:
    """Whether the day is one of whole hours of UTC."""
    return start % HOUR_MS == 0 and end % HOUR_MS == 0


def _stretches(
    uow: UnitOfWork, ids: Collection[int], start: int, end: int
) -> list[tuple[int, Stretch]]:
    """Of each register from when to when hours have changed that overlap start..end.

    To be asked before what was summed up: a mark that goes in between leaves what is newer.
    """
    marked = uow.rollups.marked(ids, start - HOUR_MS + 1, end)
    return [
        (id_, stretch)
        for id_, its in groupby(marked, itemgetter(0))
        for stretch in stretches(at for _, at in its)
    ]


def _runs(instants: Sequence[int]) -> Iterator[tuple[int, int]]:
    """From when to when the instants are whole hours apart: a clock is set by half an hour, too."""
    start = instants[0]
    for one, other in pairwise(instants):
        if (other - one) % HOUR_MS:
            yield from ((start, one), (one, other)) if one > start else ((one, other),)
            start = other
    if instants[-1] > start:
        yield start, instants[-1]


def periods(
    bounds: Sequence[int],
    found: Boundaries,
    tolerance: int,
    decimals: int,
    without: Sequence[int] | None = None,
) -> list[ConsumptionView]:
    """What was consumed in each period between two of ``bounds`` (ms). ``without``: how much of
    each is not measured (ms); None: as the spans tell."""
    if without is None:
        without = unmeasured(bounds, found.spans, tolerance)
    times = _times(tuple(bounds))
    return [
        ConsumptionView(
            start=start,
            end=end,
            value=None if amount.value is None else from_scaled(amount.value, decimals),
            estimated=amount.estimated,
            corrected=corrected,
            measured_percent=_percent_left(amount.end - amount.start, not_measured),
        )
        for (start, end), amount, not_measured, corrected in zip(
            times,
            amounts(found.marks, tolerance),
            without,
            touched(found.marks, found.corrected),
            strict=True,
        )
    ]


@lru_cache(maxsize=16)
def _times(bounds: Sequence[int]) -> Sequence[tuple[datetime, datetime]]:
    """When each period begins and ends; one question is mostly about many points."""
    return list(pairwise(map(to_datetime, bounds)))


@lru_cache(maxsize=4096)
def _percent_left(whole: int, without: int) -> Decimal:
    """Cut to a tenth: 100 means all of it."""
    return from_scaled((whole - without) * 1000 // whole, 1)


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name; raises Permanent when it is not known here."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Permanent(f"the time zone {name!r} is not known here") from error
