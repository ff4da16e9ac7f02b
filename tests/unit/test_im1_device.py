"""The simulated module without a wire: its ring, its numbers, its memory and its orders."""

from pathlib import Path

import pytest

from common.errors import Refused
from edge_agent.protocols.c11do1eth import (
    Ack,
    Cause,
    Clock,
    Cmd,
    EventCode,
    Evt,
    Frame,
    Hello,
    Nak,
    NakCode,
    Ping,
    Pong,
    Reason,
    Rec,
    Result,
    Rsp,
    Welc,
)
from edge_agent.simulators.c11do1eth_core import C11Core

START = 1_764_000_000_000
MINUTE, QUARTER, DAY = 60_000, 900_000, 86_400_000
SECRET = b"0123456789abcdef"


def fresh(capacity: int = 3400) -> C11Core:
    """A module with one pulse a second, switched on at START."""
    core = C11Core(
        "m1", SECRET, lambda ms: (ms - START) // 1000, backlog_delay_s=0, capacity=capacity
    )
    core.power_up(START)
    return core


def welcome(at_ms: int, committed: int = 0, delta: int = 0) -> Welc:
    return Welc("m1", at_ms, committed, 60, 900, delta, 4)


def order(number: int, *arguments: str, verb: str = "OUT", not_after_ms: int = START + DAY) -> Cmd:
    return Cmd("m1", f"{number:032x}", not_after_ms, verb, arguments)


def numbers(frames: list[Frame]) -> list[int]:
    return [frame.seq for frame in frames if isinstance(frame, Rec | Evt)]


def only(frames: list[Frame], kind: EventCode) -> list[Evt]:
    return [frame for frame in frames if isinstance(frame, Evt) and frame.code == kind]


def test_a_server_without_the_time_takes_no_clock_away() -> None:
    core = fresh()
    core.receive(welcome(START), START)
    core.disconnected()
    (live,) = [one for one in core.receive(welcome(0), START + 60_000) if isinstance(one, Rec)][:1]
    assert (live.at_ms, live.clock) == (START + 60_000, Clock.SYNCED)


def test_the_ring_holds_thirty_five_days_of_quarters() -> None:
    core = fresh()
    for number in range(1, 35 * 96 + 1):
        core.tick(START + number * QUARTER)
    assert core.ring[0].seq == 1
    records = [item for item in core.ring if isinstance(item, Rec)]
    assert len(records) == 35 * 96
    assert {record.delta for record in records} == {900}
    assert {record.cause for record in records} == {Cause.NO_LINK}
    assert [record.at_ms for record in records[:2]] == [START + QUARTER, START + 2 * QUARTER]


def test_without_a_session_it_records_at_the_log_period_and_with_one_at_the_push_period() -> None:
    core = fresh()
    for minute in range(1, 31):
        core.tick(START + minute * MINUTE)
    assert len(core.ring) == 1 + 2
    core.receive(welcome(START + 30 * MINUTE), START + 30 * MINUTE)
    live = [core.tick(START + minute * MINUTE) for minute in range(31, 34)]
    assert [len(frames) for frames in live] == [1, 1, 1]


def test_the_delta_threshold_makes_a_record_at_once() -> None:
    core = fresh()
    core.receive(welcome(START, delta=10), START)
    assert core.tick(START + 9_000) == []
    [record] = core.tick(START + 10_000)
    assert isinstance(record, Rec)
    assert (record.reason, record.delta, record.peak_mhz) == (Reason.DELTA, 10, 1000)


def test_the_live_record_goes_first_and_then_batches_of_twenty_oldest_first() -> None:
    core = fresh()
    for number in range(1, 50):
        core.record(START + number)
    first = numbers(core.receive(welcome(START + 60), START + 60))
    assert first == [51, *range(1, 21)]
    assert core.receive(Ack("m1", 19, 19), START + 61) == []
    assert numbers(core.receive(Ack("m1", 20, 1), START + 62)) == list(range(21, 41))
    assert numbers(core.receive(Ack("m1", 40, 20), START + 63)) == list(range(41, 51))
    assert core.receive(Ack("m1", 51, 11), START + 64) == []
    assert core.ring == ()


def test_only_what_is_acknowledged_leaves_the_ring() -> None:
    core = fresh()
    core.record(START + 1)
    core.receive(welcome(START + 2, committed=1), START + 2)
    assert [item.seq for item in core.ring] == [2, 3]
    core.receive(Ack("m1", 99, 1), START + 3)
    assert len(core.ring) == 2
    core.disconnected()
    assert numbers(core.receive(welcome(START + 4, committed=1), START + 4)) == [4, 2, 3]


def test_a_full_ring_drops_the_oldest_and_reports_the_range() -> None:
    core = fresh(capacity=10)
    for number in range(1, 20):
        core.record(START + number)
    [hello] = core.connected()
    assert isinstance(hello, Hello)
    assert (hello.last, hello.oldest) == (20, 14)
    sent = core.receive(welcome(START + 30, committed=13), START + 30)
    assert [event.lost for event in only(sent, EventCode.BACKLOG_OVERFLOW)] == [(1, 13)]
    assert len(core.ring) <= 10
    assert core.ring[0].seq == 14


def test_what_is_dropped_during_a_session_is_reported_too() -> None:
    core = fresh(capacity=10)
    core.receive(welcome(START), START)
    sent: list[Frame] = []
    for minute in range(1, 15):
        sent += core.tick(START + minute * MINUTE)
    lost = {number for event in only(sent, EventCode.BACKLOG_OVERFLOW)
            for number in range(*(event.lost or (0, 0)))}  # fmt: skip
    kept = {item.seq for item in core.ring}
    assert len(kept) == 10
    assert max(lost) < min(kept)


@pytest.mark.parametrize("kept", [True, False])
def test_numbers_and_the_ring_survive_a_power_cut(kept: bool) -> None:
    core = fresh()
    core.record(START + 1000)
    core.power_up(START + 5000, clock_kept=kept)
    boot, last = core.ring[1], core.ring[2]
    assert (boot.boot, last.boot, last.seq) == (1, 2, 3)
    assert last.clock is (Clock.HOLDOVER if kept else Clock.UNKNOWN)
    assert last.at_ms == (START + 5000 if kept else 0)
    assert core.record(START + 8000).uptime_ms == 3000


def test_time_is_unknown_then_synced_then_held_over() -> None:
    core = fresh()
    core.power_up(START, clock_kept=False)
    assert core.record(START + 1).clock is Clock.UNKNOWN
    core.receive(welcome(START + 500_000), START + 2)
    record = core.record(START + 3)
    assert (record.clock, record.at_ms) == (Clock.SYNCED, START + 500_001)
    assert core.record(START + DAY + 3).clock is Clock.HOLDOVER


def test_a_clock_step_is_an_event_and_leaves_stored_times_alone() -> None:
    core = fresh()
    before = core.record(START + 1000)
    sent = core.receive(welcome(START + 500_000), START + 2000)
    [step] = only(sent, EventCode.CLOCK_STEP)
    assert step.values == (str(START + 2000), str(START + 500_000))
    assert core.ring[1] == before


def test_an_order_switches_once_and_its_answer_is_repeated() -> None:
    moves: list[tuple[int, int]] = []
    core = C11Core("m1", SECRET, lambda _: 0, on_output=lambda *move: moves.append(move))
    core.power_up(START)
    core.receive(welcome(START), START)
    answer, event = core.receive(order(1, "ON"), START + 5)
    assert answer == Rsp("m1", f"{1:032x}", Result.OK, 1, START + 5)
    assert isinstance(event, Evt)
    assert event.values == ("1", f"{1:032x}")
    assert core.receive(order(2, "OFF"), START + 6)[0] != answer
    assert core.receive(order(1, "ON"), START + 7) == [answer]
    assert moves == [(1, START + 5), (0, START + 6)]


def test_sixty_four_answers_are_remembered_and_readings_do_not_push_them_out() -> None:
    core = fresh()
    [first, *_] = core.receive(order(1, "ON"), START)
    for number in range(2, 65):
        core.receive(order(number, "OFF"), START + 1)
    for number in range(100, 200):
        core.receive(order(number, "READ"), START + 2)
    assert core.receive(order(1, "ON"), START + 3) == [first]
    assert core.output == 0
    core.receive(order(65, "OFF"), START + 4)
    assert core.receive(order(1, "ON"), START + 5)[0] != first


@pytest.mark.parametrize(
    ("command", "result"),
    [
        (order(1, "ON", not_after_ms=START - 1), Result.EXPIRED),
        (order(1, "SIDEWAYS"), Result.UNSUPPORTED),
        (order(1), Result.UNSUPPORTED),
        (order(1, "500", verb="PULSE"), Result.UNSUPPORTED),
        (order(1, "now", verb="REBOOT"), Result.UNSUPPORTED),
        (order(1, "PULSE", "0"), Result.UNSUPPORTED),
        (order(1, "debounce", "10001", verb="SET"), Result.UNSUPPORTED),
        (order(1, "colour", "1", verb="SET"), Result.UNSUPPORTED),
        (order(1, "edge", "both", verb="SET"), Result.UNSUPPORTED),
        (order(1, "HOLD", "1", verb="SAFE"), Result.UNSUPPORTED),
        (order(1, "5", verb="READ"), Result.UNSUPPORTED),
        (order(1, "-5", verb="PRESET"), Result.UNSUPPORTED),
        (order(1, verb="PRESET"), Result.UNSUPPORTED),
        (order(1, "5", verb="PRESET", not_after_ms=START - 1), Result.EXPIRED),
    ],
)
def test_what_is_late_or_unknown_is_answered_and_not_done(command: Cmd, result: Result) -> None:
    core = fresh()
    [answer] = core.receive(command, START)
    assert answer == Rsp("m1", command.command, result, None, START)
    assert core.output == 0


def test_everything_survives_in_a_file(tmp_path: Path) -> None:
    core = fresh(capacity=5)
    for number in range(1, 9):
        core.record(START + number * 1000)
    core.receive(order(1, "ON"), START + 9000)
    core.save(tmp_path / "memory.json")
    again = C11Core("m1", SECRET, lambda _: 20, capacity=5)
    again.load(tmp_path / "memory.json")
    assert again.ring == core.ring
    assert again.output == 1
    assert again.connected() == core.connected()
    assert again.receive(order(1, "ON"), START + DAY - 1) == core.receive(order(1, "ON"), START)
    assert again.record(START + 20_000).delta == 20 - 8


def test_a_ping_is_answered_and_a_refusal_ends_the_session() -> None:
    core = fresh()
    assert core.receive(Ping("m1", 0), START + 5) == [Pong("m1", START + 5)]
    with pytest.raises(Refused, match="RATE"):
        core.receive(Nak("m1", 0, NakCode.RATE), START)


def test_it_gives_up_on_a_server_that_owes_an_acknowledgement_too_long() -> None:
    core = fresh()
    core.receive(welcome(START), START)
    core.receive(Ack("m1", 2, 2), START + 1)
    assert not core.stalled(START + 50_000)
    core.tick(START + MINUTE)
    assert not core.stalled(START + MINUTE + 30_000)
    assert core.stalled(START + MINUTE + 30_001)


def test_the_backlog_waits_for_its_random_delay() -> None:
    core = C11Core("m1", SECRET, lambda _: 0, backlog_delay_s=30)
    core.power_up(START)
    assert numbers(core.receive(welcome(START), START)) == [2]
    assert numbers(core.tick(START + 30_000)) == [1]
