"""The energy of gas: by what a point's volume becomes it, and how much, whenever it is asked."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext

from cloud.domain.consumption import Step
from cloud.domain.cost import EXACT
from cloud.domain.gas_energy import (
    FactorsOf,
    GasArea,
    GasPoint,
    GasUse,
    check_area,
    check_point,
    energy_of,
    factors_by_day,
    gas_uses,
)
from cloud.domain.usage import ZERO, Usage
from cloud.services import definitions
from cloud.services.boundaries import zone_of
from cloud.services.definitions import Definition
from cloud.services.point_views import ChangeView, PointView
from cloud.services.points import Change, changes_of, consumption_in, view_of
from cloud.services.views import ConsumptionView
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.errors import NotFound, Permanent
from common.registers import Kind, Medium

AREA = "gas area"
POINT = "gas"
MAX_DAYS = 4000
AT_ONCE = timedelta(days=1400)
"""As many days one question about consumption may have."""


@dataclass(frozen=True, slots=True)
class EnergyView:
    """A period: m³ that were used, and their energy in kWh; ``uses`` adds up to both.

    ``energy`` is None when a part of the volume has no z and Hs: ``uses`` tells the days.
    ``estimated`` when the volume is, or an Hs is preliminary.
    """

    start: datetime
    end: datetime
    volume: Decimal | None
    energy: Decimal | None
    estimated: bool
    corrected: bool
    measured_percent: Decimal
    uses: tuple[GasUse, ...]


def put_area(
    store: Store,
    area: GasArea,
    change: Change,
    seen: Callable[[Definition[GasArea] | None], bool] = lambda _: True,
) -> Definition[GasArea]:
    """Make a gas area, or replace it, also for the past; the same again changes nothing.

    Raises Permanent, with what is wrong; Outdated when what there is was not ``seen``.
    """
    check_area(area)
    noted = _subject(area.key)
    return store.run(lambda uow: definitions.put(uow, AREA, area.key, area, change, noted, seen))


def areas(store: Store) -> list[Definition[GasArea]]:
    """All gas areas, by key."""
    with store.read() as uow:
        return definitions.every(uow, AREA, GasArea)


def area(store: Store, key: str) -> Definition[GasArea]:
    """One gas area; raises NotFound."""
    with store.read() as uow:
        return _area(uow, key)


def area_changes(store: Store, key: str) -> list[ChangeView]:
    """What was done to a gas area, newest first, each with its definition; raises NotFound."""
    with store.read() as uow:
        _area(uow, key)
        return changes_of(uow, _subject(key))


def put(
    store: Store,
    point_id: int,
    wanted: GasPoint,
    change: Change,
    seen: Callable[[Definition[GasPoint]], bool] = lambda _: True,
) -> Definition[GasPoint]:
    """How the volume of a metering point becomes energy, also for the past.

    Raises NotFound; Permanent, with what is wrong; Outdated when what there is was not ``seen``.
    """
    check_point(wanted)

    def work(uow: UnitOfWork) -> Definition[GasPoint]:
        uow.points.lock(point_id, [])
        _gas(uow, point_id)
        for key in {one.area for one in wanted.states}:
            if uow.definitions.one(AREA, key) is None:
                raise Permanent(f"area: there is no gas area {key[:60]!r}")
        return definitions.put(
            uow,
            POINT,
            str(point_id),
            wanted,
            change,
            f"point:{point_id}",
            lambda found: seen(found or _NONE),
        )

    return store.run(work)


def get(store: Store, point_id: int) -> Definition[GasPoint]:
    """How its volume becomes energy; raises NotFound, Permanent when it counts no gas as volume."""
    with store.read() as uow:
        _gas(uow, point_id)
        return _of(uow, point_id)


def energy(
    store: Store, point_id: int, step: Step, start: datetime, end: datetime
) -> list[EnergyView]:
    """Volume and energy of each local period of the site that overlaps start..end.

    Raises NotFound; Permanent when the point counts no gas as volume, or for too much at once.
    """
    with store.snapshot() as uow:
        point = _gas(uow, point_id)
        periods = consumption_in(uow, point_id, step, start, end)
        if not periods:
            return []
        parts = periods if step is Step.HOUR else days_of(uow, point_id, periods)
        factors_of = factors(uow, point_id)
    zone = zone_of(point.timezone)
    starts = [one.start for one in periods]
    of_period: list[list[ConsumptionView]] = [[] for _ in periods]
    for part in parts:
        of_period[bisect_right(starts, part.start) - 1].append(part)
    return [
        _view(one, its, gas_uses(usage_of(its), factors_of, zone))
        for one, its in zip(periods, of_period, strict=True)
    ]


def is_gas_volume(point: PointView) -> bool:
    """Whether the point counts gas as volume, of which energy can be made."""
    return point.medium is Medium.GAS and point.kind is Kind.VOLUME


def factors(uow: UnitOfWork, point_id: int) -> FactorsOf:
    """By what a point's volume becomes energy on which day."""
    found = _of(uow, point_id).value
    named = {one.area for one in found.states}
    return factors_by_day(found, {key: _area(uow, key).value for key in named})


def days_of(
    uow: UnitOfWork, point_id: int, periods: Sequence[ConsumptionView]
) -> list[ConsumptionView]:
    """The local days of periods that are made of days; Permanent when they are too many."""
    at, end = periods[0].start, periods[-1].end
    if (end - at).days > MAX_DAYS:
        raise Permanent(f"more than {MAX_DAYS} days; ask for less at a time")
    found: list[ConsumptionView] = []
    while at < end:
        found += consumption_in(uow, point_id, Step.DAY, at, min(at + AT_ONCE, end))
        at = found[-1].end
    return found


def usage_of(views: Sequence[ConsumptionView]) -> list[Usage]:
    """The same, to be reckoned with."""
    return [Usage(one.start, one.end, one.value, one.estimated, one.corrected) for one in views]


def _view(
    period: ConsumptionView, parts: Sequence[ConsumptionView], uses: tuple[GasUse, ...]
) -> EnergyView:
    estimated = any(one.estimated for one in parts) or any(one.preliminary for one in uses)
    with localcontext(EXACT):
        volume = sum((one.volume for one in uses), ZERO) if uses else None
    return EnergyView(
        start=period.start,
        end=period.end,
        volume=volume,
        energy=energy_of(uses),
        estimated=estimated,
        corrected=period.corrected,
        measured_percent=period.measured_percent,
        uses=uses,
    )


_NONE = Definition(GasPoint(), 0, None)


def _of(uow: UnitOfWork, point_id: int) -> Definition[GasPoint]:
    return definitions.get(uow, POINT, str(point_id), GasPoint) or _NONE


def _area(uow: UnitOfWork, key: str) -> Definition[GasArea]:
    found = definitions.get(uow, AREA, key, GasArea)
    if found is None:
        raise NotFound(f"there is no gas area {key[:60]!r}")
    return found


def _gas(uow: UnitOfWork, point_id: int) -> PointView:
    point = view_of(uow, point_id)
    if not is_gas_volume(point):
        raise Permanent(
            f"metering point {point.key} counts {point.medium.label} as {point.kind.value}; "
            "energy is made of gas that is counted as volume"
        )
    return point


def _subject(key: str) -> str:
    return f"gas-area:{key}"
