"""What the simulated module does with each verb, once, and what it reports of its own accord."""

from pathlib import Path

import pytest

from edge_agent.protocols.c11do1eth import (
    Ack,
    Clock,
    Cmd,
    Directive,
    EventCode,
    Evt,
    Frame,
    Reason,
    Rec,
    Result,
    Rsp,
    Verb,
    wrap_key,
)
from edge_agent.simulators.c11do1eth_core import C11Core
from tests.unit.test_im1_device import DAY, MINUTE, SECRET, START, only, welcome


class Bench:
    """A module with a meter that the test turns by hand; a session is open."""

    def __init__(self) -> None:
        self.pulses = 1000
        self.now = START
        self.orders = 0
        self.core = C11Core("m1", SECRET, lambda _: self.pulses, backlog_delay_s=0)
        self.core.power_up(START)
        self.core.receive(welcome(START), START)

    def order(self, verb: Verb, word: str = "", *values: int | str | bytes | None) -> list[Frame]:
        self.orders += 1
        arguments = Directive(verb, word, values).to_arguments()
        command = Cmd("m1", f"{self.orders:032x}", self.now + MINUTE, verb, arguments)
        return self.core.receive(command, self.now)

    def tick(self, seconds: int, pulses: int = 0) -> list[Frame]:
        self.now += seconds * 1000
        self.pulses += pulses
        return self.core.tick(self.now)

    def settle(self) -> None:
        self.core.receive(Ack("m1", self.core.last, 1), self.now)


def answer(frames: list[Frame]) -> tuple[Result, int | None]:
    assert isinstance(frames[0], Rsp)
    return frames[0].result, frames[0].value


def values(frames: list[Frame], code: EventCode) -> list[tuple[str, ...]]:
    return [event.values for event in only(frames, code)]


def test_a_pulse_goes_off_by_itself_and_an_order_ends_it() -> None:
    bench = Bench()
    assert answer(bench.order(Verb.OUT, "PULSE", 1500)) == (Result.OK, 1)
    assert values(bench.tick(1), EventCode.OUTPUT_CHANGED) == []
    assert values(bench.tick(1), EventCode.OUTPUT_CHANGED) == [("0", f"{1:032x}")]
    bench.order(Verb.OUT, "PULSE", 1500)
    bench.order(Verb.OUT, "ON")
    bench.tick(5)
    assert bench.core.output == 1


@pytest.mark.parametrize(("state", "before", "after"), [("on", 0, 1), ("off", 1, 0)])
def test_the_output_becomes_safe_when_the_server_is_lost_for_long(
    state: str, before: int, after: int
) -> None:
    bench = Bench()
    bench.order(Verb.OUT, "ON" if before else "OFF")
    assert answer(bench.order(Verb.SAFE, state, 60)) == (Result.OK, 60)
    bench.tick(1000)
    bench.core.disconnected()
    bench.tick(59)
    assert bench.core.output == before
    bench.tick(1)
    assert bench.core.output == after
    [*_, changed] = bench.core.ring
    assert isinstance(changed, Evt)
    assert changed.values == (str(after), "SAFE")


def test_held_the_output_stays_whatever_happens() -> None:
    bench = Bench()
    bench.order(Verb.SAFE, "off", 1)
    bench.order(Verb.OUT, "ON")
    bench.order(Verb.SAFE, "hold", 0)
    bench.core.disconnected()
    bench.tick(10_000)
    assert bench.core.output == 1


def test_settings_are_taken_and_survive_a_power_cut(tmp_path: Path) -> None:
    bench = Bench()
    assert answer(bench.order(Verb.SET, "debounce", 15)) == (Result.OK, 15)
    bench.order(Verb.SET, "edge", "rising")
    bench.order(Verb.SET, "weight", 1, 100)
    bench.order(Verb.SET, "leak", 3600, 120)
    bench.order(Verb.SET, "config", 77)
    bench.core.save(tmp_path / "memory.json")
    again = C11Core("m1", SECRET, lambda _: 0)
    again.load(tmp_path / "memory.json")
    memory = again.memory
    assert (memory.debounce_ms, memory.edge, memory.weight) == (15, "rising", (1, 100))
    assert (memory.thresholds.leak_s, memory.thresholds.pause_s) == (3600, 120)
    assert memory.config == 77


def test_a_period_that_is_set_holds_at_once() -> None:
    bench = Bench()
    bench.order(Verb.SET, "period", 10)
    assert [type(frame) for frame in bench.tick(10)] == [Rec]
    bench.order(Verb.SET, "delta", 5)
    [record] = bench.tick(1, pulses=5)
    assert isinstance(record, Rec)
    assert record.reason is Reason.DELTA


def test_a_version_is_in_force_only_when_it_was_set() -> None:
    bench = Bench()
    assert bench.core.memory.config == 0, "WELC alone says nothing of the settings"


def test_a_preset_is_logged_with_the_count_before_it() -> None:
    bench = Bench()
    bench.pulses += 7
    bench.now += 1000
    rsp, before, event = bench.order(Verb.PRESET, "", 5_000_000)
    assert answer([rsp]) == (Result.OK, 5_000_000)
    assert isinstance(before, Rec)
    assert before.total == 1007
    assert isinstance(event, Evt)
    assert event.preset == (1007, 5_000_000)
    [record] = bench.tick(60, pulses=3)
    assert isinstance(record, Rec)
    assert (record.total, record.delta, record.peak_mhz) == (5_000_003, 3, 50)


def test_a_preset_that_was_not_heard_goes_before_the_live_record() -> None:
    bench = Bench()
    bench.order(Verb.PRESET, "", 5)
    bench.core.disconnected()
    first, second = bench.core.receive(welcome(bench.now), bench.now)[:2]
    assert isinstance(first, Evt)
    assert first.preset == (1000, 5)
    assert isinstance(second, Rec)
    assert second.total == 5


def test_a_sealed_module_refuses_a_preset() -> None:
    bench = Bench()
    bench.core.sealed = True
    assert answer(bench.order(Verb.PRESET, "", 5)) == (Result.REFUSED, None)
    [record] = bench.tick(60)
    assert isinstance(record, Rec)
    assert record.total == 1000


def test_acknowledged_records_are_read_back_and_stay_acknowledged() -> None:
    bench = Bench()
    for _ in range(5):
        bench.tick(60, pulses=1)
    bench.settle()
    frames = bench.order(Verb.READ, "", 4, 6)
    assert answer(frames) == (Result.OK, 3)
    records = [frame for frame in frames if isinstance(frame, Rec)]
    assert [record.seq for record in records] == [4, 5, 6]
    assert {record.reason for record in records} == {Reason.READ_BACK}
    assert bench.core.ring == ()
    assert not bench.core.stalled(bench.now + DAY)


def test_the_clock_is_read_and_set() -> None:
    bench = Bench()
    assert answer(bench.order(Verb.TIME, "", None)) == (Result.OK, START)
    [rsp, step] = bench.order(Verb.TIME, "", START + 60_000)
    assert answer([rsp]) == (Result.OK, START + 60_000)
    assert isinstance(step, Evt)
    assert step.values == (str(START), str(START + 60_000))
    [record] = bench.tick(60)
    assert isinstance(record, Rec)
    assert (record.at_ms, record.clock) == (START + 120_000, Clock.SYNCED)


def test_a_reboot_is_answered_and_then_done_once() -> None:
    bench = Bench()
    assert answer(bench.order(Verb.REBOOT)) == (Result.OK, None)
    assert not bench.core.stalled(bench.now)
    assert bench.tick(1) == []
    assert bench.core.stalled(bench.now)
    bench.core.disconnected()
    assert not bench.core.stalled(bench.now)
    bench.tick(1)
    assert bench.core.memory.boot == 2
    [*_, event] = bench.core.ring
    assert isinstance(event, Evt)
    assert event.code == EventCode.POWER_UP


def test_a_reboot_is_not_forgotten_when_the_link_goes_first() -> None:
    bench = Bench()
    bench.order(Verb.REBOOT)
    bench.core.disconnected()
    bench.tick(1)
    assert bench.core.memory.boot == 2


def test_a_new_key_is_taken_from_who_knows_the_old_one(tmp_path: Path) -> None:
    bench, new = Bench(), b"fedcba9876543210"
    wrapped, check = wrap_key(b"x" * 16, "m1", f"{1:032x}", new)
    assert answer(bench.order(Verb.KEY, "", wrapped, check)) == (Result.REFUSED, None)
    assert bench.core.secret == SECRET
    wrapped, check = wrap_key(SECRET, "m1", f"{2:032x}", new)
    assert answer(bench.order(Verb.KEY, "", wrapped, check)) == (Result.OK, None)
    bench.core.save(tmp_path / "memory.json")
    again = C11Core("m1", SECRET, lambda _: 0)
    again.load(tmp_path / "memory.json")
    assert again.secret == new


def test_a_rate_above_the_limit_begins_and_ends() -> None:
    bench = Bench()
    bench.order(Verb.SET, "limit", 500)
    found = [values(bench.tick(1, pulses=1), EventCode.RATE_EXCEEDED) for _ in range(61)]
    assert [one for one in found if one] == [[("1", "1000", "500")]]
    quiet = [values(bench.tick(10), EventCode.RATE_EXCEEDED) for _ in range(12)]
    assert [one for one in quiet if one] == [[("0", "16", "500")]]


def test_one_pulse_alone_is_no_rate() -> None:
    bench = Bench()
    bench.order(Verb.SET, "limit", 500)
    bench.tick(59)
    assert values(bench.tick(1, pulses=1), EventCode.RATE_EXCEEDED) == []


def test_a_flow_without_a_pause_is_a_leak() -> None:
    bench = Bench()
    bench.order(Verb.SET, "leak", 3600, 600)
    found = [(number, one) for number in range(1, 20)
             if (one := values(bench.tick(300, pulses=1), EventCode.LEAK))]  # fmt: skip
    assert found == [(13, [("1", "3600")])]
    over = [values(bench.tick(300), EventCode.LEAK) for _ in range(3)]
    assert over == [[], [("0", "0")], []]


def test_draws_with_pauses_are_no_leak() -> None:
    bench = Bench()
    bench.order(Verb.SET, "leak", 3600, 600)
    for _ in range(40):
        assert values(bench.tick(300, pulses=1), EventCode.LEAK) == []
        assert values(bench.tick(600), EventCode.LEAK) == []


def test_a_standstill_is_told_once_and_ends_with_a_pulse() -> None:
    bench = Bench()
    bench.order(Verb.SET, "standstill", 7200)
    found = [(number, one) for number in range(1, 30)
             if (one := values(bench.tick(600), EventCode.STANDSTILL))]  # fmt: skip
    assert found == [(12, [("1", "7200")])]
    assert values(bench.tick(600, pulses=1), EventCode.STANDSTILL) == [("0", "18000")]


def test_a_broken_line_counts_nothing_and_says_so_at_both_ends() -> None:
    bench = Bench()
    bench.core.line_broken = True
    frames = bench.tick(60, pulses=50)
    assert values(frames, EventCode.LINE_BREAK) == [("1",)]
    [record] = [frame for frame in frames if isinstance(frame, Rec)]
    assert (record.total, record.level) == (1000, 0)
    bench.core.line_broken = False
    frames = bench.tick(60, pulses=2)
    assert values(frames, EventCode.LINE_BREAK) == [("0",)]
    [record] = [frame for frame in frames if isinstance(frame, Rec)]
    assert record.total == 1002, "what was not counted is not made up"


def test_a_contact_that_stays_closed_is_stuck() -> None:
    bench = Bench()
    bench.order(Verb.SET, "stuck", 120)
    bench.core.input_stuck = True
    found = [values(bench.tick(60), EventCode.STUCK_INPUT) for _ in range(4)]
    assert found == [[], [], [("1", "120")], []]
    bench.core.input_stuck = False
    assert values(bench.tick(60), EventCode.STUCK_INPUT) == [("0", "0")]


def test_analyses_that_are_off_say_nothing() -> None:
    bench = Bench()
    bench.core.input_stuck = True
    frames = [frame for _ in range(100) for frame in bench.tick(3600)]
    assert {frame.code for frame in frames if isinstance(frame, Evt)} == set()


def test_a_low_supply_is_told() -> None:
    bench = Bench()
    [event] = only(bench.core.brown_out(bench.now), EventCode.BROWN_OUT)
    assert event in bench.core.ring
