"""What a ledger lacks, and since when that is known.

A number is missing when the gateway is known to have used it: a later one is dealt with, or a
hello names a later one as its next.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from common.ranges import RangeSet


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries first..last are missing, and known to be since ``since`` (ms)."""

    first: int
    last: int
    since: int

    @property
    def count(self) -> int:
        """How many entries are missing."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a stream: ``settled`` is dealt with, ``next_seq`` is not used yet.

    ``since`` has, by the first number of a range, since when the gap before it is known;
    ``tail_since`` is the same for the gap before ``next_seq``.
    """

    settled: RangeSet
    since: Mapping[int, int]
    next_seq: int
    tail_since: int | None

    def gaps(self) -> list[Gap]:
        """All gaps, in order."""
        found = []
        position = 1
        for first, last in self.settled:
            if first > position:
                found.append(Gap(position, first - 1, self.since.get(first, 0)))
            position = last + 1
        if self.next_seq > position:
            found.append(Gap(position, self.next_seq - 1, self.tail_since or 0))
        return found

    def since_before(self, first: int, now_ms: int) -> int:
        """Since when the gap before a new range from ``first`` on is known.

        It is what remains of a gap that was there before, or begins to be known now.
        """
        if first <= self.settled.last():
            following = min(begin for begin, last in self.settled if last >= first)
            return self.since.get(following, now_ms)
        if self.next_seq - 1 > self.settled.last() and self.tail_since is not None:
            return self.tail_since
        return now_ms
