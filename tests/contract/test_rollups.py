"""Hours and days that are summed up never say anything else than the readings do."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest

from cloud.domain.consumption import HOUR_MS, Amount, Step, amounts, boundaries, tolerance_ms
from cloud.services.boundaries import look_up
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from cloud.storage.rollups import Calendar
from common.clock import to_ms
from tests.harness.masterdata import MasterData
from tests.harness.tables import rows_of

START = datetime(2026, 3, 20, tzinfo=UTC)
END = START + timedelta(days=20)
ZONES = ("Europe/Bucharest", "Asia/Kolkata", "Australia/Lord_Howe")
INTERVAL_S = 900

T = TypeVar("T")


def _register(data: MasterData, timezone: str = "UTC", key: str = "mill") -> int:
    gateway = data.add_gateway(data.add_site(key, timezone), key)
    return data.add_register(data.add_device(gateway), interval_s=INTERVAL_S)


def _readings(seed: str) -> list[tuple[int, int | None]]:
    """An index each quarter of an hour or so, with holes, odd times, and readings without value."""
    dice = random.Random(seed)
    found: list[tuple[int, int | None]] = []
    at, index = to_ms(START), 1000
    while at < to_ms(END):
        if dice.random() < 0.97:
            found.append((at, None if dice.random() < 0.03 else index))
        at += dice.choice((INTERVAL_S * 1000, INTERVAL_S * 1000, 899_000, 901_500))
        if dice.random() < 0.003:
            at += dice.randrange(40 * HOUR_MS)
        index += dice.randrange(50)
    return found


def _amounts(
    store: Store, register: int, step: Step, zone: str, *, rolled_up: bool
) -> list[Amount]:
    bounds = boundaries(step, START - timedelta(days=2), END, ZoneInfo(zone))
    instants = list(map(to_ms, bounds))
    tolerance = tolerance_ms(INTERVAL_S)
    with store.read() as uow:
        found = (
            look_up(uow, register, Calendar(zone, INTERVAL_S), instants, step).marks
            if rolled_up
            else uow.indexes.boundaries(register, instants)
        )
    return amounts(found, tolerance)


@pytest.mark.parametrize("zone", ZONES)
def test_consumption_is_the_same_from_hours_and_days_as_from_readings(
    store: Store, data: MasterData, zone: str
) -> None:
    register = _register(data, zone)
    readings = _readings(zone)
    data.add_readings(register, readings)
    exact = {step: _amounts(store, register, step, zone, rolled_up=False) for step in Step}
    for step in Step:  # of what is still to be summed up
        assert _amounts(store, register, step, zone, rolled_up=True) == exact[step]
        assert sum(one.value or 0 for one in exact[step]) > 0
    assert roll_up(store) > 250
    assert rows_of(store, "SELECT * FROM mark") == []
    for step in Step:
        assert _amounts(store, register, step, zone, rolled_up=True) == exact[step]


def test_a_late_reading_is_in_the_answer_before_and_after_it_is_rolled_up(
    store: Store, data: MasterData
) -> None:
    register = _register(data)
    readings = _readings("late")
    late = readings[200:260]
    data.add_readings(register, readings[:200] + readings[260:])
    roll_up(store)
    before = _amounts(store, register, Step.HOUR, "UTC", rolled_up=True)
    data.add_readings(register, late)
    exact = {step: _amounts(store, register, step, "UTC", rolled_up=False) for step in Step}
    for step in Step:
        assert _amounts(store, register, step, "UTC", rolled_up=True) == exact[step]
    roll_up(store)
    for step in Step:
        assert _amounts(store, register, step, "UTC", rolled_up=True) == exact[step]
    assert exact[Step.HOUR] != before


def test_a_year_is_the_sum_of_its_hours(store: Store, data: MasterData) -> None:
    register = _register(data)
    data.add_readings(register, _readings("sum"))
    roll_up(store)
    sums = {
        step: sum(one.value or 0 for one in _amounts(store, register, step, "UTC", rolled_up=True))
        for step in Step
    }
    assert len(set(sums.values())) == 1


def test_a_reading_that_comes_while_hours_are_summed_up_is_not_missed(
    store: Store, data: MasterData
) -> None:
    register = _register(data)
    data.add_readings(register, [(to_ms(START), 5)])
    with store.read() as uow:
        seen = uow.rollups.marks((0, 0), 10)
    data.add_readings(register, [(to_ms(START) + 60_000, 9)])
    store.run(lambda uow: uow.rollups.remove_marks(seen))
    assert len(rows_of(store, "SELECT * FROM mark")) == 1
    assert roll_up(store) == 1
    assert rows_of(store, "SELECT high, readings FROM hourly") == [(9, 2)]


@pytest.mark.parametrize("step", [Step.HOUR, Step.DAY])
def test_a_roll_up_between_two_looks_makes_no_answer_old(
    store: Store, data: MasterData, step: Step
) -> None:
    """What is asked must not see an hour as it was before, and then no mark of it any more."""
    register = _register(data)
    start = to_ms(START)
    data.add_readings(register, [(start, 0), (start + 30 * HOUR_MS, 3000)])
    roll_up(store)
    data.add_readings(register, [(start + 23 * HOUR_MS + HOUR_MS // 2, 10)])
    instants = [start + n * HOUR_MS for n in ((0, 24) if step is Step.DAY else (23, 24))]
    calendar = Calendar("UTC", INTERVAL_S)

    def rolled_up() -> None:
        roll_up(store)

    with store.read() as uow:
        for name in ("hours", "days", "marked"):
            setattr(uow.rollups, name, _then(getattr(uow.rollups, name), rolled_up))
        last = look_up(uow, register, calendar, instants, step).marks[-1]
    assert last.before is not None
    assert last.before.value == 10


def _then(look: Callable[..., T], work: Callable[[], object]) -> Callable[..., T]:
    def both(*given: object) -> T:
        found = look(*given)
        work()
        return found

    return both


def test_those_who_roll_up_take_turns(mariadb_url: str) -> None:
    store, data = Store(mariadb_url), MasterData(mariadb_url)
    register = _register(data)
    data.add_readings(register, [(to_ms(START), 5), (to_ms(START) + HOUR_MS, 9)])
    with ThreadPoolExecutor(1) as pool:
        with store.begin() as uow:
            uow.rollups.take_turn()
            other = pool.submit(roll_up, store)
            assert not other.done()
            assert len(uow.rollups.marks((0, 0), 10)) == 2
        assert other.result(30) == 2
    data.close()
    store.close()


def test_days_are_summed_up_anew_when_they_begin_at_other_times(
    store: Store, data: MasterData
) -> None:
    register = _register(data, "UTC")
    data.add_readings(register, _readings("moved"))
    roll_up(store)
    utc = rows_of(store, "SELECT at FROM daily")
    [(gateway,)] = rows_of(store, "SELECT gateway_id FROM device")
    with store.begin() as uow:
        uow.gateways.rename_site_of_one(
            uow.gateways.ensure_site("mill", "Mill", "UTC"), "Mill", "Asia/Kolkata"
        )
        uow.rollups.forget_days(gateway)
    roll_up(store)
    assert set(rows_of(store, "SELECT at FROM daily")).isdisjoint(utc)
    exact = _amounts(store, register, Step.DAY, "Asia/Kolkata", rolled_up=False)
    assert _amounts(store, register, Step.DAY, "Asia/Kolkata", rolled_up=True) == exact


def test_hours_that_are_marked_already_are_marked_once_more_when_days_are_forgotten(
    store: Store, data: MasterData
) -> None:
    register = _register(data)
    data.add_readings(register, [(to_ms(START), 5), (to_ms(START) + HOUR_MS, 9)])
    roll_up(store)
    [(gateway,)] = rows_of(store, "SELECT gateway_id FROM device")
    data.add_readings(register, [(to_ms(START) + 1, 5)])
    store.run(lambda uow: uow.rollups.forget_days(gateway))
    assert rows_of(store, "SELECT at, n FROM mark ORDER BY at") == [
        (to_ms(START), 2),
        (to_ms(START) + HOUR_MS, 1),
    ]


def test_marks_of_a_register_that_is_gone_do_no_harm(store: Store) -> None:
    store.run(lambda uow: uow.rollups.add_marks({(99, to_ms(START))}))
    assert roll_up(store) == 1
    assert roll_up(store) == 0
