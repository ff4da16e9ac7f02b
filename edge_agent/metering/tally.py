"""The unbroken total of a counter that ends, restarts or is exchanged, whatever order its records
come in: they are told apart by their numbers, which only grow, not by their times."""

from msgspec import Struct

from edge_agent.metering.counters import Change, CounterRule, Step, compare

KEPT = 16
"""Breaks that are remembered, for records that come later than newer ones."""


class Break(Struct, frozen=True, array_like=True):
    """Where a count did not simply go on: between the records ``after`` and ``since``.

    ``raw`` and ``before``: the last count and total on this side; ``total``: the first on the far
    side; ``offset``: what makes a count of the far side a part of the total.
    """

    after: int
    since: int
    raw: int
    before: int
    total: int
    offset: int


class Sample(Struct, frozen=True):
    """A count as it was recorded. ``at`` (epoch ms) is None when its time is uncertain."""

    seq: int
    boot: int
    uptime_ms: int
    raw: int
    at: int | None = None


class Tally(Struct, omit_defaults=True):
    """The newest count of a device, what it came to, and the breaks before it.

    ``renewed``: the device gives its numbers anew; the next record is the newest, whatever its
    number. ``other``: because it is another device. ``fast``: its counts have been implausible,
    and that has been told.
    """

    raw: int
    total: int
    at: int | None = None
    seq: int = 0
    boot: int = 0
    uptime_ms: int = 0
    renewed: bool = False
    other: bool = False
    fast: bool = False
    breaks: list[Break] = []

    def count(self, sample: Sample, rule: CounterRule) -> tuple[int, Step]:
        """The total that a count stands for, and what it was beside the one before.

        The count of an older record than the newest is LATE and changes nothing; its total lies
        between those on both sides of it. Raises Undecodable for a count beyond the rule's modulus.
        """
        if sample.seq < self.seq and not self.renewed:
            return self._late(sample.seq, sample.raw), Step(Change.LATE, 0, self.raw, sample.raw)
        elapsed_ms = self._elapsed_ms(sample)
        step = compare(self.raw, sample.raw, elapsed_ms, rule, other_device=self.other)
        total = self.total + step.delta
        if step.change is Change.JITTER:
            self._remember(sample)
            return total, step
        self._break(sample.seq, total - sample.raw, total)
        self.raw, self.total = sample.raw, total
        self._remember(sample)
        return total, step

    def preset(self, seq: int, old: int, new: int) -> None:
        """Right before the record ``seq`` the device's own total was set from ``old`` to ``new``.

        What it counted up to ``old`` is consumption, unless it is another device; the rest is not.
        """
        if seq < self.seq and not self.renewed:
            return
        counted = 0 if self.other else max(0, old - self.raw)
        self.raw, self.total = self.raw + counted, self.total + counted
        self._break(seq, self.total - new, self.total, after=seq - 1)
        self.raw, self.seq = new, seq

    def renew(self, *, other: bool) -> None:
        """The device gives its numbers anew: it has lost some, or is ``other`` than before."""
        self.renewed = True
        self.other = self.other or other

    def _remember(self, sample: Sample) -> None:
        self.seq, self.boot, self.uptime_ms = sample.seq, sample.boot, sample.uptime_ms
        self.at = sample.at
        self.renewed = self.other = False

    def _elapsed_ms(self, sample: Sample) -> int | None:
        """Between the newest record and this one: by the uptime, which no clock step alters."""
        if not self.renewed and sample.boot == self.boot and sample.uptime_ms >= self.uptime_ms:
            return sample.uptime_ms - self.uptime_ms
        if sample.at is None or self.at is None or sample.at < self.at:
            return None
        return sample.at - self.at

    @property
    def offset(self) -> int:
        """What makes the newest count the total."""
        return self.total - self.raw

    def _break(self, since: int, offset: int, total: int, after: int | None = None) -> None:
        if offset == self.offset and not self.renewed:
            return
        kept = [] if self.renewed else self.breaks
        if after is None:
            # All the numbers of another device come after those of the one before.
            after = 0 if self.other else self.seq
        one = Break(after, since, self.raw, self.total, total, offset)
        self.breaks = [*kept, one][-KEPT:]

    def _late(self, seq: int, raw: int) -> int:
        """The total of an older record: by the offset of its stretch, within its stretch."""
        low, high, offset = 0, self.total, self.offset
        for one in reversed(self.breaks):
            if seq >= one.since:
                return min(max(raw + offset, one.total), high)
            before = one.before - one.raw
            if seq > one.after:
                # Within the break: on its near side while the count had not fallen.
                near = raw >= one.raw
                total = raw + (before if near else offset)
                return min(max(total, one.before), one.total)
            high, offset = one.before, before
        return min(max(raw + offset, low), high)
