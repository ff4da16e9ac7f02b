"""By which clock the entries of a stream were dated: steps, each in force until the next one.

Of numbers that have not come the steps say nothing; so a step may stand in for what is between two
that have.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from common.messages.batch import SPAN_TOLERANCE_MS, ClockSpan

MAX_SPANS = 64
"""Of a batch in which the clock changes more often nothing is kept: it is no clock."""

_INT64 = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ClockSetting:
    """The wall clock was ``ahead_ms`` ahead of the monotonic clock of ``boot``, and worth
    ``quality`` (``ClockQuality``)."""

    boot: int
    ahead_ms: int
    quality: int


Step = tuple[int, ClockSetting | None]
"""From this number on; None: it is not known."""


def alike(one: ClockSetting | None, other: ClockSetting | None) -> bool:
    """Whether the same clock went on, as far as can be told."""
    if one is None or other is None:
        return one is other
    return (one.boot, one.quality) == (other.boot, other.quality) and (
        abs(one.ahead_ms - other.ahead_ms) <= SPAN_TOLERANCE_MS
    )


def placed(
    first: int,
    last: int,
    spans: Sequence[ClockSpan],
    count: int,
    numbers: Callable[[], list[int]],
) -> list[tuple[int, int, ClockSetting | None]]:
    """Which of first..last, of which ``numbers`` are ``count`` entries, have which clock.

    None where ``spans`` are not of these entries.
    """
    if (
        not 0 < len(spans) <= MAX_SPANS
        or sum(span.count for span in spans) != count
        or any(max(span.boot, abs(span.offset)) > _INT64 for span in spans)
    ):
        return [(first, last, None)]
    settings = [ClockSetting(span.boot, span.offset, span.quality) for span in spans]
    if len(spans) == 1:
        return [(first, last, settings[0])]
    there = numbers()
    begins = [there[at] for at in accumulate(span.count for span in spans[:-1])]
    bounds = pairwise([first, *begins, last + 1])
    return [(a, b - 1, one) for (a, b), one in zip(bounds, settings, strict=True)]


def in_force(steps: Sequence[Step], seq: int) -> ClockSetting | None:
    """The clock of ``seq``."""
    at = bisect_right(steps, seq, key=lambda step: step[0])
    return steps[at - 1][1] if at else None


def changed(
    steps: Sequence[Step],
    first: int,
    last: int,
    setting: ClockSetting | None,
    following: int | None,
) -> list[Step]:
    """``steps`` when first..last have the clock ``setting``.

    ``following`` is the next number after ``last`` that has come; its clock stays.
    """
    here = [in_force(steps, first), *(one for seq, one in steps if first < seq <= last)]
    if all(alike(one, setting) for one in here):
        return list(steps)
    before = in_force(steps, first - 1)
    after = None if following is None else in_force(steps, following)
    if alike(before, setting):
        setting = before
    elif following is not None and alike(after, setting):
        setting = after
    found = [step for step in steps if step[0] < first]
    if setting != before:
        found.append((first, setting))
    if following is not None:
        if after != setting:
            found.append((following, after))
        found += [step for step in steps if step[0] > following]
    return found
