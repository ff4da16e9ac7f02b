"""What a pushing device may forget: the highest number up to which all is stored."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.metering.counters import CounterRule
from edge_agent.metering.tally import Sample
from edge_agent.store.counter_state import PushState


def test_newer_records_do_not_acknowledge_older_ones_that_are_missing() -> None:
    state = PushState(10)
    assert state.take(1, 13)
    assert state.floor == 10
    assert state.take(1, 11)
    assert state.floor == 11
    assert state.take(1, 12)
    assert (state.floor, state.stored) == (13, {})


def test_a_record_that_comes_twice_is_new_once() -> None:
    state = PushState(0)
    assert state.take(1, 2)
    assert not state.take(1, 2)
    assert state.take(1, 1)
    assert not state.take(1, 1)
    assert not state.take(1, 2)


def test_numbers_go_on_over_a_reboot() -> None:
    state = PushState(0)
    assert state.take(1, 1)
    assert state.resume(2, oldest=1, last=2) == 1
    assert state.take(2, 2)
    assert state.floor == 2


def test_what_the_device_has_no_more_is_not_waited_for() -> None:
    state = PushState(0)
    state.take(1, 5)
    assert state.resume(1, oldest=4, last=5) == 3
    assert state.resume(1, oldest=5, last=5) == 5


def test_numbers_that_are_given_again_are_not_taken_as_stored() -> None:
    state = PushState(0)
    for seq in range(1, 8):
        state.take(3, seq)
    assert state.resume(4, oldest=6, last=6) == 5
    assert state.take(4, 7), "the device lost 7 in a power cut and has given it to another record"


def test_a_device_that_was_reset_loses_nothing() -> None:
    state = PushState(500, boot=9)
    assert state.resume(1, oldest=1, last=800) == 0
    assert state.take(1, 1)


@given(st.lists(st.integers(1, 12), max_size=40))
def test_everything_up_to_the_floor_was_taken(order: list[int]) -> None:
    state = PushState(0)
    taken: set[int] = set()
    for seq in order:
        assert state.take(1, seq) is (seq not in taken)
        taken.add(seq)
        assert set(range(1, state.floor + 1)) <= taken
        assert state.floor + 1 not in taken


def test_what_the_device_has_lost_is_not_waited_for() -> None:
    state = PushState(0)
    state.take(1, 1)
    state.take(1, 6)
    assert state.floor == 1
    state.lose(1, 1, 5)
    assert state.floor == 6
    state.lose(1, 2, 4)
    assert state.floor == 6


def test_the_state_of_an_older_agent_is_still_read() -> None:
    old = b'{"floor":5,"boot":2,"counter":{"raw":7,"at":9,"total":12,"offsets":[[3,5]]}}'
    state = msgspec.json.decode(old, type=PushState)
    assert state.counter
    assert (state.counter.raw, state.counter.total, state.counter.offset) == (7, 12, 5)
    total, _ = state.counter.count(Sample(6, 2, 1000, 9), CounterRule())
    assert total == 14
