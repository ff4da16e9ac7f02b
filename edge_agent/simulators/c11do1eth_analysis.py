"""The module's own analysis of its pulses: too fast, never still, still for too long, line fault.

Meanings and thresholds: docs/devices/c11do1eth.md, "Analysis".
"""

from msgspec import Struct

from edge_agent.protocols.c11do1eth import EventCode

Finding = tuple[EventCode, tuple[str, ...]]
"""An event's code and values; the first value is 1 when it begins and 0 when it is over."""


class Thresholds(Struct, frozen=True):
    """0 turns an analysis off. ``limit_mhz``: thousandths of a pulse a second; the rest seconds.

    ``leak_s`` of flow without a pause of ``pause_s``; ``standstill_s`` without a pulse;
    ``stuck_s`` with the input's contact closed.
    """

    limit_mhz: int = 0
    leak_s: int = 0
    pause_s: int = 900
    standstill_s: int = 0
    stuck_s: int = 0


class Analysis:
    """Looks at the count whenever ``observe`` is called; begins anew at power-up."""

    WINDOW_MS = 60_000
    """A rate is the mean over at least so long: one pulse alone is no rate."""

    def __init__(self, now_ms: int, total: int) -> None:
        self._total = total
        self._window = (now_ms, total)
        self._pulse_ms = now_ms
        self._flow_ms: int | None = None
        self._closed_ms: int | None = None
        self._active: set[EventCode] = set()

    def move(self, total: int) -> None:
        """The total was set to ``total``; no pulses came."""
        self._window = (self._window[0], self._window[1] + total - self._total)
        self._total = total

    def observe(
        self, now_ms: int, total: int, limits: Thresholds, *, broken: bool, stuck: bool
    ) -> list[Finding]:
        """What begins or ends now. ``broken``: the line to the meter; ``stuck``: the contact."""
        found: list[Finding] = []

        def judge(code: EventCode, on: bool, *values: int) -> None:
            if on is not (code in self._active):
                self._active ^= {code}
                found.append((code, tuple(map(str, (int(on), *values)))))

        since_ms, before = self._window
        if now_ms - since_ms >= self.WINDOW_MS:
            rate = max(0, total - before) * 1_000_000 // (now_ms - since_ms)
            judge(EventCode.RATE_EXCEEDED, 0 < limits.limit_mhz < rate, rate, limits.limit_mhz)
            self._window = (now_ms, total)
        still_s = (now_ms - self._pulse_ms) // 1000
        moved = total != self._total
        standing = 0 < limits.standstill_s <= still_s
        if moved or standing:
            judge(EventCode.STANDSTILL, standing and not moved, still_s)
        if still_s >= limits.pause_s or self._flow_ms is None:
            self._flow_ms = now_ms if moved else None
        if moved:
            self._total, self._pulse_ms = total, now_ms
        flow_s = 0 if self._flow_ms is None else (self._pulse_ms - self._flow_ms) // 1000
        judge(EventCode.LEAK, 0 < limits.leak_s <= flow_s, flow_s)
        judge(EventCode.LINE_BREAK, broken)
        self._closed_ms = (self._closed_ms or now_ms) if stuck else None
        closed_s = 0 if self._closed_ms is None else (now_ms - self._closed_ms) // 1000
        judge(EventCode.STUCK_INPUT, stuck and 0 < limits.stuck_s <= closed_s, closed_s)
        return found
