"""Whose turn it is on a line that devices share."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from edge_agent.drivers.budget import waiting


class Turns:
    """One at a time; orders before polls, and else whoever came first."""

    def __init__(self) -> None:
        self._taken = False
        self._orders: deque[asyncio.Future[None]] = deque()
        self._polls: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self, *, order: bool = False) -> AsyncIterator[None]:
        """Wait for the line, and have it for the length of the ``async with``."""
        if self._taken:
            await self._wait(self._orders if order else self._polls)
        self._taken = True
        try:
            yield
        finally:
            self._pass_on()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._orders) + len(self._polls)

    async def _wait(self, queue: deque[asyncio.Future[None]]) -> None:
        own: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(own)
        try:
            with waiting():
                await own
        except asyncio.CancelledError:
            if own.done() and not own.cancelled():
                self._pass_on()  # it was given the line in the same moment
            elif own in queue:  # else it was passed over, as it was cancelled
                queue.remove(own)
            raise

    def _pass_on(self) -> None:
        """Give the line to the next one; it stays taken, so that nobody gets in between."""
        for queue in (self._orders, self._polls):
            while queue:
                heir = queue.popleft()
                if not heir.done():
                    heir.set_result(None)
                    return
        self._taken = False
