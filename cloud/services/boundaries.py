"""The index at boundaries: from hours and days that are summed up, where those have it all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
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
    """The readings with a value next to the boundaries of periods of one ``step`` (ms, in order).

    What has changed since it was summed up is summed up here, from the readings.
    """
    if not instants:
        return Boundaries([], [])
    look = _hours if step is Step.HOUR else _days
    inside = look(uow, register_id, calendar, instants)
    first, last = neighbours(uow, register_id, instants[0], instants[-1])
    before = [alone(register_id, first.before)] if first.before else []
    after = [alone(register_id, last.after)] if last.after else []
    spans = before + inside + after
    corrected = uow.corrections.by_register([register_id]).get(register_id)
    return Boundaries(marks(instants, spans), spans, corrected.all if corrected else ())


def neighbours(
    uow: UnitOfWork, register_id: int, first: int, last: int
) -> tuple[Boundary, Boundary]:
    """The readings with a value next to two instants, as of ``Meters.boundaries``. Those that are
    gone are remembered by hours and days; where these do not tell the nearest, it is unsure."""
    found = uow.meters.boundaries(register_id, [first, last])
    kept = uow.kept.since()  # asked last: what went meanwhile had gone from here before
    if not kept.readings:
        return found[0], found[1]

    def remembered(mark: Boundary) -> Boundary:
        if mark.before and mark.at >= kept.readings:
            return mark
        return nearest(mark, uow.rollups.near(register_id, mark.at))

    return remembered(found[0]), remembered(found[1])


def _hours(uow: UnitOfWork, register_id: int, _: Calendar, instants: Sequence[int]) -> list[Span]:
    """The hours between the instants, which are those of some clock on a wall. Of what is no longer
    kept, hours of UTC, else days: they tell less."""
    start, end = instants[0], instants[-1]
    whole = not any(instant % HOUR_MS for instant in instants)
    hours = _whole_hours if whole else _other_hours
    found = hours(uow, register_id, instants)
    kept = uow.kept.since()
    since = kept.hours if whole else kept.readings
    if start >= since:
        return found
    older = uow.rollups.days([register_id], start - LONGEST_DAY_MS, min(end, kept.hours))
    left = list(cut(older, instants, kept.hours))
    if not whole:
        older = uow.rollups.hours(
            [register_id], max(start - HOUR_MS, kept.hours), min(end, kept.readings)
        )
        left += cut(older, instants, kept.readings)
    left = [one for one in left if start <= one.first_at and one.last_at < end]
    # An hour of which a part is gone tells its end.
    return left + [
        one if one.at >= since else alone(register_id, one.last)
        for one in found
        if one.last_at >= since
    ]


def _other_hours(uow: UnitOfWork, register_id: int, instants: Sequence[int]) -> list[Span]:
    return [
        span
        for start, end in _runs(instants)
        for span in uow.rollups.of_readings([register_id], start, end)
    ]


def _whole_hours(uow: UnitOfWork, register_id: int, instants: Sequence[int]) -> list[Span]:
    start, end = instants[0], instants[-1]
    changed = _stretches(uow, register_id, start, end)
    found = {one.at: one for one in uow.rollups.hours([register_id], start, end)}
    for first, last in changed:
        for at in range(first, last, HOUR_MS):
            found.pop(at, None)  # nothing of it may count any more
        fresh = uow.rollups.of_readings([register_id], first, last)
        found.update((one.at, one) for one in fresh)
    return [found[at] for at in sorted(found)]


def _days(
    uow: UnitOfWork, register_id: int, calendar: Calendar, instants: Sequence[int]
) -> list[Span]:
    """The local days between the instants, which are midnights."""
    start, end = instants[0], instants[-1]
    changed = {
        day
        for first, last in _stretches(uow, register_id, start, end)
        for day in days_of(first, last, calendar.timezone)
    }
    found = {one.at: one for one in uow.rollups.days([register_id], start, end)}
    tolerance = tolerance_ms(calendar.interval_s)
    kept = uow.kept.since()
    for midnight, next_midnight in changed:
        gone = kept.readings > 0 and midnight < kept.readings
        if gone and (midnight < kept.hours or not is_whole(midnight, next_midnight)):
            continue
        look = uow.rollups.hours if gone else uow.rollups.of_readings
        found.pop(midnight, None)
        if hours := look([register_id], midnight, next_midnight):
            found[midnight] = merged(midnight, hours, tolerance)
    days = [found[at] for at in sorted(found) if start <= at < end]
    # What is no longer kept may have been summed up by days that began at other times.
    return list(cut(days, instants)) if start < kept.readings else days


@lru_cache(maxsize=4096)
def days_of(start: int, end: int, timezone: str) -> Sequence[tuple[int, int]]:
    """The local days that overlap start..end, each from midnight to midnight (ms)."""
    instants = midnights(Step.DAY, to_datetime(start), to_datetime(end), zone_of(timezone))
    return list(pairwise(map(to_ms, instants)))


def is_whole(start: int, end: int) -> bool:
    """Whether the day is one of whole hours of UTC."""
    return start % HOUR_MS == 0 and end % HOUR_MS == 0


def _stretches(uow: UnitOfWork, register_id: int, start: int, end: int) -> list[tuple[int, int]]:
    """From when to when hours have changed that overlap start..end.

    To be asked before what was summed up: a mark that goes in between leaves what is newer.
    """
    return list(stretches(uow.rollups.marked(register_id, start - HOUR_MS + 1, end)))


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
    bounds: Sequence[int], found: Boundaries, tolerance: int, decimals: int
) -> list[ConsumptionView]:
    """What was consumed in each period between two of ``bounds`` (ms)."""
    return [
        ConsumptionView(
            start=to_datetime(amount.start),
            end=to_datetime(amount.end),
            value=None if amount.value is None else from_scaled(amount.value, decimals),
            estimated=amount.estimated,
            corrected=corrected,
            measured_percent=_percent_left(amount.end - amount.start, without),
        )
        for amount, without, corrected in zip(
            amounts(found.marks, tolerance),
            unmeasured(bounds, found.spans, tolerance),
            touched(found.marks, found.corrected),
            strict=True,
        )
    ]


def _percent_left(whole: int, without: int) -> Decimal:
    """Cut to a tenth: 100 means all of it."""
    return from_scaled((whole - without) * 1000 // whole, 1)


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name; raises Permanent when it is not known here."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Permanent(f"the time zone {name!r} is not known here") from error
