"""Counters that end, restart or jump: what a new count means, beside the one before it."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from common.errors import Undecodable


class Change(StrEnum):
    """What a new count is, compared with the last one."""

    FIRST = "first"
    FORWARD = "forward"
    ROLLOVER = "rollover"
    JITTER = "jitter"
    RESET = "reset"
    EXCHANGE = "exchange"
    IMPLAUSIBLE = "implausible"
    LATE = "late"

    @property
    def notable(self) -> bool:
        """Whether a person should hear of it."""
        return self in (Change.ROLLOVER, Change.RESET, Change.EXCHANGE, Change.IMPLAUSIBLE)


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

    def plausible(self, delta: int, elapsed_ms: int | None) -> bool:
        """Whether so many counts can have come in that time; what is unknown rules nothing out."""
        # One count is always plausible: two samples may stand right before and after it.
        if self.max_rate is None or elapsed_ms is None:
            return True
        return (delta - 1) * 1000 <= self.max_rate * elapsed_ms


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


def compare(
    old: int, new: int, elapsed_ms: int | None, rule: CounterRule, *, other_device: bool = False
) -> Step:
    """What a count is, beside the one before it (field.md §4, "A lower count").

    A lower count is JITTER within the rule's bounds, ROLLOVER when the last was above 90 % and
    the new one is below 10 % of the range and the difference is plausible, else RESET: then the
    counts that may have been missed are unknown, and none are made up. A rise faster than
    ``max_rate`` is counted and reported as IMPLAUSIBLE, since the device's count is not altered.
    ``other_device``: the count is the first of another device in the place of the last; then what
    is not a plausible rise is an EXCHANGE, and counts nothing.
    ``elapsed_ms`` is None when it is not known. Raises Undecodable when a count is negative or
    not below the modulus.
    """
    if new < 0 or (rule.modulus is not None and new >= rule.modulus):
        raise Undecodable(f"count {new} is outside the counter's range")
    delta = new - old
    change, delta = _compare(old, new, delta, elapsed_ms, rule)
    if other_device and change is not Change.FORWARD:
        change, delta = Change.EXCHANGE, 0
    return Step(change, delta, old, new)


def _compare(
    old: int, new: int, delta: int, elapsed_ms: int | None, rule: CounterRule
) -> tuple[Change, int]:
    if delta >= 0:
        plausible = rule.plausible(delta, elapsed_ms)
        return (Change.FORWARD if plausible else Change.IMPLAUSIBLE), delta
    if -delta <= rule.jitter:
        return Change.JITTER, 0
    if rule.modulus is not None:
        around = delta + rule.modulus
        at_the_ends = old * 10 > rule.modulus * 9 and new * 10 < rule.modulus
        if at_the_ends and rule.plausible(around, elapsed_ms):
            return Change.ROLLOVER, around
    return Change.RESET, 0
