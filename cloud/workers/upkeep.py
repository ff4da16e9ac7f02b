"""Keeps roll-ups up to date, makes room for what comes, lets go of what is old enough, watches.
Any number may run."""

import asyncio
import random
from collections.abc import Callable

from cloud.domain.retention import Retention
from cloud.services.metrics import worker_faults
from cloud.services.retention import Keeper
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from cloud.services.upkeep import make_room
from cloud.services.watching import watch
from common.clock import Clock
from common.errors import Retryable
from common.logs import events

PAUSE_S = 2.0
"""Between two rounds; and up to a half more, so that several processes do not meet."""

SHARE = 3
"""It rests so many times as long as it worked: it must not hold up what comes."""

LONGEST_REST_S = 30.0
TIDY_EVERY_S = 3600.0
FOR_EVER = Retention(
    rejected_days=0, quarantine_days=0, messages_days=36_500, telegrams_days=36_500
)


class Upkeep:
    """Rolls up readings a little after they came, however late, and analyses what was consumed."""

    def __init__(self, store: Store, clock: Clock, retention: Retention = FOR_EVER) -> None:
        self._store = store
        self._clock = clock
        self._keeper = Keeper(store, retention)
        self._tidied_at: float | None = None
        self._troubled = False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            began_s = self._clock.monotonic()
            await self._try(lambda: roll_up(self._store))
            await self._try(lambda: watch(self._store, self._clock.now_ms()))
            if self._tidied_at is None or began_s >= self._tidied_at + TIDY_EVERY_S:
                await self._try(lambda: make_room(self._store, self._clock.now_ms()))
                await self._try(lambda: self._keeper.let_go(self._clock.now_ms()))
                self._tidied_at = began_s
            took_s = self._clock.monotonic() - began_s
            rest_s = min(SHARE * took_s, LONGEST_REST_S)
            await self._clock.sleep(PAUSE_S * random.uniform(1, 1.5) + rest_s)

    async def _try(self, work: Callable[[], object]) -> None:
        try:
            await asyncio.to_thread(work)
            self._troubled = False
        except Retryable as error:
            if not self._troubled:
                events.warning("upkeep waits: %s", error)
            self._troubled = True
        except Exception:  # noqa: BLE001  The worker's outermost loop.
            worker_faults.labels("upkeep").inc()
            events.exception("upkeep stumbled")
