"""Which values of an index that only grows are wrong."""

from bisect import bisect_right
from collections.abc import Sequence


def misfits(values: Sequence[int]) -> list[int]:
    """The places of the fewest values without which no value is less than one before it.

    One that is far too high is named itself, and not all those that follow it.
    """
    ends: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for place, value in enumerate(values):
        length = bisect_right(ends, value)
        before.append(at[length - 1] if length else -1)
        if length == len(ends):
            ends.append(value)
            at.append(place)
        else:
            ends[length], at[length] = value, place
    fitting = set()
    place = at[-1] if at else -1
    while place >= 0:
        fitting.add(place)
        place = before[place]
    return [place for place in range(len(values)) if place not in fitting]
