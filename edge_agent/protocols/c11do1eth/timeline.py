"""Dating what a device sampled before it knew the time."""

from dataclasses import replace

from edge_agent.protocols.c11do1eth.frames import Clock, Evt, Rec


class Timeline:
    """Dates items of UNKNOWN time by a synced item of the same boot.

    Stored times are never rewritten: only an item without a time gets one, and it keeps its
    UNKNOWN mark. Without a synced item of its boot it stays at 0.
    """

    KEPT = 64
    """Boots that are remembered."""

    def __init__(self) -> None:
        self._powered_up_ms: dict[int, int] = {}

    def place(self, item: Rec | Evt) -> Rec | Evt:
        """``item``, dated where that can be done."""
        if item.clock is Clock.SYNCED:
            self._powered_up_ms[item.boot] = item.at_ms - item.uptime_ms
            if len(self._powered_up_ms) > self.KEPT:
                del self._powered_up_ms[next(iter(self._powered_up_ms))]
        elif item.clock is Clock.UNKNOWN and not item.at_ms and item.boot in self._powered_up_ms:
            return replace(item, at_ms=max(0, self._powered_up_ms[item.boot] + item.uptime_ms))
        return item
