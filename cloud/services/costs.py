"""What a metering point costs: derived whenever it is asked, from readings, meters and tariffs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from cloud.domain.consumption import Step, midnight
from cloud.domain.gas_energy import GasUse, energy_usage, gas_uses
from cloud.domain.pricing import Priced, price
from cloud.domain.tariffs import UNITS
from cloud.domain.usage import Usage
from cloud.services.boundaries import zone_of
from cloud.services.gas_energy import factors, is_gas_volume
from cloud.services.point_views import PointView
from cloud.services.points import consumption_in, view_of
from cloud.services.tariffs import assignments
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.errors import Permanent

MAX_DAYS = 400
FIRST_DAY = date(1970, 1, 2)
LAST_DAY = date(9999, 12, 1)
AT_ONCE = timedelta(days=60)
"""As many days have no more hours than one question about consumption may."""


@dataclass(frozen=True, slots=True)
class CostView:
    """What the local days ``start`` to before ``end`` cost."""

    point: PointView
    start: date
    end: date
    priced: Priced


def cost(store: Store, point_id: int, start: date, end: date) -> CostView:
    """What the local days from ``start`` to before ``end`` cost, all of one moment.

    Raises NotFound; Permanent for no days or more than MAX_DAYS.
    """
    check_days(start, end)
    with store.snapshot() as uow:
        point = view_of(uow, point_id)
        return CostView(point, start, end, priced(uow, point, usage(uow, point, start, end)))


def check_days(start: date, end: date) -> None:
    """Raises Permanent when these are no days that can be priced at once."""
    if start >= end:
        raise Permanent("end must be later than start; it is the first day that does not count")
    if start < FIRST_DAY or end > LAST_DAY:
        raise Permanent(f"days are possible from {FIRST_DAY} to {LAST_DAY}")
    if (end - start).days > MAX_DAYS:
        raise Permanent(f"more than {MAX_DAYS} days; ask for less at a time")


def usage(uow: UnitOfWork, point: PointView, start: date, end: date) -> list[Usage]:
    """The hours of the local days ``start`` to before ``end``."""
    zone = zone_of(point.timezone)
    found, day = [], start
    while day < end:
        after = min(day + AT_ONCE, end)
        span: tuple[datetime, datetime] = (midnight(day, zone), midnight(after, zone))
        found += [
            Usage(one.start, one.end, one.value, one.estimated, one.corrected)
            for one in consumption_in(uow, point.id, Step.HOUR, *span)
        ]
        day = after
    return found


def priced(uow: UnitOfWork, point: PointView, hours: Sequence[Usage]) -> Priced:
    """What these hours of the point cost; of gas by tariffs for energy, its energy."""
    zone = zone_of(point.timezone)
    energy = None
    if is_gas_volume(point):
        energy = energy_usage(hours, factors(uow, point.id), zone)
    return price(assignments(uow, point), hours, zone, energy)


def gas_of(
    uow: UnitOfWork, point: PointView, hours: Sequence[Usage], cost: Priced
) -> tuple[GasUse, ...]:
    """How gas became the energy that was priced; empty where none was."""
    spans = [one for one in cost.spans if UNITS[one.cost.unit].base == "Wh"]
    if not spans or not is_gas_volume(point):
        return ()
    zone = zone_of(point.timezone)

    def is_priced(one: Usage) -> bool:
        day = one.start.astimezone(zone).date()
        return any(span.start <= day < span.end for span in spans)

    return gas_uses(filter(is_priced, hours), factors(uow, point.id), zone)
