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
    Index,
    Step,
    amounts,
    midnights,
    tolerance_ms,
)
from cloud.domain.spans import Span, marks, merged, stretches, unmeasured
from cloud.services.views import ConsumptionView
from cloud.storage.rollups import Calendar
from cloud.storage.unit_of_work import UnitOfWork
from common.clock import to_datetime, to_ms
from common.errors import Permanent
from common.reading import Quality, from_scaled


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Instants with the readings next to them, and the spans that these were found in."""

    marks: list[Boundary]
    spans: list[Span]


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
    first, *_, last = uow.meters.boundaries(register_id, [instants[0], instants[-1]])
    before = [_alone(register_id, first.before)] if first.before else []
    after = [_alone(register_id, last.after)] if last.after else []
    spans = before + inside + after
    return Boundaries(marks(instants, spans), spans)


def _hours(uow: UnitOfWork, register_id: int, _: Calendar, instants: Sequence[int]) -> list[Span]:
    """The hours between the instants, which are those of some clock on a wall."""
    if any(instant % HOUR_MS for instant in instants):
        return [
            span
            for start, end in _runs(instants)
            for span in uow.rollups.of_readings([register_id], start, end)
        ]
    start, end = instants[0], instants[-1]
    changed = _stretches(uow, register_id, start, end)
    found = {one.at: one for one in uow.rollups.hours([register_id], start, end)}
    for first, last in changed:
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
    for midnight, next_midnight in changed:
        if hours := uow.rollups.of_readings([register_id], midnight, next_midnight):
            found[midnight] = merged(midnight, hours, tolerance)
    return [found[at] for at in sorted(found) if start <= at < end]


@lru_cache(maxsize=4096)
def days_of(start: int, end: int, timezone: str) -> Sequence[tuple[int, int]]:
    """The local days that overlap start..end, each from midnight to midnight (ms)."""
    instants = midnights(Step.DAY, to_datetime(start), to_datetime(end), zone_of(timezone))
    return list(pairwise(map(to_ms, instants)))


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


def _alone(register_id: int, index: Index) -> Span:
    """The span of one reading."""
    at, value = index.at, index.value
    quality = int(Quality.GOOD if index.sure else Quality.ESTIMATED)
    return Span(register_id, at, at, value, quality, at, value, quality, 1, value, value)


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
            measured_percent=_percent_left(amount.end - amount.start, without),
        )
        for amount, without in zip(
            amounts(found.marks, tolerance),
            unmeasured(bounds, found.spans, tolerance),
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
