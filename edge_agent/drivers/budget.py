"""How long one poll may have its line."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from common.clock import Clock
from common.errors import NoAnswer

T = TypeVar("T")

_spent_here: ContextVar["Budget | None"] = ContextVar("_spent_here", default=None)


class Budget:
    """``seconds`` on the line; what a poll waits for its turn does not count. For one poll."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._ends_at = 0.0
        self._waits_since: float | None = None

    async def spend(self, work: Coroutine[None, None, T]) -> T:
        """What ``work`` gives. NoAnswer when the time is over; ``work`` has been ended then."""
        self._ends_at = self._clock.monotonic() + self._seconds
        before = _spent_here.set(self)
        try:
            task = asyncio.ensure_future(work)
        finally:
            _spent_here.reset(before)
        try:
            while not task.done() and (left_s := self._left_s()) > 0:
                timer = asyncio.ensure_future(self._clock.sleep(left_s))
                try:
                    await asyncio.wait([task, timer], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    timer.cancel()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled():
            raise NoAnswer(f"not done within its {self._seconds:g} s on the line")
        return task.result()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Until this ends, time passes for free."""
        self._waits_since = self._clock.monotonic()
        try:
            yield
        finally:
            self._ends_at += self._clock.monotonic() - self._waits_since
            self._waits_since = None

    def _left_s(self) -> float:
        now = self._clock.monotonic()
        return self._ends_at - (now if self._waits_since is None else self._waits_since)


@contextmanager
def waiting() -> Iterator[None]:
    """Whoever waits for a line says so: the budget of the poll that does, if any, stands still."""
    budget = _spent_here.get()
    if budget is None:
        yield
    else:
        with budget.paused():
            yield
