"""Sends commands and configurations: claims what is due, marks it, commits, then publishes.

Beside that, what gateways are asked for again.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import TypeVarTuple

from cloud.services import commands, configuration
from cloud.services.commands import Publication
from cloud.services.metrics import worker_faults
from cloud.services.store import Store
from cloud.workers.reconcile import Reconciler
from common.clock import Clock
from common.errors import Retryable, Unreachable
from common.logs import events
from common.mqtt import MqttSession, MqttSettings

LOOK_EVERY_S = 0.25
"""How late a command may be seen that another process issued."""

PAUSE_S = 1.0
LATER = "a command did not reach the broker, and goes again: %s"
Given = TypeVarTuple("Given")


class DispatchWorker:
    """Publishes commands until they are accepted or over. Any number may run."""

    def __init__(self, store: Store, mqtt: MqttSettings, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._wake = asyncio.Event()
        self._handed: asyncio.Queue[Publication] = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.session = MqttSession(
            mqtt,
            f"inmetter-dispatch-{secrets.token_hex(6)}",
            clock=clock,
            subscriptions=[],
            on_message=self._ignore,
            on_connect=self._look_now,
        )

    @property
    def ready(self) -> bool:
        """Whether what is handed to ``send`` now goes out at once."""
        return self.session.connected

    def send(self, publication: Publication) -> None:
        """Publish a command that is marked as sent. From any thread.

        Should it not reach the broker, it goes again when it is due again.
        """
        self._call(self._handed.put_nowait, publication)

    def wake(self) -> None:
        """There may be something to send. From any thread, at any time."""
        self._call(self._wake.set)

    def _call(self, call: Callable[[*Given], None], *given: *Given) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(call, *given)

    async def run(self) -> None:
        """Until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.session.run())
            tasks.create_task(self._work())
            tasks.create_task(self._pass_on())
            tasks.create_task(Reconciler(self._store, self.session, self._clock).run())

    async def _pass_on(self) -> None:
        while True:
            publication = await self._handed.get()
            try:
                await self.session.publish(publication.topic, publication.payload)
            except Unreachable as error:
                events.warning(LATER, error)

    async def _work(self) -> None:
        troubled = woken = False
        while True:
            try:
                claim = self._claim if woken else self._look
                for publication in await asyncio.to_thread(claim):
                    await self.session.publish(publication.topic, publication.payload)
                troubled = False
                woken = await self._rest()
            except Unreachable as error:
                events.warning(LATER, error)
            except Retryable as error:
                if not troubled:
                    events.warning("dispatch waits: %s", error)
                troubled = True
                await self._clock.sleep(PAUSE_S)
            except Exception:  # noqa: BLE001  The worker's outermost loop.
                events.exception("dispatch stumbled")
                worker_faults.labels("dispatch").inc()
                await self._clock.sleep(PAUSE_S)

    def _claim(self) -> list[Publication]:
        """In a thread: what is due, if it can be sent."""
        if not self.session.connected:
            return []
        return commands.claim_due(self._store, self._clock.now_ms())

    def _look(self) -> list[Publication]:
        """In a thread: close what is over, and claim what nobody woke us for."""
        now_ms = self._clock.now_ms()
        found: list[Publication] = []
        if commands.anything_to_do(self._store, now_ms):
            commands.expire_due(self._store, now_ms)
            found += self._claim()
        if self.session.connected:
            found += configuration.claim_due(self._store, now_ms)
        return found

    async def _rest(self) -> bool:
        """Whether somebody woke us before it was time to look."""
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    async def _look_now(self) -> None:
        self._wake.set()

    async def _ignore(self, _topic: str, _payload: bytes) -> None:
        return
