"""Virtual metering points: exact sums, differences and shares, and no formula that cannot be."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from cloud.domain.consumption import Step
from cloud.domain.tariffs import PerUnit, Tariff, Version
from cloud.services import costs, installing, points, statements, tariffs
from cloud.services.formulas import Term
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from cloud.services.views import ConsumptionView
from common.clock import to_ms
from common.errors import NotFound, Permanent
from common.registers import Kind, Medium
from tests.harness.masterdata import MasterData

START = datetime(2026, 5, 31, 21, tzinfo=UTC)
"""Midnight in Bucharest."""

NOW = to_ms(datetime(2026, 7, 2, tzinfo=UTC))
BY = Change("ana", NOW, "as planned")
HOUR = 3_600_000
DAYS = 3
HOURS = DAYS * 24
ONE = Decimal(1)


class House:
    """A house's main meter, and two flats' behind it, of which one is read at a site in UTC.

    In hour n the main meter counts 20 + n % 7 l, the flats 5 + n % 3 l and 8 l.
    """

    def __init__(self, store: Store, data: MasterData, days: int = DAYS) -> None:
        self.store = store
        device = data.add_device(data.add_gateway(data.add_site("mill"), "gw-1"))
        self.device = device
        there = data.add_device(data.add_gateway(data.add_site("barn", "UTC"), "gw-2"), "water-2")
        self.ids: dict[str, int] = {}
        used: dict[str, tuple[int, Callable[[int], int]]] = {
            "main": (device, lambda n: 20 + n % 7),
            "flat-1": (device, lambda n: 5 + n % 3),
            "flat-2": (there, lambda _: 8),
        }
        for key, (its, litres) in used.items():
            register = data.add_register(its, key, interval_s=3600)
            index, readings = 1000, []
            for n in range(days * 24 + 1):
                readings.append((to_ms(START) + n * HOUR, index))
                index += litres(n)
            data.add_readings(register, readings)
            self.ids[key] = self.make(key)
            installing.install(store, self.ids[key], NewMeter(register), to_ms(START), BY)

    def make(self, key: str, *terms: tuple[str, str], site: str = "mill") -> int:
        made = tuple(Term(of, Decimal(factor)) for of, factor in terms)
        wanted = NewPoint(key, key, site, Medium.COLD_WATER, Kind.VOLUME, None, made)
        self.ids[key] = points.create(self.store, wanted, BY).id
        return self.ids[key]

    def put(self, key: str, *terms: tuple[str, str]) -> None:
        made = [Term(of, Decimal(factor)) for of, factor in terms]
        points.set_terms(self.store, self.ids[key], made, BY)

    def price(self, key: str) -> None:
        price = PerUnit(name="Water", price=Decimal(2))
        version = Version(valid_from=date(2026, 1, 1), charges=(price,))
        tariff = Tariff(key="water", name="Water", currency="RON", unit="m³", versions=(version,))
        tariffs.put(self.store, tariff, BY)
        tariffs.assign(self.store, self.ids[key], date(2026, 1, 1), "water", BY)

    def consumed(self, key: str, step: Step, days: int = DAYS) -> list[ConsumptionView]:
        end = START + timedelta(days=days)
        return points.consumption(self.store, self.ids[key], step, START, end)

    def terms(self, key: str) -> list[tuple[str, Decimal]]:
        view = points.point(self.store, self.ids[key])
        return [(one.point, one.factor) for one in view.terms]


@pytest.fixture
def house(store: Store, data: MasterData) -> House:
    return House(store, data)


def _values(found: list[ConsumptionView]) -> list[Decimal]:
    return [one.value for one in found if one.value is not None]


@pytest.mark.parametrize("rolled_up", [False, True])
def test_losses_are_what_the_main_meter_counts_more_and_add_up_exactly(
    house: House, *, rolled_up: bool
) -> None:
    house.make("losses", ("main", "1"), ("flat-1", "-1"), ("flat-2", "-1"))
    house.make("part", ("losses", "0.333333"), ("flat-2", "0.35"))
    if rolled_up:
        roll_up(house.store)
    hours = house.consumed("losses", Step.HOUR)
    assert _values(hours) == [Decimal(20 + n % 7 - 5 - n % 3 - 8) / 1000 for n in range(HOURS)]
    for key in ("losses", "part"):
        hourly = _values(house.consumed(key, Step.HOUR))
        days = house.consumed(key, Step.DAY)
        assert (len(hourly), len(days)) == (HOURS, DAYS)
        assert _values(days) == [sum(hourly[n * 24 : n * 24 + 24]) for n in range(DAYS)]
        [month] = house.consumed(key, Step.MONTH)
        assert (month.value, month.estimated) == (sum(hourly), True)
        told = {(one.estimated, one.measured_percent, one.missing) for one in days}
        assert told == {(False, Decimal(100), ())}


def test_periods_are_those_of_its_own_site(house: House) -> None:
    house.make("all", ("main", "1"), ("flat-2", "1"), site="barn")
    roll_up(house.store)
    found = house.consumed("all", Step.DAY, days=2)
    assert [one.start.hour for one in found] == [0, 0, 0]
    main = [20 + n % 7 + 8 for n in range(51)]
    assert _values(found)[1:] == [Decimal(sum(main[3:27])) / 1000, Decimal(sum(main[27:51])) / 1000]


def test_what_is_not_known_of_a_term_is_not_known_of_the_sum(
    house: House, data: MasterData
) -> None:
    house.make("flat-3")
    house.make("flats", ("flat-1", "1"), ("flat-3", "1"))
    house.make("house", ("flats", "1"), ("flat-2", "1"))
    day = house.consumed("house", Step.DAY)[1]
    assert (day.value, day.measured_percent) == (None, Decimal(0))
    assert list(day.missing) == ["flat-3"]
    house.put("flats", ("flat-1", "1"))
    day = house.consumed("house", Step.DAY)[1]
    assert (day.estimated, day.measured_percent) == (False, Decimal(100))
    assert not day.missing

    device = data.add_device(data.add_gateway(data.add_site("shed"), "gw-3"), "water-3")
    register = data.add_register(device, "late", interval_s=3600)
    data.add_readings(register, [(to_ms(START) + n * 40 * HOUR, n * 50) for n in range(3)])
    installing.install(house.store, house.ids["flat-3"], NewMeter(register), to_ms(START), BY)
    house.put("flats", ("flat-1", "1"), ("flat-3", "1"))
    day = house.consumed("house", Step.DAY)[1]
    assert (day.estimated, day.measured_percent) == (True, Decimal(0))
    assert not day.missing


def test_a_difference_may_be_negative_but_is_not_billed(house: House) -> None:
    house.make("wrong", ("flat-1", "1"), ("main", "-1"))
    assert all(value < 0 for value in _values(house.consumed("wrong", Step.DAY)))
    house.price("wrong")
    with pytest.raises(Permanent, match="is negative"):
        costs.cost(house.store, house.ids["wrong"], date(2026, 6, 1), date(2026, 6, 2))


def test_a_share_is_billed_like_a_meter(store: Store, data: MasterData) -> None:
    house = House(store, data, days=30)
    house.make("share", ("main", "0.35"))
    house.price("share")
    [month] = house.consumed("main", Step.MONTH, days=30)
    content = statements.issue(house.store, house.ids["share"], "2026-06", BY).content
    assert content.quantity == (month.value or 0) * Decimal("0.35") > 0
    assert (content.missing_s, content.meters) == (0, ())


def test_what_it_is_made_of_is_shown_and_its_changes_are_written_down(house: House) -> None:
    key = "flats"
    house.make(key, ("flat-1", "1"), ("flat-2", "1"))
    assert house.terms(key) == [("flat-1", ONE), ("flat-2", ONE)]
    house.put(key, ("flat-1", "0.5"))
    assert house.terms(key) == [("flat-1", Decimal("0.5"))]
    assert [view.terms for view in points.points(house.store) if view.key == key] == [
        points.point(house.store, house.ids[key]).terms
    ]
    changes = points.changes(house.store, house.ids[key])
    assert [(one.by, one.action, one.reason, one.detail.get("terms")) for one in changes] == [
        ("ana", "terms_set", "as planned", "0.5 flat-1"),
        ("ana", "created", "as planned", "1 flat-1, 1 flat-2"),
    ]


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ([("moon", "1")], r"terms\.0\.point: there is no metering point 'moon'"),
        ([("flat-1", "1"), ("flat-1", "1")], r"terms\.1: flat-1 is among them already"),
        ([("main", "1"), ("power", "1")], r"terms\.1\.point: power counts energy_import"),
        ([("main", "0")], r"terms\.0\.factor"),
        ([("main", "0.1234567")], r"terms\.0\.factor"),
        ([("sum", "1")], "made of itself: sum of sum"),
        ([("main", "1"), ("top", "1")], "made of itself: .*sum of top of mid of sum"),
        ([("four", "1")], "more than 5 formulas"),
        ([("main", "1")] * 201, "more than 200"),
    ],
)
def test_a_formula_that_cannot_be_is_refused(
    house: House, terms: list[tuple[str, str]], reason: str
) -> None:
    wanted = NewPoint("power", "P", "mill", Medium.ELECTRICITY, Kind.ENERGY_IMPORT)
    points.create(house.store, wanted, BY)
    house.make("sum", ("main", "1"))
    house.make("mid", ("sum", "1"), ("flat-1", "1"))
    house.make("top", ("mid", "1"))
    for one, below in (("two", "flat-1"), ("three", "two"), ("four", "three")):
        house.make(one, (below, "1"))
    with pytest.raises(Permanent, match=reason):
        house.put("sum", *terms)
    assert house.terms("sum") == [("main", ONE)]
    with pytest.raises(NotFound):
        points.set_terms(house.store, 9999, [], BY)


def test_a_virtual_point_gets_no_meter_and_a_metered_one_no_terms(
    house: House, data: MasterData
) -> None:
    house.make("sum", ("main", "1"))
    register = data.add_register(house.device, "spare")
    meter = NewMeter(register, Decimal(0))
    with pytest.raises(Permanent, match="gets no meter"):
        installing.install(house.store, house.ids["sum"], meter, to_ms(START), BY)
    with pytest.raises(Permanent, match="has or had a meter"):
        house.put("main", ("flat-1", "1"))
    house.put("sum")
    installing.install(house.store, house.ids["sum"], meter, to_ms(START), BY)
    assert points.point(house.store, house.ids["sum"]).terms == ()
