"""Tells others over MQTT what metering points count. Off, unless it is configured."""

import asyncio
import contextlib
import secrets
from collections.abc import Iterator
from itertools import islice

from cloud.domain.outward import OFFLINE, ONLINE, OutwardSettings, Topics
from cloud.services.metrics import worker_faults
from cloud.services.outward import messages
from cloud.services.store import Store
from common.clock import Clock
from common.errors import Retryable, Unreachable
from common.logs import events
from common.mqtt import MqttSession, MqttSettings, Will

AT_ONCE = 100
"""Messages that wait for their PUBACK together."""

MOST_HELD = 200_000
"""Topics that are remembered; of more, all are published every time."""

LONGEST_HELD = 4096
"""Bytes of a payload that are remembered: ours are shorter."""

GOODBYE_S = 2.0


class OutwardWorker:
    """Makes the broker hold what is to be said, and nothing else under topics that are ours.

    It listens to them: what the broker has, it tells on every connect, and it is the only memory
    of what was once published.
    """

    def __init__(
        self, store: Store, settings: OutwardSettings, mqtt: MqttSettings, clock: Clock
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._topics = settings.topics
        self._held: dict[str, bytes] = {}
        self._connected = asyncio.Event()
        status = self._topics.status
        self.session = MqttSession(
            mqtt,
            f"inmetter-outward-{secrets.token_hex(6)}",
            clock=clock,
            subscriptions=[*self._topics.ours, *self._taken_back()],
            on_message=self._hear,
            on_connect=self._begin,
            will=(lambda: Will(status, OFFLINE)) if settings.enabled else None,
        )

    def _taken_back(self) -> list[str]:
        """Discovery that was on once, and is not any more."""
        once = Topics(self._settings.prefix, self._settings.discovery_prefix)
        return [] if self._settings.home_assistant else [once.sensor("+")]

    async def run(self) -> None:
        """Until cancelled."""
        serving = asyncio.create_task(self.session.run())
        working = asyncio.create_task(self._work())
        try:
            await asyncio.wait([serving, working], return_when=asyncio.FIRST_COMPLETED)
            for task in (serving, working):
                if task.done():
                    task.result()
        finally:
            working.cancel()
            await self._say_goodbye()
            serving.cancel()
            await asyncio.gather(serving, working, return_exceptions=True)

    async def _say_goodbye(self) -> None:
        """On purpose: the broker publishes no will for a clean end."""
        if self._settings.enabled:
            with contextlib.suppress(Unreachable, TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await self.session.publish(self._topics.status, OFFLINE, retain=True)

    async def _work(self) -> None:
        troubled = False
        while True:
            await self._connected.wait()
            self._connected.clear()
            try:
                await self._publish(await asyncio.to_thread(self._wanted))
                troubled = False
            except Retryable as error:
                if not troubled:
                    events.warning("outward waits: %s", error)
                troubled = True
            except Exception:  # noqa: BLE001  The worker's outermost loop.
                events.exception("outward stumbled")
                worker_faults.labels("outward").inc()
            await self._rest()

    async def _rest(self) -> None:
        """Until it is time again, or the broker is there anew."""
        timer = asyncio.create_task(self._clock.sleep(self._settings.every_s))
        anew = asyncio.create_task(self._connected.wait())
        try:
            await asyncio.wait({timer, anew}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            anew.cancel()
        if self.session.connected:
            self._connected.set()

    def _wanted(self) -> dict[str, bytes]:
        """In a thread: by topic what the broker shall hold."""
        if not self._settings.enabled:
            return {}
        return {self._topics.status: ONLINE} | messages(self._store, self._topics)

    async def _publish(self, wanted: dict[str, bytes]) -> None:
        gone = {topic: b"" for topic in self._held if topic not in wanted}
        changed = {
            topic: payload for topic, payload in wanted.items() if self._held.get(topic) != payload
        }
        for some in _parts({**gone, **changed}):
            await asyncio.gather(*(self._retain(topic, payload) for topic, payload in some))

    async def _retain(self, topic: str, payload: bytes) -> None:
        await self.session.publish(topic, payload, retain=True)
        self._note(topic, payload)

    def _note(self, topic: str, payload: bytes) -> None:
        if not payload:
            self._held.pop(topic, None)
        elif topic in self._held or len(self._held) < MOST_HELD:
            self._held[topic] = payload[:LONGEST_HELD]

    async def _hear(self, topic: str, payload: bytes) -> None:
        self._note(topic, payload)

    async def _begin(self) -> None:
        self._held.clear()
        self._connected.set()


def _parts(given: dict[str, bytes]) -> Iterator[list[tuple[str, bytes]]]:
    items = iter(given.items())
    while part := list(islice(items, AT_ONCE)):
        yield part
