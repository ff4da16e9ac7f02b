"""The energy of a metering point of gas, on both databases: derived, priced, frozen."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from cloud.domain.consumption import Step
from cloud.domain.gas_energy import CalorificValue, GasArea, GasPoint, GasState
from cloud.domain.tariffs import PerUnit, Tariff, Version
from cloud.services import costs, gas_energy, installing, points, statements, tariffs
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from common.clock import to_ms
from common.errors import NotFound, Outdated, Permanent
from common.registers import Kind, Medium
from tests.harness.masterdata import MasterData

D = Decimal
ZONE = ZoneInfo("Europe/Bucharest")
OCTOBER, NOVEMBER = (datetime(2026, month, 1, tzinfo=ZONE).astimezone(UTC) for month in (10, 11))
HOURS = 31 * 24 + 1
"""Of October, in which the clocks go back."""
BY = Change("ana", to_ms(NOVEMBER + timedelta(days=1)), "as published")
FIRST, MID = date(2026, 10, 1), date(2026, 10, 16)
Z = D("0.9674")
HOUR = D("0.012")


def area_of(*values: tuple[date, str, bool], key: str = "valley") -> GasArea:
    made = (
        CalorificValue(valid_from=at, hs=D(hs), preliminary=not_yet) for at, hs, not_yet in values
    )
    return GasArea(key=key, name=key.title(), values=tuple(made))


def state_of(at: date = FIRST, area: str = "valley") -> GasPoint:
    return GasPoint(states=(GasState(valid_from=at, z=Z, area=area),))


TWO = area_of((FIRST, "11.302", False), (MID, "11.28", False))


@pytest.fixture
def boiler(store: Store, data: MasterData) -> int:
    """A boiler that burns 0.012 m³ each hour of October."""
    device = data.add_device(data.add_gateway(data.add_site("mill", "Europe/Bucharest")))
    register = data.add_register(device, interval_s=3600, medium=Medium.GAS)
    readings = [
        (to_ms(OCTOBER + timedelta(hours=n)), 50_000 + 12 * n) for n in range(-2, HOURS + 2)
    ]
    data.add_readings(register, readings)
    wanted = NewPoint("boiler", "Boiler", "mill", Medium.GAS, Kind.VOLUME)
    point = points.create(store, wanted, BY).id
    installing.install(store, point, NewMeter(register), to_ms(OCTOBER - timedelta(hours=2)), BY)
    return point


def energy(store: Store, point: int, step: Step) -> list[gas_energy.EnergyView]:
    return gas_energy.energy(store, point, step, OCTOBER, NOVEMBER)


def price(store: Store, point: int, unit: str = "kWh", start: date = FIRST) -> None:
    version = Version(valid_from=FIRST, charges=(PerUnit(name="Gas", price=D("0.31")),))
    key = f"by-{len(unit)}"
    tariffs.put(
        store, Tariff(key=key, name=key, currency="RON", unit=unit, versions=(version,)), BY
    )
    tariffs.assign(store, point, start, key, BY)


@pytest.mark.parametrize("rolled_up", [False, True])
def test_the_month_is_the_sum_of_its_days_and_of_its_hours(
    store: Store, boiler: int, *, rolled_up: bool
) -> None:
    if rolled_up:
        roll_up(store)
    gas_energy.put_area(store, TWO, BY)
    gas_energy.put(store, boiler, state_of(), BY)
    [month] = energy(store, boiler, Step.MONTH)
    early, late = 15 * 24 * HOUR, (HOURS - 15 * 24) * HOUR
    assert [(one.start, one.end, one.volume, one.energy) for one in month.uses] == [
        (FIRST, MID, early, early * Z * D("11.302")),
        (MID, date(2026, 11, 1), late, late * Z * D("11.28")),
    ]
    assert month.volume == early + late
    assert month.energy == early * Z * D("11.302") + late * Z * D("11.28")
    assert (month.estimated, month.measured_percent) == (False, D(100))
    for step, count in ((Step.HOUR, HOURS), (Step.DAY, 31), (Step.YEAR, 1)):
        found = energy(store, boiler, step)
        assert len(found) == count
        inside = [one for one in found if step is Step.YEAR or OCTOBER <= one.start < NOVEMBER]
        if step is not Step.YEAR:
            assert sum(one.energy or 0 for one in inside) == month.energy
            assert all(len(one.uses) == 1 for one in inside)


def test_days_without_a_calorific_value_are_told_and_no_energy_is_made_up(
    store: Store, boiler: int
) -> None:
    [bare] = energy(store, boiler, Step.MONTH)
    assert (bare.energy, bare.volume) == (None, HOURS * HOUR)
    gas_energy.put_area(store, area_of((MID, "11.28", False)), BY)
    gas_energy.put(store, boiler, state_of(), BY)
    [month] = energy(store, boiler, Step.MONTH)
    assert month.energy is None
    assert [(one.start, one.end, one.energy is None) for one in month.uses] == [
        (FIRST, MID, True),
        (MID, date(2026, 11, 1), False),
    ]
    assert [one.energy is None for one in energy(store, boiler, Step.DAY)] == (
        [True] * 15 + [False] * 16
    )


def test_a_preliminary_value_is_an_estimate_until_the_final_one_replaces_it(
    store: Store, boiler: int
) -> None:
    gas_energy.put(store, boiler, GasPoint(), BY)
    gas_energy.put_area(store, area_of((FIRST, "11.2", True)), BY)
    gas_energy.put(store, boiler, state_of(), BY)
    [month] = energy(store, boiler, Step.MONTH)
    assert (month.energy, month.estimated) == (HOURS * HOUR * Z * D("11.2"), True)
    found = gas_energy.put_area(store, area_of((FIRST, "11.3", False)), BY)
    assert found.revision == 2
    [month] = energy(store, boiler, Step.MONTH)
    assert (month.energy, month.estimated) == (HOURS * HOUR * Z * D("11.3"), False)
    newest, before = gas_energy.area_changes(store, "valley")
    assert (newest.by, newest.reason, newest.detail["revision"]) == ("ana", "as published", "2")
    assert '"hs":"11.2"' in before.detail["definition"]


def test_the_same_definition_again_changes_nothing(store: Store, boiler: int) -> None:
    assert gas_energy.put_area(store, TWO, BY).revision == 1
    later = Change("ion", BY.now_ms + 1)
    assert gas_energy.put_area(store, TWO, later).revision == 1
    assert len(gas_energy.area_changes(store, "valley")) == 1
    assert [one.value for one in gas_energy.areas(store)] == [TWO]
    first = gas_energy.put(store, boiler, state_of(), BY)
    assert gas_energy.put(store, boiler, state_of(), later) == first
    assert gas_energy.get(store, boiler) == first
    assert points.changes(store, boiler)[0].action == "gas"


def test_what_somebody_else_has_changed_meanwhile_is_not_replaced(
    store: Store, boiler: int
) -> None:
    gas_energy.put_area(store, TWO, BY)
    with pytest.raises(Outdated):
        gas_energy.put_area(store, area_of((FIRST, "9", False)), BY, lambda found: not found)
    with pytest.raises(Outdated):
        gas_energy.put(store, boiler, state_of(), BY, lambda found: found.revision == 1)
    assert gas_energy.area(store, "valley").value == TWO
    assert gas_energy.get(store, boiler).value == GasPoint()


def test_only_gas_that_is_counted_as_volume_becomes_energy(store: Store, boiler: int) -> None:
    wanted = NewPoint("flat", "Flat", "mill", Medium.COLD_WATER, Kind.VOLUME)
    water = points.create(store, wanted, BY).id
    for ask in (
        lambda: gas_energy.get(store, water),
        lambda: gas_energy.put(store, water, GasPoint(), BY),
        lambda: energy(store, water, Step.DAY),
    ):
        with pytest.raises(Permanent, match="flat counts cold water as volume"):
            ask()
    with pytest.raises(Permanent, match="there is no gas area 'valley'"):
        gas_energy.put(store, boiler, state_of(), BY)
    with pytest.raises(NotFound):
        gas_energy.area(store, "valley")
    with pytest.raises(NotFound):
        gas_energy.get(store, 999)


def test_more_days_than_can_be_told_at_once_are_refused(store: Store, boiler: int) -> None:
    end = OCTOBER + timedelta(days=3_000)
    found = gas_energy.energy(store, boiler, Step.YEAR, OCTOBER, end)
    assert [one.volume is not None for one in found] == [True] + [False] * 8
    with pytest.raises(Permanent, match="more than 4000 days"):
        gas_energy.energy(store, boiler, Step.YEAR, OCTOBER, end + timedelta(days=1000))


def test_a_tariff_by_energy_prices_the_energy_of_gas(store: Store, boiler: int) -> None:
    gas_energy.put_area(store, TWO, BY)
    gas_energy.put(store, boiler, state_of(), BY)
    price(store, boiler)
    [month] = energy(store, boiler, Step.MONTH)
    [span] = costs.cost(store, boiler, FIRST, date(2026, 11, 1)).priced.spans
    [line] = span.cost.lines
    assert (line.unit, line.quantity) == ("kWh", month.energy)
    assert line.net == (line.quantity * D("0.31")).quantize(D("0.01"))


def test_tariffs_by_volume_and_by_energy_each_price_their_own_days(
    store: Store, boiler: int
) -> None:
    gas_energy.put_area(store, TWO, BY)
    gas_energy.put(store, boiler, state_of(), BY)
    price(store, boiler, "m³")
    price(store, boiler, "MWh", MID)
    view = statements.issue(store, boiler, "2026-10", BY)
    volume, energy_ = view.content.priced.spans
    late = (HOURS - 15 * 24) * HOUR
    assert (volume.cost.unit, volume.cost.quantity) == ("m³", 15 * 24 * HOUR)
    assert (energy_.cost.unit, energy_.cost.quantity) == ("MWh", late * Z * D("11.28") / 1000)
    [use] = view.content.gas
    assert (use.start, use.volume, use.z, use.hs) == (MID, late, Z, D("11.28"))


def test_hours_without_a_calorific_value_are_missing_in_the_cost(store: Store, boiler: int) -> None:
    gas_energy.put_area(store, area_of((MID, "11.28", True)), BY)
    gas_energy.put(store, boiler, state_of(), BY)
    price(store, boiler)
    [span] = costs.cost(store, boiler, FIRST, date(2026, 11, 1)).priced.spans
    assert span.cost.missing_s == 15 * 86_400
    assert span.cost.quantity == span.cost.estimated > 0


def test_no_statement_is_frozen_of_days_without_a_calorific_value(
    store: Store, boiler: int
) -> None:
    gas_energy.put_area(store, area_of((MID, "11.28", False)), BY)
    gas_energy.put(store, boiler, state_of(), BY)
    price(store, boiler)
    with pytest.raises(Permanent, match="in force on 2026-10-01 to 2026-10-15"):
        statements.issue(store, boiler, "2026-10", BY)


def test_a_statement_keeps_the_factors_and_tells_when_they_are_others(
    store: Store, boiler: int
) -> None:
    gas_energy.put_area(store, area_of((FIRST, "11.2", True)), BY)
    gas_energy.put(store, boiler, state_of(), BY)
    price(store, boiler)
    issued = statements.issue(store, boiler, "2026-10", BY)
    [use] = issued.content.gas
    assert (use.volume, use.z, use.hs, use.preliminary) == (HOURS * HOUR, Z, D("11.2"), True)
    assert use.energy == issued.content.priced.spans[0].cost.quantity
    assert not issued.since.changed
    gas_energy.put_area(store, area_of((FIRST, "11.3", False)), BY)
    later = statements.statement(store, issued.issued.id)
    assert later.content == issued.content
    [now] = later.since.gas
    assert (now.hs, now.preliminary) == (D("11.3"), False)
    assert later.since.changed
