"""A reset of an index: consumption runs on through it, and nothing impossible is taken."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from cloud.domain.consumption import Step
from cloud.services import installing, points, resets
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.services.resets import Reset
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from cloud.services.views import ConsumptionView
from common.clock import to_ms
from common.errors import NotFound, Permanent
from common.registers import Kind, Medium
from tests.harness.masterdata import MasterData

START = datetime(2026, 6, 1, tzinfo=UTC)
BY = Change("ana", to_ms(datetime(2026, 7, 1, tzinfo=UTC)), "battery")


def at(hours: float) -> int:
    return to_ms(START + timedelta(hours=hours))


class Flat:
    """A meter that counts 1 m³ an hour from 100 on, and from hour 10.1 on from 0 again. It is read
    at each quarter past and to, for two days, but not between the hours 14 and 18."""

    def __init__(self, store: Store, data: MasterData) -> None:
        self.store = store
        device = data.add_device(data.add_gateway(data.add_site("mill", "UTC")))
        self.register = data.add_register(device, interval_s=1800)
        halves = [n / 2 + 0.25 for n in range(-1, 97) if not 13.5 < n / 2 < 18]
        counted = [(hour, 100 + hour if hour < 10.1 else hour - 10.1) for hour in halves]
        data.add_readings(self.register, [(at(hour), round(v * 1000)) for hour, v in counted])
        wanted = NewPoint("flat-1", "Flat 1", "mill", Medium.COLD_WATER, Kind.VOLUME)
        self.point = points.create(store, wanted, BY).id
        installing.install(store, self.point, NewMeter(self.register, serial="A1"), at(0), BY)

    def reset(self, final: str | None, start: str | None, hour: float = 10.1) -> None:
        wanted = Reset(Decimal(final) if final else None, Decimal(start) if start else None)
        resets.reset(self.store, self.point, wanted, at(hour), BY)

    def consumption(self, step: Step, hours: int = 48) -> list[ConsumptionView]:
        end = START + timedelta(hours=hours)
        return points.consumption(self.store, self.point, step, START, end)

    def amounts(self, step: Step, hours: int = 48) -> list[Decimal | None]:
        return [one.value for one in self.consumption(step, hours)]


@pytest.fixture
def flat(store: Store, data: MasterData) -> Flat:
    return Flat(store, data)


@pytest.mark.parametrize("rolled_up", [False, True])
def test_consumption_runs_on_through_a_reset(flat: Flat, *, rolled_up: bool) -> None:
    before = flat.consumption(Step.DAY)
    assert [one.value for one in before] == [None, Decimal(24)]
    flat.reset("110.1", "0")
    if rolled_up:
        roll_up(flat.store)
    assert flat.amounts(Step.HOUR) == [Decimal(1)] * 48
    assert flat.amounts(Step.DAY) == [Decimal(24)] * 2
    assert flat.amounts(Step.YEAR) == [sum(one or 0 for one in flat.amounts(Step.HOUR, 49))]
    assert flat.amounts(Step.YEAR) == [Decimal("48.25")]
    hours = flat.consumption(Step.HOUR)
    assert [n for n, one in enumerate(hours) if one.estimated] == list(range(13, 19))
    days = flat.consumption(Step.DAY)
    assert [one.measured_percent for one in days] == [one.measured_percent for one in before]
    view = points.point(flat.store, flat.point)
    assert [(one.serial, one.start_index, one.final_index) for one in view.installations] == [
        ("A1", Decimal(100), Decimal("110.1")),
        ("A1", Decimal(0), None),
    ]
    [newest, *_] = points.changes(flat.store, flat.point)
    assert (newest.by, newest.action, newest.reason) == ("ana", "reset", "battery")
    assert newest.detail == {
        "at": "2026-06-01T10:06:00+00:00",
        "final_index": "110.100",
        "start_index": "0.000",
    }


def test_indexes_that_are_not_said_leave_out_what_was_between_the_readings(flat: Flat) -> None:
    flat.reset(None, None)
    view = points.point(flat.store, flat.point)
    assert [one.final_index for one in view.installations] == [Decimal("109.75"), None]
    assert view.installations[1].start_index == Decimal("0.15")
    assert flat.amounts(Step.HOUR, 12)[9:] == [Decimal("0.75"), Decimal("0.75"), Decimal(1)]
    assert flat.amounts(Step.YEAR) == [sum(one or 0 for one in flat.amounts(Step.HOUR, 49))]
    assert flat.amounts(Step.YEAR) == [Decimal("47.75")]


def test_a_reading_at_the_time_of_the_reset_is_of_the_new_count(flat: Flat) -> None:
    flat.reset("110.25", "0.15", hour=10.25)
    assert flat.amounts(Step.HOUR) == [Decimal(1)] * 48
    assert flat.amounts(Step.DAY) == [Decimal(24)] * 2


def test_a_reset_is_said_when_the_meter_is_gone_or_was_reset_again(
    flat: Flat, data: MasterData
) -> None:
    data.add_readings(flat.register, [(at(49 + n), n * 1000) for n in range(10)])
    flat.reset("38.9", "0", hour=49)
    installing.remove(flat.store, flat.point, Decimal(9), at(58), BY)
    flat.reset("110.1", "0")
    assert flat.amounts(Step.HOUR, 58) == [Decimal(1)] * 58
    view = points.point(flat.store, flat.point)
    assert [one.final_index for one in view.installations] == [
        Decimal("110.1"),
        Decimal("38.9"),
        Decimal(9),
    ]


@pytest.mark.parametrize(
    ("final", "start", "hour", "reason"),
    [
        ("109.749", "0", 10.1, r"final_index: the meter read more at .*T09:45.*: 109\.750"),
        ("110.1", "0.151", 10.1, r"start_index: the meter read less at .*T10:15.*: 0\.150"),
        ("110", "0", 24 * 40, "still to come"),
        ("110", "0", 0, "no meter counted then"),
        ("110", "0", 9.75, "the reading of that time is of before the reset"),
        ("110.0001", "0", 10.1, "final_index: .* more than 3 decimals"),
        (None, "0", 16, "final_index: no reading shortly before .* tells it; say it"),
        ("3.7", None, 16, "start_index: no reading shortly after .* tells it; say it"),
        ("39", None, 48.5, "start_index: no reading shortly after"),
    ],
)
def test_a_reset_that_cannot_be_is_refused_and_changes_nothing(
    flat: Flat, final: str | None, start: str | None, hour: float, reason: str
) -> None:
    before = points.point(flat.store, flat.point)
    with pytest.raises(Permanent, match=reason):
        flat.reset(final, start, hour)
    assert points.point(flat.store, flat.point) == before
    assert points.changes(flat.store, flat.point)[0].action == "installed"


def test_a_start_index_above_where_the_meter_ended_is_refused(flat: Flat) -> None:
    installing.remove(flat.store, flat.point, Decimal("110.4"), at(10.4), BY)
    with pytest.raises(Permanent, match=r"start_index: the meter read less at .*: 110\.400"):
        flat.reset("110.3", "110.5", hour=10.3)
    with pytest.raises(NotFound):
        resets.reset(flat.store, 9999, Reset(), at(1), BY)
