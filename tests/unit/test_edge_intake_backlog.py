"""A live record comes before the backlog: nothing is lost or counted twice by that."""

import asyncio
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.clock import ManualClock
from common.messages.uplink import Event
from common.registers import Medium
from edge_agent.drivers.c11do1eth import C11Module
from edge_agent.intake import PATIENCE_MS
from edge_agent.metering.counters import CounterRule
from edge_agent.protocols.c11do1eth import Clock, Evt, Reason, Rec, Unreadable
from edge_agent.records import Recorder
from edge_agent.store.counter_state import MOST_WAITING, PushState
from tests.unit.edge_parts import NOW, turns
from tests.unit.test_edge_intake import rec
from tests.unit.test_edge_intake_counting import MINUTE, NUMBERS, taking, undated

ROLLING = CounterRule(modulus=1000)


def late(seq: int, total: int, boot: int = 1) -> Rec:
    record = rec(seq, total, NOW + seq * MINUTE, boot)
    return replace(record, reason=Reason.BACKLOG)


def preset(seq: int, old: int, new: int, *, at_ms: int = NOW, boot: int = 1) -> Evt:
    clock = Clock.SYNCED if at_ms else Clock.UNKNOWN
    return Evt("water", seq, boot, at_ms, clock, 1000, "PRESET", (str(old), str(new)))


@pytest.mark.parametrize(
    ("rule", "counts", "reached", "code"),
    [
        (ROLLING, (950, 980, 20, 300, 400), 1400, "counter_rollover"),
        (CounterRule(), (950, 980, 0, 30, 70), 1050, "counter_reset"),
    ],
)
async def test_a_counter_that_went_back_during_an_outage_loses_nothing_that_the_backlog_knows(
    tmp_path: Path, rule: CounterRule, counts: tuple[int, ...], reached: int, code: str
) -> None:
    before, *backlog, live = counts
    records = [late(seq, total) for seq, total in enumerate(backlog, 2)]
    async with taking(tmp_path, rule=rule) as at:
        await at.hello(1, 1)
        await at.store(late(1, before))
        await at.hello(2, len(records) + 1)
        assert await at.store(rec(len(records) + 2, live, NOW + 9 * MINUTE)) == 1
        assert len(await at.values()) == 1, "it waits for those that say what has happened"
    async with taking(tmp_path, rule=rule) as at:
        await at.hello(2, len(records) + 2)
        assert await at.store(*records) == len(records) + 2
        values = [value or 0 for _, value, _ in sorted(await at.values())]
        assert values[-1] == reached * 10
        assert values == sorted(values)
        assert await at.codes() == [code]


async def test_another_modules_backlog_is_no_part_of_the_one_before(tmp_path: Path) -> None:
    async with taking(tmp_path) as at:
        await at.hello(1, 1, boot=7)
        await at.store(rec(500, 1000, NOW, boot=7))
        await at.hello(1, 3, boot=1)
        await at.store(rec(4, 40, NOW + 5 * MINUTE))
        await at.store(late(1, 0), late(2, 10), late(3, 30))
        assert [value for _, value, _ in sorted(await at.values())] == [
            10_000, 10_000, 10_100, 10_300, 10_400,
        ]  # fmt: skip
        assert await at.codes() == ["counter_exchange"]


@pytest.mark.parametrize("boot", [7, 1], ids=["numbers", "numbers and boots"])
async def test_what_a_module_sends_again_under_numbers_given_anew_is_not_counted_again(
    tmp_path: Path, boot: int
) -> None:
    async with taking(tmp_path) as at:
        await at.hello(1, 9, boot=7)
        await at.store(rec(9, 1000, NOW + 9 * MINUTE, boot=7))
        await at.store(late(1, 900, boot=7))
        await at.hello(2, 7, boot=boot)
        await at.store(rec(8, 1010, NOW + 10 * MINUTE, boot=boot))
        await at.store(*(late(seq, 890 + 10 * seq, boot) for seq in range(2, 8)))
        await at.store(rec(9, 1020, NOW + 11 * MINUTE, boot=boot))
        values = [value or 0 for _, value, _ in await at.values()]
        assert (values[2], values[-1], max(values)) == (10_100, 10_200, 10_200)
        assert (min(values[3:]) < 10_000) is (boot == 7), "another module's come after the old's"
        assert await at.codes() == []


async def test_a_module_that_fell_back_to_an_older_memory_counts_nothing_again(
    tmp_path: Path,
) -> None:
    async with taking(tmp_path) as at:
        await at.hello(1, 9)
        await at.store(*(late(seq, 910 + 10 * seq) for seq in range(1, 10)))
        await at.hello(2, 4)
        await at.store(rec(5, 955, NOW + 10 * MINUTE))
        await at.store(late(2, 930), late(3, 940), late(4, 950))
        await at.store(rec(6, 957, NOW + 11 * MINUTE))
        values = [value for _, value, _ in await at.values()]
        assert (values[9], values[-1]) == (10_000, 10_020)
        assert await at.codes() == ["counter_reset"]


async def test_a_lower_count_waits_for_those_before_it_that_wait_for_their_time(
    tmp_path: Path,
) -> None:
    async with taking(tmp_path) as at:
        await at.hello(1, 1)
        await at.store(late(1, 1000))
        await at.hello(2, 5, boot=3)
        await at.store(undated(2, 0, 1_000, boot=2), undated(3, 30, 2_000, boot=2))
        assert await at.store(late(4, 40, boot=3)) == 4
        assert len(await at.values()) == 1
        await at.store(late(5, 45, boot=3))
        assert [value for _, value, _ in await at.values()] == [
            10_000, 10_000, 10_300, 10_400, 10_450,
        ]  # fmt: skip


async def test_what_waits_of_one_module_is_not_mixed_with_the_next_ones(tmp_path: Path) -> None:
    async with taking(tmp_path) as at:
        await at.hello(1, 9, boot=7)
        await at.store(rec(9, 1000, NOW, boot=7))
        await at.store(undated(1, 900, 1_000, boot=6))
        await at.hello(1, 1, boot=1)
        await at.store(rec(1, 5, NOW + MINUTE), rec(2, 8, NOW + 2 * MINUTE))
        assert [value for _, value, _ in await at.values()] == [10_000, 9_000, 10_000, 10_030]
        assert await at.codes() == ["counter_exchange"]


async def test_a_preset_of_unknown_time_does_not_wait_for_it(tmp_path: Path) -> None:
    async with taking(tmp_path) as at:
        await at.hello(1, 9, boot=2)
        await at.store(rec(1, 100))
        await at.store(preset(8, 110, 5000, at_ms=0, boot=2))
        await at.store(replace(undated(9, 5005, 9, boot=2), reason=Reason.FORCED))
        assert [value for _, value, _ in await at.values()] == [1000, 1150]
        assert await at.codes() == ["counter_preset"]


async def test_a_preset_behind_a_count_that_waits_is_made_behind_it(tmp_path: Path) -> None:
    async with taking(tmp_path) as at:
        await at.hello(1, 1)
        await at.store(late(1, 1000))
        await at.hello(2, 3)
        await at.store(rec(4, 60, NOW + 4 * MINUTE))
        await at.store(preset(5, 70, 500), rec(6, 510, NOW + 6 * MINUTE))
        await at.store(late(2, 1010), late(3, 20))
        assert max(value or 0 for _, value, _ in await at.values()) == (1010 + 50 + 10) * 10
        assert await at.codes() == ["counter_reset", "counter_preset"]


async def test_a_preset_of_another_module_counts_nothing(tmp_path: Path) -> None:
    async with taking(tmp_path) as at:
        await at.hello(1, 1, boot=7)
        await at.store(rec(1, 1000, NOW, boot=7))
        await at.hello(1, 1, boot=1)
        await at.store(preset(1, 5000, 1000), rec(2, 1002, NOW + MINUTE))
        assert [value for _, value, _ in await at.values()] == [10_000, 10_020]


async def test_what_never_comes_is_waited_for_no_longer_than_a_day_of_a_session(
    tmp_path: Path,
) -> None:
    async with taking(tmp_path) as at:
        await at.hello(1, 1)
        await at.store(late(1, 1000))
        await at.hello(2, 3)
        await at.store(rec(4, 60, NOW + 4 * MINUTE))
        at.module.attach(Silent())
        watching = asyncio.ensure_future(at.intake.run(at.module))
        while len(await at.values()) < 2 and at.clock.now_ms() < NOW + 2 * PATIENCE_MS:
            await turns(5)
            at.clock.advance(3600)
        watching.cancel()
        assert PATIENCE_MS <= at.clock.now_ms() - NOW <= PATIENCE_MS + 2 * 3_600_000
        assert await at.codes() == ["counter_reset"]


class Silent:
    """A link whose module answers nothing."""

    def send(self, frame: object) -> None:
        """Into the void."""


def recorder() -> Recorder:
    module = C11Module(
        *("water", b"0123456789abcdef"),
        medium=Medium.COLD_WATER,
        weight=Fraction(1, 100),
        clock=ManualClock(NOW),
    )
    return Recorder(module, NUMBERS["water"])


@pytest.mark.parametrize("known", [True, False], ids=["lower counts", "without a time"])
def test_no_more_than_a_ring_of_records_waits(known: bool) -> None:
    state, taker = PushState(0, goal=2**32 - 1), recorder()
    stored = len(taker.take(state, [rec(2, 10**6)], NOW))
    for seq in range(4, 2 * MOST_WAITING):
        one = rec(seq, seq, NOW + seq) if known else undated(seq, 10**6, seq, boot=2)
        stored += len(taker.take(state, [one], NOW))
        assert len(state.undated) + len(state.early) <= MOST_WAITING
    assert stored > MOST_WAITING


def test_the_seconds_before_a_power_cut_may_be_any_number() -> None:
    """An item whose uptime cannot be is dated within what a line can say, and can wait."""
    state, taker = PushState(0, goal=9), recorder()
    taker.take(state, [rec(1, 100)], NOW)
    odd = replace(undated(5, 7, 2**64 - 1), reason=Reason.BACKLOG)
    assert taker.take(state, [rec(6, 8, NOW), odd], NOW) == []
    assert len(state.early) == 2
    told = [body.code for body in taker.give_up(state, NOW) if isinstance(body, Event)]
    assert told == ["counter_reset"], "the module has named no wrong time"


@settings(max_examples=150)
@given(st.data())
def test_however_a_backlog_is_cut_up_the_last_index_is_that_of_the_records_in_order(
    data: st.DataObject,
) -> None:
    """Counts that fall, and only then rise, are told apart whatever comes first."""
    falls = data.draw(st.lists(st.integers(2, 30), max_size=3, unique=True))
    steps = data.draw(st.lists(st.integers(0, 3), min_size=40, max_size=40))
    total, items = 40_000, []
    for seq, step in enumerate(steps, 1):
        total += step - 10_000 * (seq in falls)
        items.append(rec(seq, total, NOW + seq))
    straight, taker = PushState(0), recorder()
    for item in items:
        taker.take(straight, [item], NOW)

    state, taker = PushState(0), recorder()
    acknowledged, made = 0, 1
    state.resume(1, 1, 1)
    taker.take(state, items[:1], NOW)
    while made < len(items):
        acknowledged = state.resume(1, state.floor + 1, made)
        waiting = items[acknowledged:made]
        fresh = items[made : made + data.draw(st.integers(1, 15))]
        made += len(fresh)
        # The offline records come behind the newest, as far as the link lasts.
        waiting += fresh[:-1]
        state.goal = made - 1
        taker.take(state, fresh[-1:], NOW)
        kept = data.draw(st.integers(0, len(waiting))) if made < len(items) else len(waiting)
        for first in range(0, kept, 20):
            taker.take(state, waiting[first : min(kept, first + 20)], NOW)
    assert state.floor == len(items)
    assert state.early == []
    assert state.counter
    assert straight.counter
    assert state.counter.total == straight.counter.total


def test_records_with_holes_between_them_cost_little_and_no_more_than_so_much() -> None:
    state = PushState(0)
    for seq in range(2, 30_000, 2):
        assert state.take(1, seq)
    assert sum(map(len, state.stored.values())) <= MOST_WAITING


def test_a_range_that_names_itself_is_not_lost() -> None:
    event = Evt("water", 9, 1, NOW, Clock.SYNCED, 1, "OVERFLOW", ("1", str(2**32 - 1)))
    state, taker = PushState(0), recorder()
    taker.take(state, [event], NOW)
    assert state.floor == 0


def test_the_oldest_number_is_never_taken_to_be_beyond_the_last() -> None:
    state = PushState(0)
    assert state.resume(1, oldest=2**32 - 1, last=5) == 5
    spoilt = Unreadable("water", 6, 1, "IM1,water,REC,6", "no fields")
    assert state.take(1, spoilt.seq)
