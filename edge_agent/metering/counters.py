"""Counters that end, restart or jump: what a new count means, beside the one before it."""

from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction


class Change(StrEnum):
    """What a new count is, compared with the last one."""

    FIRST = "first"
    FORWARD = "forward"
    ROLLOVER = "rollover"
    JITTER = "jitter"
    RESET = "reset"
    IMPLAUSIBLE = "implausible"
    LATE = "late"

    @property
    def notable(self) -> bool:
        """Whether a person should hear of it."""
        return self in (Change.ROLLOVER, Change.RESET, Change.IMPLAUSIBLE)


@dataclass(frozen=True, slots=True)
class CounterRule:
    """What is known of a counter.

    ``modulus``: the number of counts after which it starts at 0 again; None when it never does.
    ``max_rate``: the highest plausible counts per second; None when unknown.
    ``jitter``: by how many counts it may go back without meaning anything.
    """

    modulus: int | None = None
    max_rate: Fraction | None = None
    jitter: int = 0


@dataclass(frozen=True, slots=True)
class CounterState:
    """The last count, when it was, and the ``total`` that never goes back."""

    raw: int
    at_ms: int
    total: int


@dataclass(frozen=True, slots=True)
class Step:
    """What a count meant: the counts since the last one (never negative), and both counts."""

    change: Change
    delta: int
    old: int
    new: int


def highest_rate(
    flow_max: Fraction, weight: Fraction, margin: Fraction = Fraction(5, 4)
) -> Fraction:
    """Plausible pulses a second of a meter: Qmax (unit per hour) / weight (unit per pulse) × 1.25.

    Source: field.md §4, "Highest plausible rate"; the margin is assumed.
    """
    return flow_max / weight * margin / 3600


def advance(
    state: CounterState | None, raw: int, at_ms: int, rule: CounterRule
) -> tuple[CounterState, Step]:
    """The state after a count, and what the count was.

    A count from before the last one is LATE and changes nothing. A lower count is JITTER within
    the rule's bounds, ROLLOVER when the last was above 90 % and the new one is below 10 % of the
    range and the difference is plausible, else RESET (or exchange): then the counts that may
    have been missed are unknown, and none are made up. A rise faster than ``max_rate`` is counted
    and reported as IMPLAUSIBLE, since the device's count is not altered.
    Raises ValueError when ``raw`` is negative or not below the modulus.
    """
    if raw < 0 or (rule.modulus is not None and raw >= rule.modulus):
        raise ValueError(f"count {raw} is outside the counter's range")
    if state is None:
        return CounterState(raw, at_ms, raw), Step(Change.FIRST, 0, raw, raw)
    if at_ms < state.at_ms:
        return state, Step(Change.LATE, 0, state.raw, raw)
    change, delta = _compare(state, raw, at_ms - state.at_ms, rule)
    step = Step(change, delta, state.raw, raw)
    if change is Change.JITTER:
        return replace(state, at_ms=at_ms), step
    return CounterState(raw, at_ms, state.total + delta), step


def _compare(
    state: CounterState, raw: int, elapsed_ms: int, rule: CounterRule
) -> tuple[Change, int]:
    delta = raw - state.raw
    if delta >= 0:
        plausible = _is_plausible(delta, elapsed_ms, rule)
        return (Change.FORWARD if plausible else Change.IMPLAUSIBLE), delta
    if -delta <= rule.jitter:
        return Change.JITTER, 0
    if rule.modulus is not None:
        around = delta + rule.modulus
        at_the_ends = state.raw * 10 > rule.modulus * 9 and raw * 10 < rule.modulus
        if at_the_ends and _is_plausible(around, elapsed_ms, rule):
            return Change.ROLLOVER, around
    return Change.RESET, 0


def _is_plausible(delta: int, elapsed_ms: int, rule: CounterRule) -> bool:
    # One count is always plausible: two samples may stand right before and after it.
    return rule.max_rate is None or (delta - 1) * 1000 <= rule.max_rate * elapsed_ms
