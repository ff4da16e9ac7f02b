"""Rules as step tables: a reading, a leap of time, what the rule wants."""

import random

import pytest

from common.rules import Firing, RegisterRef, Rule, RuleState, Sighting, evaluate

START = 1_763_900_000_000


def rule(*, hold_s: int = 0, max_age_s: int = 60) -> Rule:
    return Rule(
        name="roof",
        source=RegisterRef("gw", "meter", "power"),
        above="100",
        below="80",
        output=RegisterRef("gw", "module", "roof"),
        hold_s=hold_s,
        max_age_s=max_age_s,
    )


def run(steps: list[tuple[int, int]], *, hold_s: int = 0, max_age_s: int = 60) -> list[int | None]:
    """What the rule wants after each (second, value), read as it is measured."""
    state, wanted = RuleState(), []
    one = rule(hold_s=hold_s, max_age_s=max_age_s)
    for second, value in steps:
        at = START + second * 1000
        state, firings = evaluate(one, state, [Sighting(at, value)], at, above=100, below=80)
        wanted.append(firings[0].value if firings else None)
    return wanted


@pytest.mark.parametrize(
    ("hold_s", "steps", "wanted"),
    [
        (0, [(0, 101)], [1]),
        (0, [(0, 100)], [None]),
        (0, [(0, 80)], [None]),
        (0, [(0, 79)], [0]),
        (0, [(0, 90), (1, 101), (2, 90), (3, 101)], [None, 1, None, None]),
        (0, [(0, 101), (1, 99), (2, 80), (3, 79), (4, 101)], [1, None, None, 0, 1]),
        (0, [(0, 101), (1, 102), (2, 500)], [1, None, None]),
        (10, [(0, 101), (9, 101), (10, 101)], [None, None, 1]),
        (10, [(0, 101), (5, 90), (6, 101), (15, 101), (16, 101)], [None] * 4 + [1]),
        (10, [(0, 101), (5, 79), (10, 101), (15, 79)], [None] * 4),
        (10, [(0, 101), (151, 101), (160, 101), (161, 101)], [None, None, None, 1]),
        (120, [(0, 101), (61, 101), (121, 101)], [None, None, 1]),
        (120, [(0, 101), (150, 101)], [None, 1]),
        (120, [(0, 101), (60, 90), (120, 101), (180, 101), (240, 101)], [None] * 4 + [1]),
    ],
)
def test_thresholds_hysteresis_and_hold(
    hold_s: int, steps: list[tuple[int, int]], wanted: list[int | None]
) -> None:
    assert run(steps, hold_s=hold_s) == wanted


@pytest.mark.parametrize(
    ("age_s", "fires"),
    [(0, True), (60, True), (61, False), (86_400, False), (-2, True), (-300, True), (-301, False)],
)
def test_a_backlog_reading_switches_nothing(age_s: int, fires: bool) -> None:
    seen = [Sighting(START - age_s * 1000, 101)]
    state, firings = evaluate(rule(), RuleState(), seen, START, above=100, below=80)
    assert bool(firings) is fires
    assert (state == RuleState()) is not fires


def test_sightings_in_any_order_give_the_same() -> None:
    seen = [Sighting(START + n * 1000, value) for n, value in enumerate((101, 120, 79, 90, 130))]
    shuffled = seen.copy()
    random.Random(7).shuffle(shuffled)
    now = START + 10_000
    expected = evaluate(rule(), RuleState(), seen, now, above=100, below=80)
    assert evaluate(rule(), RuleState(), shuffled, now, above=100, below=80) == expected
    assert expected[1] == [Firing(1, START + 4000, 130)]


def test_a_sighting_is_looked_at_once() -> None:
    seen = [Sighting(START, 101)]
    state, first = evaluate(rule(), RuleState(), seen, START, above=100, below=80)
    again, second = evaluate(rule(), state, seen, START, above=100, below=80)
    assert (len(first), second, again) == (1, [], state)


def test_an_older_sighting_does_not_undo_a_newer_one() -> None:
    state, _ = evaluate(rule(), RuleState(), [Sighting(START, 101)], START, above=100, below=80)
    older = [Sighting(START - 5000, 79)]
    assert evaluate(rule(), state, older, START, above=100, below=80) == (state, [])


def test_a_clock_that_is_ahead_does_not_keep_a_rule_from_switching() -> None:
    state, wanted = RuleState(), []
    for second, value in ((0, 101), (10, 101), (11, 79), (21, 79)):
        now = START + second * 1000
        seen = [Sighting(now + 1300, value)]
        state, firings = evaluate(rule(hold_s=10), state, seen, now, above=100, below=80)
        wanted.append(firings[0].value if firings else None)
    assert wanted == [None, 1, None, 0]


def test_of_several_sightings_ahead_the_newest_decides_and_none_completes_a_hold() -> None:
    seen = [Sighting(START + n * 1000, value) for n, value in ((60, 120), (1, 101), (120, 79))]
    _, firings = evaluate(rule(), RuleState(), seen, START, above=100, below=80)
    assert firings == [Firing(0, START, 79)]
    held, firings = evaluate(rule(hold_s=1), RuleState(), seen[:2], START, above=100, below=80)
    assert (firings, held.since, held.seen_at) == ([], START, START)


@pytest.mark.parametrize(
    ("second", "value", "wanted"), [(9, 101, []), (10, 101, [1]), (1, 79, [0])]
)
def test_what_came_to_nothing_is_not_tried_again_too_early_nor_given_up(
    second: int, value: int, wanted: list[int]
) -> None:
    failed = RuleState(1, START, START, set_to=1, retry_at=START + 10_000)
    at = START + second * 1000
    state, firings = evaluate(rule(), failed, [Sighting(at, value)], at, above=100, below=80)
    assert [firing.value for firing in firings] == wanted
    assert (state.retry_at is None) is bool(wanted)
