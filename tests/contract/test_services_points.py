"""Metering points: consumption runs on through exchanges, and nothing impossible is taken."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from cloud.domain.consumption import Step
from cloud.services import installing, points
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from common.clock import to_ms
from common.errors import NotFound, Permanent
from common.registers import Kind, Medium
from tests.harness.masterdata import MasterData

START = datetime(2026, 6, 1, tzinfo=UTC)
NOW = to_ms(datetime(2026, 7, 1, tzinfo=UTC))
BY = Change("ana", NOW, "as planned")
HOUR = 3_600_000


def at(hours: float) -> int:
    return to_ms(START + timedelta(hours=hours))


class Flat:
    """A flat's metering point, with an old meter and a new one, of which readings are there.

    The old one reads each half hour from 100 m³ on, 1 m³ an hour; the new one from hour 10 on.
    """

    def __init__(self, store: Store, data: MasterData) -> None:
        self.store = store
        device = data.add_device(data.add_gateway(data.add_site("mill", "UTC")))
        other = data.add_device(data.add_gateway(data.add_site("barn", "UTC"), "gw-2"), "water-2")
        self.old = data.add_register(device, "volume", interval_s=1800)
        self.new = data.add_register(other, "volume", interval_s=1800, decimals=1)
        self.power = data.add_register(device, "power", kind=Kind.POWER)
        halves = [(at(n / 2), 100_000 + n * 500) for n in range(21)]
        data.add_readings(self.old, [(when, index) for when, index in halves])
        data.add_readings(self.new, [(at(10 + n / 2), 70 + n * 5) for n in range(1, 29)])
        wanted = NewPoint("flat-1", "Flat 1", "mill", Medium.COLD_WATER, Kind.VOLUME)
        self.point = points.create(store, wanted, BY).id

    def amounts(self, step: Step, hours: float) -> list[Decimal | None]:
        end = START + timedelta(hours=hours)
        found = points.consumption(self.store, self.point, step, START, end)
        return [one.value for one in found]


@pytest.fixture
def flat(store: Store, data: MasterData) -> Flat:
    return Flat(store, data)


def _exchanged(flat: Flat) -> None:
    """At hour 10 the old meter stands at 110, the new one at 7."""
    installing.install(flat.store, flat.point, NewMeter(flat.old, serial="A1"), at(0), BY)
    meter = NewMeter(flat.new, Decimal(7), "B2")
    installing.exchange(flat.store, flat.point, Decimal(110), meter, at=at(10), change=BY)


@pytest.mark.parametrize("rolled_up", [False, True])
def test_consumption_runs_on_through_an_exchange(flat: Flat, *, rolled_up: bool) -> None:
    _exchanged(flat)
    if rolled_up:
        roll_up(flat.store)
    assert flat.amounts(Step.HOUR, 24) == [Decimal(1)] * 24
    assert flat.amounts(Step.DAY, 24) == [Decimal(24)]
    found = points.consumption(flat.store, flat.point, Step.DAY, START, START + timedelta(hours=24))
    assert [(one.estimated, one.measured_percent) for one in found] == [(False, Decimal(100))]
    view = points.point(flat.store, flat.point)
    assert [(one.serial, one.start_index, one.final_index) for one in view.installations] == [
        ("A1", Decimal(100), Decimal(110)),
        ("B2", Decimal(7), None),
    ]
    assert [one.action for one in points.changes(flat.store, flat.point)] == [
        "exchanged",
        "installed",
        "created",
    ]


@pytest.mark.parametrize(
    ("outage", "percents"),
    [((5, 5), ["100.0"]), ((0, 9), ["41.3", "41.4", "41.5", "41.6", "41.7"])],
)
def test_what_the_new_meter_read_before_the_exchange_hides_and_doubles_no_time(
    store: Store, data: MasterData, outage: tuple[float, float], percents: list[str]
) -> None:
    """Both read each minute but in an outage of both; they are exchanged at half past ten."""
    gateway = data.add_gateway(data.add_site("mill", "UTC"))
    old, new = (
        data.add_register(data.add_device(gateway, key), interval_s=60) for key in ("old", "new")
    )
    minutes = [n for n in range(24 * 60 + 1) if not outage[0] < n / 60 < outage[1]]
    data.add_readings(old, [(at(n / 60 + 1 / 120), n) for n in minutes if n < 630])
    data.add_readings(new, [(at(n / 60), n) for n in minutes])
    roll_up(store)
    point = points.create(store, NewPoint("p", "P", "mill", Medium.GAS, Kind.VOLUME), BY).id
    installing.install(store, point, NewMeter(old, Decimal(0)), at(0), BY)
    meter = NewMeter(new, Decimal("0.630"))
    installing.exchange(store, point, Decimal("0.630"), meter, at=at(10.5), change=BY)
    [day] = points.consumption(store, point, Step.DAY, START, START + timedelta(days=1))
    assert day.value == Decimal("1.440")
    assert str(day.measured_percent) in percents


def test_a_gap_of_a_meter_is_one_also_when_one_follows_that_is_read_seldom(
    store: Store, data: MasterData
) -> None:
    gateway = data.add_gateway(data.add_site("mill", "UTC"))
    often = data.add_register(data.add_device(gateway, "old"), interval_s=60)
    seldom = data.add_register(data.add_device(gateway, "new"), interval_s=86_400)
    data.add_readings(often, [(at(n / 60), n) for n in range(600) if not 115 < n < 305])
    data.add_readings(seldom, [(at(10), 600), (at(34), 1000)])
    point = points.create(store, NewPoint("p", "P", "mill", Medium.GAS, Kind.VOLUME), BY).id
    installing.install(store, point, NewMeter(often), at(0), BY)

    def hours() -> list[tuple[Decimal | None, bool, Decimal]]:
        found = points.consumption(store, point, Step.HOUR, START, START + timedelta(hours=9))
        return [(one.value, one.estimated, one.measured_percent) for one in found]

    before = hours()
    assert [estimated for _, estimated, _ in before] == [False] + [True] * 5 + [False] * 3
    meter = NewMeter(seldom, Decimal("0.600"))
    installing.exchange(store, point, Decimal("0.600"), meter, at=at(10), change=BY)
    assert hours() == before


def test_a_start_index_that_is_not_said_is_the_readings(flat: Flat) -> None:
    view = installing.install(flat.store, flat.point, NewMeter(flat.old), at(2.25), BY)
    assert view.installations[0].start_index == Decimal("102.250")
    view = installing.remove(flat.store, flat.point, None, at(5.75), BY)
    assert view.installations[0].final_index == Decimal("105.750")
    assert flat.amounts(Step.HOUR, 4) == [None, None, Decimal("0.750"), Decimal(1)]


def test_the_multiplier_of_a_transformer_counts(flat: Flat) -> None:
    meter = NewMeter(flat.old, multiplier=Decimal("0.25"))
    installing.install(flat.store, flat.point, meter, at(0), BY)
    assert flat.amounts(Step.HOUR, 2) == [Decimal("0.25")] * 2


@pytest.mark.parametrize(
    ("meter", "hour", "reason"),
    [
        (lambda flat: NewMeter(flat.power), 0, "counts power"),
        (lambda flat: NewMeter(9999), 0, "no register 9999"),
        (lambda flat: NewMeter(flat.old), 24 * 40, "still to come"),
        (lambda flat: NewMeter(flat.old, Decimal(105)), 1, "read less at"),
        (lambda flat: NewMeter(flat.old, Decimal("0.0001")), 1, "more than 3 decimals"),
        (lambda flat: NewMeter(flat.old), 24 * 20, "no reading around"),
        (lambda flat: NewMeter(flat.old, multiplier=Decimal(0)), 0, "multiplier"),
        (lambda flat: NewMeter(flat.old, multiplier=Decimal("1e-9")), 0, "multiplier"),
    ],
)
def test_a_meter_that_cannot_count_there_is_refused(
    flat: Flat, meter: object, hour: int, reason: str
) -> None:
    assert callable(meter)
    with pytest.raises(Permanent, match=reason):
        installing.install(flat.store, flat.point, meter(flat), at(hour), BY)
    assert points.point(flat.store, flat.point).installations == ()


def test_a_register_counts_for_one_metering_point_at_a_time(flat: Flat) -> None:
    _exchanged(flat)
    wanted = NewPoint("flat-2", "Flat 2", "mill", Medium.COLD_WATER, Kind.VOLUME)
    second = points.create(flat.store, wanted, BY).id
    with pytest.raises(Permanent, match=r"counted until .* for metering point"):
        installing.install(flat.store, second, NewMeter(flat.old), at(5), BY)
    with pytest.raises(Permanent, match=r"counts for metering point"):
        installing.install(flat.store, second, NewMeter(flat.new), at(12), BY)
    installing.install(flat.store, second, NewMeter(flat.old), at(10), BY)
    with pytest.raises(Permanent, match="installed already; exchange it"):
        installing.install(flat.store, second, NewMeter(flat.new), at(12), BY)


@pytest.mark.parametrize(
    ("final", "hour", "reason"),
    [
        (Decimal("109.9"), 10, "the meter read more at"),
        (None, 24 * 20, "no reading around"),
        (Decimal(110), 0, "was installed later"),
    ],
)
def test_an_exchange_that_cannot_be_changes_nothing(
    flat: Flat, final: Decimal | None, hour: int, reason: str
) -> None:
    view = installing.install(flat.store, flat.point, NewMeter(flat.old), at(0), BY)
    meter = NewMeter(flat.new, Decimal(7))
    with pytest.raises(Permanent, match=reason):
        installing.exchange(flat.store, flat.point, final, meter, at=at(hour), change=BY)
    with pytest.raises(Permanent, match="no register 9999"):
        installing.exchange(
            flat.store, flat.point, Decimal(110), NewMeter(9999), at=at(10), change=BY
        )
    assert points.point(flat.store, flat.point) == view


def test_without_a_meter_there_is_none_to_remove(flat: Flat) -> None:
    with pytest.raises(Permanent, match="install one"):
        installing.remove(flat.store, flat.point, Decimal(1), at(1), BY)
    with pytest.raises(NotFound):
        installing.remove(flat.store, 9999, Decimal(1), at(1), BY)
    assert flat.amounts(Step.DAY, 48) == [None, None]


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (NewPoint("flat-1", "X", "mill", Medium.COLD_WATER, Kind.VOLUME), "already"),
        (NewPoint("flat-2", "X", "moon", Medium.COLD_WATER, Kind.VOLUME), "no site 'moon'"),
        (NewPoint("flat-2", "X", "mill", Medium.COLD_WATER, Kind.FLOW), "flow is no index"),
        (NewPoint("fl at", "X", "mill", Medium.COLD_WATER, Kind.VOLUME), "key"),
        (NewPoint("part", "X", "mill", Medium.GAS, Kind.VOLUME, "moon"), "no metering point"),
        (
            NewPoint("part", "X", "mill", Medium.ELECTRICITY, Kind.ENERGY_IMPORT, "flat-1"),
            "counts volume, not energy_import",
        ),
    ],
)
def test_a_metering_point_that_cannot_be_is_refused(
    flat: Flat, wanted: NewPoint, reason: str
) -> None:
    with pytest.raises(Permanent, match=reason):
        points.create(flat.store, wanted, BY)
    assert [one.key for one in points.points(flat.store)] == ["flat-1"]
