"""Time is passed in. Whoever needs it takes a ``Clock``; nobody else reads the system's."""

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


class Clock(Protocol):
    """Wall time in epoch milliseconds (UTC), monotonic seconds, and waiting."""

    def now_ms(self) -> int: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The clock of the computer."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that moves only when it is told to: for time-lapse and for tests."""

    def __init__(self, now_ms: int) -> None:
        self._passed_ms = 0
        self._ahead_ms = now_ms
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._passed_ms + self._ahead_ms

    def monotonic(self) -> float:
        return self._passed_ms / 1000

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due = self._passed_ms + round(seconds * 1000)
        heapq.heappush(self._sleepers, (due, next(self._order), wake))
        await wake

    @property
    def sleepers(self) -> int:
        """How many are waiting for the clock to move."""
        return sum(not wake.done() for _, _, wake in self._sleepers)

    def advance(self, seconds: float) -> None:
        """Move forward, and wake everybody who is due."""
        self._passed_ms += round(seconds * 1000)
        while self._sleepers and self._sleepers[0][0] <= self._passed_ms:
            wake = heapq.heappop(self._sleepers)[2]
            if not wake.done():
                wake.set_result(None)

    def set_wall(self, now_ms: int) -> None:
        """Set the wall time, as somebody sets a computer's; no time passes by that."""
        self._ahead_ms = now_ms - self._passed_ms


def to_datetime(at_ms: int) -> datetime:
    """The aware UTC time that epoch milliseconds stand for."""
    return _EPOCH + at_ms * _MS


def to_ms(at: datetime) -> int:
    """Epoch milliseconds of an aware time; what is finer is cut off."""
    return (at - _EPOCH) // _MS
