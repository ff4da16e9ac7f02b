"""Degree days of a metering point, on both databases."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from cloud.domain.consumption import Step
from cloud.domain.degree_days import Heating, Status
from cloud.services import degree_days, installing, points
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
USED = HOURS * D("0.012")
BY = Change("ana", to_ms(NOVEMBER + timedelta(days=1)), "means of 1991 to 2020")
USUAL = tuple(map(D, (620, 540, 450, 280, 120, 30, 0, 5, 90, 310, 430, 570)))


class House:
    """It uses 0.012 m³ each hour of October; outside it is 10 °C, and 16 °C from the 16th on."""

    def __init__(self, store: Store, data: MasterData) -> None:
        self.store, self.data = store, data
        device = data.add_device(data.add_gateway(data.add_site("mill", "Europe/Bucharest")))
        self.meter = data.add_register(device, interval_s=3600, medium=Medium.GAS)
        data.add_readings(self.meter, [(self.at(n), 50_000 + 12 * n) for n in range(-2, HOURS + 2)])
        self.outside = data.add_register(
            device, "outside", kind=Kind.TEMPERATURE, decimals=1, interval_s=1800
        )
        wanted = NewPoint("house", "House", "mill", Medium.GAS, Kind.VOLUME)
        self.point = points.create(store, wanted, BY).id
        installing.install(store, self.point, NewMeter(self.meter), self.at(-2), BY)

    @staticmethod
    def at(hours: float) -> int:
        return to_ms(OCTOBER + timedelta(hours=hours))

    def measure(self, start: int = -2, end: int = 2 * HOURS + 3) -> None:
        """Each half hour, from one to another."""
        warm = 2 * 15 * 24
        readings: list[tuple[int, int | None]] = [
            (self.at(n / 2), 160 if n >= warm else 100) for n in range(start, end)
        ]
        self.data.add_readings(self.outside, readings)

    def put(self, limit: str = "15", base: str = "20", *usual: Decimal) -> None:
        heating = Heating(register_id=self.outside, base=D(base), limit=D(limit), reference=usual)
        degree_days.put(self.store, self.point, heating, BY)

    def ask(self, step: Step) -> list[degree_days.DegreeDaysView]:
        return degree_days.of_point(self.store, self.point, step, OCTOBER, NOVEMBER)


@pytest.fixture
def house(store: Store, data: MasterData) -> House:
    return House(store, data)


@pytest.mark.parametrize("rolled_up", [False, True])
def test_the_month_is_the_sum_of_its_days_and_is_normalised(
    house: House, *, rolled_up: bool
) -> None:
    house.measure()
    house.put("15", "20", *USUAL)
    if rolled_up:
        roll_up(house.store)
    [month] = house.ask(Step.MONTH)
    found = house.ask(Step.DAY)
    # From 23:30 to midnight it rises from 10 to 16 °C: 0.06 °C of the last cold day's mean.
    assert [one.degree_days for one in found] == [D(10)] * 14 + [D("9.94")] + [D(0)] * 16
    assert (month.degree_days, month.heating_days) == (D("149.94"), 15)
    assert (month.temperature_percent, month.measured_percent) == (D(100), D(100))
    assert (month.consumption, month.reference) == (USED, D(310))
    each = D("0.000001")
    assert month.normalised == (USED * 310 / D("149.94")).quantize(each)
    assert month.per_degree_day == (USED / D("149.94")).quantize(each)
    assert (month.status, month.estimated) == (Status.GOOD, False)
    assert sum(one.reference or 0 for one in found) == 310
    assert (found[-1].status, found[-1].normalised) == (Status.NO_HEATING, None)


def test_a_month_with_a_day_without_a_temperature_is_not_normalised(house: House) -> None:
    house.measure(end=2 * (HOURS - 24) + 1)
    house.put("15", "20", *USUAL)
    [month] = house.ask(Step.MONTH)
    assert (month.degree_days, month.normalised) == (None, None)
    assert month.status is Status.NO_TEMPERATURE
    assert month.consumption == USED
    assert D("96.7") <= month.temperature_percent <= D("96.8")
    assert [one.degree_days is None for one in house.ask(Step.DAY)] == [False] * 30 + [True]


def test_without_a_usual_year_there_is_only_what_each_degree_day_took(house: House) -> None:
    house.measure()
    house.put("15.5", "15.5")
    [month] = house.ask(Step.MONTH)
    assert month.degree_days == D("82.44")
    assert (month.reference, month.normalised) == (None, None)
    assert month.status is Status.NO_REFERENCE
    assert month.per_degree_day is not None


def test_what_is_put_is_counted_up_noted_and_not_replaced_unseen(house: House) -> None:
    with pytest.raises(NotFound, match="nothing was put"):
        house.ask(Step.MONTH)
    house.put()
    house.put()
    found = degree_days.get(house.store, house.point)
    assert (found.value, found.revision) == (Heating(register_id=house.outside), 1)
    wanted = Heating(register_id=house.outside, limit=D(12))
    with pytest.raises(Outdated):
        degree_days.put(house.store, house.point, wanted, BY, lambda found: found is None)
    assert degree_days.put(house.store, house.point, wanted, BY).revision == 2
    newest = points.changes(house.store, house.point)[0]
    assert (newest.action, newest.reason) == ("degree days", BY.reason)
    assert '"limit":"12"' in newest.detail["definition"]


def test_only_a_register_of_temperature_tells_how_cold_it_is(house: House) -> None:
    for register, wrong in ((house.meter, "is of volume"), (999, "there is no register 999")):
        with pytest.raises(Permanent, match=wrong):
            degree_days.put(house.store, house.point, Heating(register_id=register), BY)
    with pytest.raises(NotFound):
        degree_days.put(house.store, 999, Heating(register_id=house.outside), BY)


def test_hours_and_too_many_days_are_refused(house: House) -> None:
    house.put()
    with pytest.raises(Permanent, match="degree days are of days"):
        house.ask(Step.HOUR)
    end = OCTOBER + timedelta(days=1600)
    with pytest.raises(Permanent, match="more than 1500 days"):
        degree_days.of_point(house.store, house.point, Step.YEAR, OCTOBER, end)
