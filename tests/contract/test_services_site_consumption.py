"""Consumption of a whole site says what each of its metering points says, in few questions."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event

from cloud.domain.consumption import Step
from cloud.services import corrections, installing, points
from cloud.services.corrections import NewCorrection
from cloud.services.formulas import Term
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
SPAN = (START - timedelta(days=1), START + timedelta(days=3))


def at(hours: float) -> int:
    return to_ms(START + timedelta(hours=hours))


class Site:
    """A site of eight points: one exchanged, one corrected, one of another time zone's meter, one
    silent, one virtual; and a site with one more."""

    def __init__(self, store: Store, data: MasterData) -> None:
        self.store, self.data = store, data
        self.id = data.add_site("mill")
        device = data.add_device(data.add_gateway(self.id))
        other = data.add_device(data.add_gateway(data.add_site("barn", "UTC"), "gw-2"), "w2")
        registers = [data.add_register(device, f"r{n}", interval_s=1800) for n in range(7)]
        registers.append(data.add_register(other, "far", interval_s=1800))
        for n, register in enumerate(registers):
            if n != 5:
                readings = [(at(h / 2), 1000 + h * (7 + n)) for h in range(120)]
                data.add_readings(register, readings)
        for n in (0, 1, 2, 3, 4, 5):
            point = self.add(f"point-{n}")
            installing.install(store, point, NewMeter(registers[n], Decimal(1)), at(0), BY)
        meter = NewMeter(registers[6], Decimal("1.5"))
        installing.exchange(store, self.points[1], Decimal("1.5"), meter, at=at(30), change=BY)
        wrong = NewCorrection(at(20), at(25.5))
        corrections.correct(store, registers[2], wrong, BY)
        installing.install(store, self.add("far"), NewMeter(registers[7], Decimal(1)), at(0), BY)
        terms = (Term("point-0", Decimal(1)), Term("far", Decimal("-0.5")))
        wanted = NewPoint("sum", "sum", "mill", Medium.COLD_WATER, Kind.VOLUME, terms=terms)
        points.create(store, wanted, BY)
        elsewhere = NewPoint("elsewhere", "Elsewhere", "barn", Medium.COLD_WATER, Kind.VOLUME)
        points.create(store, elsewhere, BY)

    @property
    def points(self) -> list[int]:
        return [one.id for one in points.points(self.store, self.id)]

    def add(self, key: str) -> int:
        wanted = NewPoint(key, key, "mill", Medium.COLD_WATER, Kind.VOLUME)
        return points.create(self.store, wanted, BY).id


@pytest.fixture
def site(store: Store, data: MasterData) -> Site:
    return Site(store, data)


@pytest.mark.parametrize("step", [Step.HOUR, Step.DAY, Step.MONTH])
def test_it_is_what_each_point_says(site: Site, step: Step) -> None:
    for rolled_up in (False, True):
        if rolled_up:
            roll_up(site.store)
        found = points.of_site(site.store, site.id, step, *SPAN)
        assert [one.key for one in found] == ["far", *(f"point-{n}" for n in range(6)), "sum"]
        for one in found:
            assert one.periods == points.consumption(site.store, one.point_id, step, *SPAN)
    assert {one.quality for each in found for one in each.periods} >= {"missing", "corrected"}


def test_it_takes_no_more_questions_for_more_points(site: Site) -> None:
    asked: list[str] = []

    @event.listens_for(site.store._engine, "before_cursor_execute")
    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    points.of_site(site.store, site.id, Step.HOUR, *SPAN)
    few = len(asked)
    device = site.data.add_device(site.data.add_gateway(site.id, "gw-3"), "more")
    for n in range(20):
        register = site.data.add_register(device, f"more-{n}", interval_s=1800)
        site.data.add_readings(register, [(at(h / 2), h) for h in range(120)])
        meter = NewMeter(register, Decimal(0))
        installing.install(site.store, site.add(f"more-{n}"), meter, at(0), BY)
    asked.clear()
    points.of_site(site.store, site.id, Step.HOUR, *SPAN)
    assert len(asked) == few


def test_too_much_at_once_and_what_is_not_there_are_refused(site: Site) -> None:
    year = (START, START + timedelta(days=62))
    for n in range(8):
        site.add(f"empty-{n}")
    with pytest.raises(Permanent, match="more than 20000 periods of 16 points"):
        points.of_site(site.store, site.id, Step.HOUR, *year)
    with pytest.raises(NotFound):
        points.of_site(site.store, 999_999, Step.HOUR, *SPAN)
