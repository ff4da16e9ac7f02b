"""Sets of sequence numbers as ranges: what is committed, what is missing."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class RangeSet:
    """A set of integers, kept as sorted, disjoint, non-adjacent closed ranges."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int) -> None:
        """Put in all of first..last; raises ValueError when last is before first."""
        if last < first:
            raise ValueError(f"range {first}..{last} is empty")
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def missing(self, first: int, last: int) -> list[tuple[int, int]]:
        """The parts of first..last that are not in the set, in order."""
        gaps = []
        position = first
        for index in range(bisect_left(self._lasts, first), len(self._firsts)):
            if position > last or self._firsts[index] > last:
                break
            if self._firsts[index] > position:
                gaps.append((position, self._firsts[index] - 1))
            position = self._lasts[index] + 1
        if position <= last:
            gaps.append((position, last))
        return gaps

    def present(self, first: int, last: int) -> list[tuple[int, int]]:
        """The parts of first..last that are in the set, in order."""
        low = bisect_left(self._lasts, first)
        high = bisect_right(self._firsts, last)
        found = zip(self._firsts[low:high], self._lasts[low:high], strict=True)
        return [(max(first, one), min(last, other)) for one, other in found]

    def remove(self, first: int, last: int) -> None:
        """Take out all of first..last that is in the set."""
        low = bisect_left(self._lasts, first)
        high = bisect_right(self._firsts, last)
        if low >= high:
            return
        ends = (self._firsts[low], first - 1), (last + 1, self._lasts[high - 1])
        rest = [(one, other) for one, other in ends if one <= other]
        self._firsts[low:high] = [one for one, _ in rest]
        self._lasts[low:high] = [other for _, other in rest]

    def __contains__(self, number: int) -> bool:
        index = bisect_left(self._lasts, number)
        return index < len(self._firsts) and self._firsts[index] <= number

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._firsts, self._lasts, strict=True))

    def __len__(self) -> int:
        """How many ranges there are (not how many numbers)."""
        return len(self._firsts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RangeSet):
            return NotImplemented
        return self._firsts == other._firsts and self._lasts == other._lasts

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"RangeSet({list(self)})"

    def count(self) -> int:
        """How many numbers are in the set."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def last(self) -> int:
        """The greatest number in the set; 0 when it is empty."""
        return self._lasts[-1] if self._lasts else 0

    def copy(self) -> "RangeSet":
        """A set of its own with the same numbers."""
        other = RangeSet()
        other._firsts = self._firsts.copy()
        other._lasts = self._lasts.copy()
        return other
