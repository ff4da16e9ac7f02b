"""What can go wrong with a simulated device or line, when, and for how long."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from common.clock import Clock

MS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|min|h|d)", re.ASCII)


class FaultKind(StrEnum):
    """A fault by its name in scenarios and orders."""

    DROP = "drop"
    DELAY = "delay"
    SPLIT = "split"
    CORRUPT = "corrupt"
    GARBAGE = "garbage"
    ECHO = "echo"
    STALE = "stale"
    BUSY = "busy"
    HANG_UP = "hang_up"
    REBOOT = "reboot"
    POWER_CUT = "power_cut"
    ROLLOVER = "rollover"
    RESET = "reset"
    EXCHANGE = "exchange"
    CLOCK_JUMP = "clock_jump"
    NETWORK_DOWN = "network_down"


PARAMETERS: Mapping[FaultKind, Mapping[str, int]] = {
    FaultKind.DELAY: {"ms": 1500},
    FaultKind.SPLIT: {"ms": 20, "bytes": 1},
    FaultKind.CORRUPT: {"bits": 1},
    FaultKind.GARBAGE: {"bytes": 16},
    FaultKind.EXCHANGE: {"start": 0},
    FaultKind.CLOCK_JUMP: {"ms": 3_600_000},
}
"""What a kind takes, and what it is when it is left out; the others take nothing."""

COUNTER = frozenset({FaultKind.ROLLOVER, FaultKind.RESET, FaultKind.EXCHANGE})
OF_A_MOMENT = COUNTER | {FaultKind.HANG_UP, FaultKind.REBOOT, FaultKind.CLOCK_JUMP}
"""They happen at their instant; how long they last means nothing (but for HANG_UP)."""
OF_A_DEVICE = COUNTER | {
    FaultKind.BUSY,
    FaultKind.REBOOT,
    FaultKind.POWER_CUT,
    FaultKind.CLOCK_JUMP,
}
OF_A_LINE = frozenset({FaultKind.ECHO, FaultKind.HANG_UP, FaultKind.NETWORK_DOWN})
"""Faults of the cable or the converter; a C11DO1ETH module is at the end of a line of its own."""

POWER_CUT_MS = 30_000
"""How long a power cut lasts that says nothing of it: it needs an end for its books."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault on ``target`` from an instant on; without ``to_ms`` until it is cleared."""

    kind: FaultKind
    target: str
    from_ms: int
    to_ms: int | None = None
    parameters: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> int:
        return self.parameters[name]

    def lasts_at(self, at_ms: int) -> bool:
        return self.from_ms <= at_ms and (self.to_ms is None or at_ms < self.to_ms)


def parse_duration(text: str) -> int:
    """Milliseconds of ``10s``, ``250ms``, ``1.5min``, ``2h``, ``1d``. Raises ValueError."""
    found = DURATION.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r}: expected a duration such as 10s, 250ms, 5min, 2h or 1d")
    whole, _, part = found[1].partition(".")
    return (int(whole) * 1000 + int(part.ljust(3, "0") or "0")) * MS[found[2]] // 1000


def make_fault(
    kind: str, target: str, from_ms: int, lasts_ms: int | None, given: Mapping[str, int]
) -> Fault:
    """A fault with what its kind takes. Raises ValueError that says what was expected."""
    if kind not in FaultKind.__members__.values():
        raise ValueError(f"{kind!r}: expected one of {', '.join(FaultKind)}")
    known = FaultKind(kind)
    taken = PARAMETERS.get(known, {})
    for name, value in given.items():
        if name not in taken:
            takes = f"takes {' and '.join(taken)}" if taken else "takes no parameters"
            raise ValueError(f"{name}: {kind} {takes}")
        lowest = 1 if name in {"bytes", "bits"} else 0
        if known is not FaultKind.CLOCK_JUMP and not lowest <= value <= 10**9:
            raise ValueError(f"{name}: {value}: expected {lowest} to 1000000000")
    if known is FaultKind.POWER_CUT and lasts_ms is None:
        lasts_ms = POWER_CUT_MS
    if known in OF_A_MOMENT and lasts_ms is None:
        lasts_ms = 0
    to_ms = None if lasts_ms is None else from_ms + lasts_ms
    return Fault(known, target, from_ms, to_ms, {**taken, **given})


class Troubles:
    """The faults of one device or line, as they come and go with the clock."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._faults: list[Fault] = []

    @property
    def none(self) -> bool:
        """Whether nothing ever was wrong, nor will be."""
        return not self._faults

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)

    def clear(self) -> None:
        """End what lasts now, but a power cut, whose end is in the books; what is to come stays."""
        now_ms = self._clock.now_ms()
        self._faults = [
            one
            for one in self._faults
            if one.kind is FaultKind.POWER_CUT or not one.lasts_at(now_ms)
        ]

    def on(self, kind: FaultKind) -> Fault | None:
        """The fault of this kind that lasts now; of several, the one that was added last."""
        now_ms = self._clock.now_ms()
        lasting = (one for one in reversed(self._faults) if one.kind is kind)
        return next((one for one in lasting if one.lasts_at(now_ms)), None)

    def now(self) -> tuple[Fault, ...]:
        """Everything that lasts now."""
        now_ms = self._clock.now_ms()
        return tuple(one for one in self._faults if one.lasts_at(now_ms))
