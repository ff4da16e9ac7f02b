"""What is appended in one turn of the event loop: one stamp, one write, one look at what became of
it.
"""

import asyncio
import sqlite3
from collections.abc import Callable

from edge_agent.store.tail import Added, Stamp, Tail

Numbers = tuple[int, int]
"""The first and the last that a call of ``Journal.append`` gave."""


class Appends:
    """A job for ``Database.put``. ``then`` is called in the event loop after the commit."""

    lazy = False
    sure = True

    def __init__(self, tail: Tail, stamp: Stamp, then: Callable[[Added], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.error: BaseException | None = None
        self._tail = tail
        self._stamp = stamp
        self._then = then
        self._bodies: list[bytes] = []
        self._waiting: list[tuple[asyncio.Future[Numbers], int]] = []
        self._added = Added(0, 0, [])

    def add(self, bodies: list[bytes]) -> "asyncio.Future[Numbers]":
        """Append these too. Only before the job is done, see ``Database.last``."""
        future: asyncio.Future[Numbers] = self.loop.create_future()
        self._bodies += bodies
        self._waiting.append((future, len(bodies)))
        return future

    def run(self, connection: sqlite3.Connection) -> bool:
        self._added = self._tail.add(connection, self._stamp, self._bodies)
        return True

    def resolve(self) -> None:
        if self.error is not None:
            for future, _ in self._waiting:
                if not future.done():
                    future.set_exception(self.error)
            return
        self._then(self._added)
        first = self._added.first
        for future, count in self._waiting:
            if not future.done():
                future.set_result((first, first + count - 1))
            first += count
