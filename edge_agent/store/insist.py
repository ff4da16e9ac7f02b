"""Writing what must not be lost because the disk is full just now."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from common.clock import Clock
from common.logs import events
from edge_agent.store.database import Damaged, StorageError

T = TypeVar("T")

PAUSE_S = 1.0


async def insist(write: Callable[[], Awaitable[T]], clock: Clock, what: str) -> T:
    """``write``, again for as long as the disk does not take it. Raises Damaged.

    ``what`` names, in the log, what is held in memory meanwhile.
    """
    failing = False
    while True:
        try:
            return await write()
        except Damaged:
            raise
        except StorageError as error:
            if not failing:
                events.error("%s: %s; held in memory until it can be written", what, error)
            failing = True
            await clock.sleep(PAUSE_S)
