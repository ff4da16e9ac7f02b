"""Goes after what is missing, again and again. Any number may run."""

import asyncio
import random

from cloud.services.metrics import worker_faults
from cloud.services.reconcile import reconcile
from cloud.services.store import Store
from common.clock import Clock
from common.errors import Retryable, Unreachable
from common.logs import events
from common.mqtt import MqttSession

LOOK_EVERY_S = 15.0
"""And up to a half more, so that several processes do not look at once."""


class Reconciler:
    """Looks at what the ledgers lack while ``session`` is connected, and publishes over it."""

    def __init__(self, store: Store, session: MqttSession, clock: Clock) -> None:
        self._store = store
        self._session = session
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(LOOK_EVERY_S * random.uniform(1, 1.5))
            if not self._session.connected:
                continue
            try:
                found = await asyncio.to_thread(reconcile, self._store, self._clock.now_ms())
                for publication in found:
                    await self._session.publish(publication.topic, publication.payload)
            except (Retryable, Unreachable) as error:
                events.warning("reconciling waits: %s", error)
            except Exception:  # noqa: BLE001  The worker's outermost loop.
                events.exception("reconciling stumbled")
                worker_faults.labels("reconcile").inc()
