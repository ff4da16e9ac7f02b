"""A register that rolls over: consumption runs on, and nothing else is taken for it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from cloud.domain.consumption import Step
from cloud.services import corrections, installing, points
from cloud.services.corrections import NewCorrection
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from cloud.services.watching import watch
from common.clock import to_ms
from common.errors import Permanent
from common.registers import Kind, Medium
from tests.harness.masterdata import MasterData

START = datetime(2026, 6, 1, tzinfo=UTC)


def at(hours: float) -> int:
    return to_ms(START + timedelta(hours=hours))


BY = Change("ana", at(2))


class Flat:
    """A meter with three digits that counts 40 m³ an hour from 900 on."""

    def __init__(self, store: Store, data: MasterData) -> None:
        self.store, self.data = store, data
        gateway = data.add_gateway(data.add_site("mill", "UTC"))
        data.add_stream(gateway)
        self.register = data.add_register(data.add_device(gateway), decimals=0, interval_s=3600)
        wanted = NewPoint("flat-1", "Flat 1", "mill", Medium.COLD_WATER, Kind.VOLUME)
        self.point = points.create(store, wanted, BY).id
        meter = NewMeter(self.register, Decimal(900), rollover=Decimal(1000))
        installing.install(store, self.point, meter, at(0), BY)

    def reads(self, *hours: float) -> None:
        self.indexes({hour: int(900 + 40 * hour) % 1000 for hour in hours})

    def indexes(self, indexes: dict[float, int]) -> None:
        self.data.add_readings(self.register, [(at(h), index) for h, index in indexes.items()])
        roll_up(self.store)

    def amounts(self, step: Step, hours: int = 48) -> list[Decimal | None]:
        end = START + timedelta(hours=hours)
        found = points.consumption(self.store, self.point, step, START, end)
        return [one.value for one in found]

    def done(self) -> list[str]:
        return [one.action for one in points.changes(self.store, self.point)][:-2]


@pytest.fixture
def flat(store: Store, data: MasterData) -> Flat:
    return Flat(store, data)


def test_consumption_runs_on_through_every_rollover_of_one_look(flat: Flat) -> None:
    flat.reads(*[n + 0.25 for n in range(-1, 50)])
    assert flat.amounts(Step.HOUR)[2] is None
    watch(flat.store, at(50))
    assert flat.amounts(Step.HOUR) == [Decimal(40)] * 48
    assert flat.amounts(Step.DAY) == [Decimal(960)] * 2
    assert flat.amounts(Step.YEAR) == [Decimal(1970)]
    assert flat.done() == ["rolled_over"] * 2
    first = points.changes(flat.store, flat.point)[1]
    assert (first.by, first.reason) == (
        "inMetter",
        "The index went from 990 at 2026-06-01T02:15:00+00:00 to 30 at 2026-06-01T03:15:00+00:00",
    )
    watch(flat.store, at(52))
    assert flat.done() == ["rolled_over"] * 2


def test_until_it_is_recorded_nothing_is_said_of_what_has_it_in_it(flat: Flat) -> None:
    """Though the index ends above where it began: it has gone round."""
    flat.reads(*range(27))
    assert flat.amounts(Step.YEAR) == [None]
    assert [n for n, one in enumerate(flat.amounts(Step.HOUR, 26)) if one is None] == [2]
    watch(flat.store, at(27))
    assert flat.amounts(Step.YEAR) == [Decimal(1040)]


def test_a_backlog_on_either_side_of_it_moves_it_to_where_it_belongs(flat: Flat) -> None:
    flat.reads(0, 1, 6, 7, 8, 9)
    watch(flat.store, at(9))
    assert flat.amounts(Step.DAY, 9) == [Decimal(360)]
    flat.reads(2, 3, 4, 5)
    watch(flat.store, at(11))
    assert flat.done() == ["rolled_over", "rollover_moved", "rolled_over"]
    assert flat.amounts(Step.HOUR, 9) == [Decimal(40)] * 9
    assert flat.amounts(Step.DAY, 9) == [Decimal(360)]


@pytest.mark.parametrize(
    "indexes",
    [
        {0: 900, 1: 940, 2: 441, 3: 450, 4: 460},
        {0: 900, 1: 940, 2: 5, 3: 945, 4: 950},
        {0: 900, 1: 940, 2: 5},
        {0: 900, 1: 1500, 2: 5, 3: 6, 4: 7},
    ],
    ids=["half of the width", "a misreading", "nothing after it", "more than it can show"],
)
def test_what_is_no_rollover_is_not_taken_for_one(flat: Flat, indexes: dict[float, int]) -> None:
    flat.indexes(indexes)
    watch(flat.store, at(5))
    assert flat.done() == []


def test_one_that_was_made_of_misreadings_goes_when_they_are_corrected(flat: Flat) -> None:
    flat.indexes({0: 900, 1: 940, 2: 5, 3: 6, 4: 960, 5: 970})
    watch(flat.store, at(5))
    assert flat.done() == ["rolled_over"]
    taken_out = NewCorrection(at(2), at(3.5))
    made = corrections.correct(flat.store, flat.register, taken_out, Change("ana", at(6), "noise"))
    watch(flat.store, at(7))
    assert flat.done() == ["rollover_moved", "rolled_over"]
    assert flat.amounts(Step.DAY, 5) == [Decimal(70)]
    assert None not in flat.amounts(Step.HOUR, 5)
    corrections.withdraw(flat.store, flat.register, made.id, Change("ana", at(8), "no noise"))
    watch(flat.store, at(9))
    assert flat.done()[0] == "rolled_over"


def test_a_rollover_below_the_start_index_is_refused(flat: Flat) -> None:
    meter = NewMeter(flat.register, Decimal(950), rollover=Decimal(950))
    with pytest.raises(Permanent, match="rollover: expected more"):
        installing.exchange(flat.store, flat.point, Decimal(950), meter, at=at(2), change=BY)
