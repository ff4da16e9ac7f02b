"""A gateway's end of a real broker, and workers that run beside it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine

from cloud.services.ingest import Received
from common import topics
from common.clock import SystemClock
from common.mqtt import MqttSession, MqttSettings
from tests.harness.eventually import eventually
from tests.harness.says import Gateway

PATIENCE_S = 30


class GatewayEnd:
    """Says messages, and waits for what it is told."""

    def __init__(self, settings: MqttSettings, key: str) -> None:
        self.clock = SystemClock()
        self.says = Gateway(key, now_ms=self.clock.now_ms())
        self.told: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.welcome = asyncio.Event()
        self.session = MqttSession(
            settings,
            f"site-{key}",
            clock=self.clock,
            subscriptions=[topics.down(key, "+")],
            on_message=self._hear,
            on_connect=self._connected,
        )

    async def _hear(self, topic: str, payload: bytes) -> None:
        await self.told.put((topics.parse(topic)[2], payload))

    async def _connected(self) -> None:
        self.welcome.set()

    async def say(self, message: Received) -> None:
        await self.session.publish(message.topic, message.payload)

    async def hear(self, leaf: str) -> bytes:
        """The next message of this leaf; others are passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found, payload = await self.told.get()
                if found == leaf:
                    return payload


@contextlib.asynccontextmanager
async def running(*parts: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """``parts`` run meanwhile, and are cancelled at the end."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def in_time(condition: Callable[[], bool]) -> None:
    """Until ``condition`` holds, while the loop runs on."""
    await asyncio.to_thread(eventually, condition)


async def connected(*sessions: MqttSession) -> None:
    """Until all of them are."""
    await in_time(lambda: all(session.connected for session in sessions))
