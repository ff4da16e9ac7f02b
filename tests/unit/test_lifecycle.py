"""The life of a command: what may follow what."""

from itertools import permutations

import pytest

from cloud.domain.lifecycle import (
    FINAL,
    OPEN,
    REPORTED,
    STEP_NUMBERS,
    TRANSITIONS,
    State,
    at_deadline,
    diagram,
    may_follow,
)


def live(reports: tuple[State, ...], start: State = State.PENDING) -> State:
    """Where a command ends when it is told ``reports``, and ignores what is not allowed."""
    state = start
    for report in reports:
        state = report if may_follow(state, report) else state
    return state


def test_every_state_has_its_row() -> None:
    assert TRANSITIONS.keys() == set(State)


def test_nothing_follows_itself() -> None:
    assert not any(state in following for state, following in TRANSITIONS.items())


@pytest.mark.parametrize("result", [State.SUCCEEDED, State.FAILED, State.REJECTED, State.EXPIRED])
def test_a_result_settles_a_command_in_whatever_order_the_reports_come(result: State) -> None:
    for order in permutations((State.SENT, State.ACCEPTED, result)):
        assert live(order) is result


def test_the_first_result_stays() -> None:
    for first, second in permutations((State.SUCCEEDED, State.FAILED, State.REJECTED), 2):
        assert live((first, second)) is first


def test_a_late_result_settles_what_was_unconfirmed() -> None:
    assert live((State.SENT, State.UNCONFIRMED, State.ACCEPTED)) is State.UNCONFIRMED
    assert live((State.SENT, State.UNCONFIRMED, State.SUCCEEDED)) is State.SUCCEEDED


def test_what_was_sent_can_not_be_cancelled() -> None:
    assert [s for s in State if may_follow(s, State.CANCELLED)] == [State.PENDING]


def test_a_device_is_believed_over_a_cloud_that_let_a_command_expire() -> None:
    assert live((State.EXPIRED, State.SUCCEEDED)) is State.SUCCEEDED


def test_a_deadline_makes_the_unsent_expire_and_the_sent_unconfirmed() -> None:
    assert {state: at_deadline(state) for state in OPEN} == {
        State.PENDING: State.EXPIRED,
        State.SENT: State.UNCONFIRMED,
        State.ACCEPTED: State.UNCONFIRMED,
    }
    assert all(at_deadline(state) is None for state in FINAL | {State.UNCONFIRMED})


def test_a_deadline_leads_only_where_the_table_allows() -> None:
    for state in State:
        following = at_deadline(state)
        assert following is None or may_follow(state, following)


def test_what_a_gateway_reports_is_never_an_inner_state() -> None:
    assert not REPORTED & {State.PENDING, State.SENT, State.CANCELLED}


def test_the_diagram_shows_every_transition() -> None:
    arrows = [line.split() for line in diagram().splitlines()[2:]]
    assert {(a, b) for a, _, b in arrows} == {
        (state, following) for state, after in TRANSITIONS.items() for following in after
    }


def test_what_may_follow_has_a_later_place_in_the_life_line() -> None:
    assert STEP_NUMBERS.keys() == set(State)
    for state, following in TRANSITIONS.items():
        assert all(STEP_NUMBERS[one] > STEP_NUMBERS[state] for one in following), state
