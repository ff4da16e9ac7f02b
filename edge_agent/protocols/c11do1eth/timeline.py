"""Dating what a device sampled before it knew the time."""

from dataclasses import replace

from edge_agent.protocols.c11do1eth.fields import TIME
from edge_agent.protocols.c11do1eth.frames import Clock, Evt, Rec


class Timeline:
    """Dates items of UNKNOWN time by the first synced item of the same boot.

    Stored times are never rewritten: only an item without a time gets one, and it keeps its
    UNKNOWN mark. Without a synced item of its boot it stays at 0. The first is the one with the
    lowest uptime, in whatever order they come. ``known`` gives and takes what may be kept of it:
    boot → (uptime, time) of that item, in milliseconds.
    """

    APART_MS = 3_600_000
    """Items that put a power-up further apart are of two boots: their number was given anew."""

    def __init__(self, known: dict[int, tuple[int, int]] | None = None) -> None:
        self.known = {} if known is None else known

    def learn(self, item: Rec | Evt) -> None:
        """Remember ``item`` if it can date others."""
        if item.clock is not Clock.SYNCED:
            return
        if item.boot in self.known:
            uptime_ms, at_ms = self.known[item.boot]
            apart_ms = (item.at_ms - item.uptime_ms) - (at_ms - uptime_ms)
            if uptime_ms <= item.uptime_ms and abs(apart_ms) <= self.APART_MS:
                return
        self.known[item.boot] = (item.uptime_ms, item.at_ms)

    def place(self, item: Rec | Evt) -> Rec | Evt:
        """``item``, dated where that can be done; it is learned from first."""
        self.learn(item)
        if is_undated(item) and item.boot in self.known:
            uptime_ms, at_ms = self.known[item.boot]
            at_ms += item.uptime_ms - uptime_ms
            return replace(item, at_ms=min(max(0, at_ms), TIME.maximum))
        return item


def is_undated(item: Rec | Evt) -> bool:
    """Whether the device did not know the time, and nobody has dated the item yet."""
    return item.clock is Clock.UNKNOWN and not item.at_ms
