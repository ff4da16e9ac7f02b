"""Flow and power that counters tell: how fast an index grew, in as many points as are wanted."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from cloud.domain.consumption import HOUR_MS, Step, tolerance_ms
from cloud.domain.rates import PLACES, Gain, gains, sliced
from cloud.domain.spans import alone, marks
from cloud.services.boundaries import Boundaries, days_of, look_up, neighbours
from cloud.services.metering import register_in
from cloud.storage.rollups import LONGEST_DAY_MS, Calendar
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime
from common.errors import Permanent
from common.reading import from_scaled
from common.registers import KINDS, Kind

MAX_POINTS = 2_000

UNITS = {
    Kind.VOLUME: KINDS[Kind.FLOW].unit,
    Kind.ENERGY_IMPORT: KINDS[Kind.POWER].unit,
    Kind.ENERGY_EXPORT: KINDS[Kind.POWER].unit,
    Kind.PULSES: "1/h",
}
"""Of what an index of this kind gains in an hour."""


@dataclass(frozen=True, slots=True)
class SliceView:
    """The index gained ``amount``, exactly, from ``start`` to ``end``; ``rate`` is that by time.

    Both are None where it is not known. ``greatest``: the greatest rate of the hours or days that
    the slice is made of, if it is made of several.
    """

    start: datetime
    end: datetime
    amount: Decimal | None
    rate: Decimal | None
    greatest: Decimal | None


@dataclass(frozen=True, slots=True)
class RateView:
    """``unit`` of the rates; ``slices`` in order of time, each beginning where one ended."""

    register_id: int
    unit: str
    slices: tuple[SliceView, ...]


def rate(store: Store, register_id: int, start: int, end: int, points: int) -> RateView:
    """How fast the index grew from ``start`` to ``end`` (ms), in at most ``points`` slices.

    From reading to reading, where they are so few; else by slices of equal length, or of whole
    hours or days. Raises NotFound; Permanent when the register does not count.
    """
    points = min(max(points, 1), MAX_POINTS)
    with store.read() as uow:
        definition = register_in(uow, register_id).definition
        unit = UNITS.get(definition.kind)
        if unit is None:
            raise Permanent(f"register {register_id} ({definition.kind.value}) is no index")
        [calendar] = uow.rollups.calendars([register_id]).values()
        found = _found(uow, register_id, calendar, (start, end), points)
    tolerance = tolerance_ms(definition.interval_s)
    parts = gains(found.marks, found.spans, tolerance)
    decimals = definition.decimals
    return RateView(register_id, unit, tuple(_view(one, decimals) for one in sliced(parts, points)))


def _found(
    uow: UnitOfWork, register_id: int, calendar: Calendar, span: tuple[int, int], points: int
) -> Boundaries:
    """The smallest parts that are not many more than wanted, and of which enough is kept."""
    first, last = neighbours(uow, register_id, span[0], span[1] - 1)
    if not (first.after and last.before and first.after.at < last.before.at):
        return Boundaries([], [])
    start, end = first.after.at, last.before.at
    kept = uow.kept.since()
    width = -((start - end) // points)
    if start >= kept.readings:
        few = uow.meters.values(register_id, start, end + 1, points + 2)
        if len(few) <= points + 1:
            return _readings(uow, register_id, [at for at, _ in few], 1)
        if width < HOUR_MS:
            return _readings(uow, register_id, [*range(start, end, width), end], width)
    if width < 2 * LONGEST_DAY_MS and start >= kept.hours:
        hours = range(-(-start // HOUR_MS) * HOUR_MS, end + 1, HOUR_MS)
        return look_up(uow, register_id, calendar, hours, Step.HOUR)
    days = days_of(start, end + 1, calendar.timezone)
    midnights = [midnight for midnight, _ in days if midnight >= start]
    return look_up(uow, register_id, calendar, midnights, Step.DAY)


def _readings(uow: UnitOfWork, register_id: int, bounds: list[int], width: int) -> Boundaries:
    """From reading to reading, or by slices of ``width``; the first and the last bound are
    readings."""
    spans = uow.rollups.of_readings([register_id], bounds[0], bounds[-1], width)
    [last] = uow.indexes.boundaries(register_id, [bounds[-1]])
    if last.before:
        spans.append(alone(register_id, last.before))
    return Boundaries(marks(bounds, spans), spans)


def _view(one: Gain, decimals: int) -> SliceView:
    def exact(scaled: int | None, places: int) -> Decimal | None:
        return None if scaled is None else from_scaled(scaled, places)

    return SliceView(
        to_datetime(one.start),
        to_datetime(one.end),
        exact(one.gained, decimals),
        exact(one.rate, decimals + PLACES),
        exact(one.greatest, decimals + PLACES),
    )
