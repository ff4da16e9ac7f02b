"""Degree days beside the consumption of a metering point, and consumption normalised by them."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from itertools import pairwise
from zoneinfo import ZoneInfo

from cloud.domain.consumption import HOUR_MS, Index, Step, midnights
from cloud.domain.cost import EXACT
from cloud.domain.degree_days import (
    DayMean,
    Heating,
    Status,
    check_heating,
    day_means,
    degree_days,
    normal,
    reference_of,
)
from cloud.domain.usage import ZERO
from cloud.services import definitions
from cloud.services.boundaries import look_up, zone_of
from cloud.services.definitions import Definition
from cloud.services.points import Change, consumption_in, row_of
from cloud.services.views import ConsumptionView
from cloud.storage.rollups import Calendar
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime, to_ms
from common.errors import NotFound, Permanent
from common.reading import from_scaled
from common.registers import Kind, Register

WHAT = "degree days"
MAX_DAYS = 1500


@dataclass(frozen=True, slots=True)
class DegreeDaysView:
    """A period of local days: how cold it was, and what was consumed, in the point's base unit.

    ``degree_days`` is None where a day has no mean temperature. ``temperature_percent``: how much
    of the time the temperature is known.
    """

    start: datetime
    end: datetime
    degree_days: Decimal | None
    heating_days: int
    temperature_percent: Decimal
    consumption: Decimal | None
    estimated: bool
    corrected: bool
    measured_percent: Decimal
    reference: Decimal | None
    per_degree_day: Decimal | None
    normalised: Decimal | None
    status: Status


def put(
    store: Store,
    point_id: int,
    wanted: Heating,
    change: Change,
    seen: Callable[[Definition[Heating] | None], bool] = lambda _: True,
) -> Definition[Heating]:
    """By what the consumption of a metering point is normalised, also of the past.

    Raises NotFound; Permanent, with what is wrong; Outdated when what there is was not ``seen``.
    """
    check_heating(wanted)

    def work(uow: UnitOfWork) -> Definition[Heating]:
        uow.points.lock(point_id, [])
        row_of(uow, point_id)
        _thermometer(uow, wanted.register_id)
        noted = f"point:{point_id}"
        return definitions.put(uow, WHAT, str(point_id), wanted, change, noted, seen)

    return store.run(work)


def get(store: Store, point_id: int) -> Definition[Heating]:
    """By what it is normalised; raises NotFound, also where nothing was put."""
    with store.read() as uow:
        row_of(uow, point_id)
        return _heating(uow, point_id)


def of_point(
    store: Store, point_id: int, step: Step, start: datetime, end: datetime
) -> list[DegreeDaysView]:
    """Degree days and consumption of each local period of the site that overlaps start..end.

    Raises NotFound, also where nothing was put; Permanent for hours, or for too much at once.
    """
    if step is Step.HOUR:
        raise Permanent("step: degree days are of days; take day, or what is longer")
    with store.snapshot() as uow:
        row = row_of(uow, point_id)
        heating = _heating(uow, point_id).value
        found = consumption_in(uow, point_id, step, start, end)
        if not found:
            return []
        if (found[-1].end - found[0].start).days > MAX_DAYS:
            raise Permanent(f"more than {MAX_DAYS} days; ask for less at a time")
        zone = zone_of(row.timezone)
        instants = midnights(Step.DAY, found[0].start, found[-1].end, zone)
        bounds = [to_ms(one) for one in instants]
        means = _means(uow, heating.register_id, row.timezone, bounds)
    return [_view(one, bounds, means, heating, zone) for one in found]


def _view(
    period: ConsumptionView,
    bounds: Sequence[int],
    all_means: Sequence[DayMean],
    heating: Heating,
    zone: ZoneInfo,
) -> DegreeDaysView:
    first, last = (bisect_left(bounds, to_ms(at)) for at in (period.start, period.end))
    means = all_means[first:last]
    known = [degree_days(one.mean, heating) for one in means if one.mean is not None]
    with localcontext(EXACT):
        actual = sum(known, ZERO) if len(known) == len(means) else None
    days = [to_datetime(at).astimezone(zone).date() for at in bounds[first:last]]
    reference = reference_of(days, heating)
    estimated = period.estimated or any(one.estimated for one in means)
    made = normal(period.value, actual, reference, estimated=estimated)
    known_ms = sum(one.known_ms for one in means)
    return DegreeDaysView(
        start=period.start,
        end=period.end,
        degree_days=actual,
        heating_days=sum(one > 0 for one in known),
        temperature_percent=from_scaled(known_ms * 1000 // (bounds[last] - bounds[first]), 1),
        consumption=period.value,
        estimated=estimated,
        corrected=period.corrected,
        measured_percent=period.measured_percent,
        reference=reference,
        per_degree_day=made.per_degree_day,
        normalised=made.normalised,
        status=made.status,
    )


def _means(
    uow: UnitOfWork, register_id: int, timezone: str, bounds: Sequence[int]
) -> list[DayMean]:
    definition = _thermometer(uow, register_id)
    instants = [at for start, end in pairwise(bounds) for at in range(start, end, HOUR_MS)] + [
        bounds[-1]
    ]
    calendar = Calendar(timezone, definition.interval_s)
    spans = look_up(uow, register_id, calendar, instants, Step.HOUR).spans
    ends = {index.at: index for span in spans for index in (span.first, span.last)}
    readings: list[Index] = [ends[at] for at in sorted(ends)]
    return day_means(readings, bounds, definition.decimals)


def _thermometer(uow: UnitOfWork, register_id: int) -> Register:
    found = uow.meters.registers([register_id])
    if not found:
        raise Permanent(f"register_id: there is no register {register_id}")
    definition = found[0].definition
    if definition.kind is not Kind.TEMPERATURE:
        raise Permanent(
            f"register_id: register {register_id} is of {definition.kind.value}; name one of "
            "temperature, of the air outside"
        )
    return definition


def _heating(uow: UnitOfWork, point_id: int) -> Definition[Heating]:
    found = definitions.get(uow, WHAT, str(point_id), Heating)
    if found is None:
        raise NotFound(f"nothing was put of the degree days of metering point {point_id}")
    return found
