"""The rim between the broker and ``services.ingest``: collect, store, then acknowledge."""

import asyncio
import secrets
from collections.abc import Callable

from cloud.services.ingest import Ingest, Outcome, Publication, Received
from cloud.services.metrics import entry_delay, messages_dropped, worker_faults
from cloud.services.parcels import BatchParcel, Parcel, unpack
from cloud.services.store import Store
from cloud.workers.held import SMALL_BYTES, Held
from cloud.workers.patience import patiently
from common import topics
from common.clock import Clock
from common.errors import Unreachable
from common.logs import events
from common.mqtt import MqttSession, MqttSettings

APART_AT_ONCE_BYTES = 8_192
"""A group that is smaller is taken apart without the detour over a thread."""


class IngestWorker:
    """Takes what gateways say from the broker. Any number may run, in any number of processes.

    A message is acknowledged after the commit that holds it, or not at all. While the database is
    away, what was taken is held, and nothing more is taken than there is room for.
    """

    def __init__(
        self,
        store: Store,
        mqtt: MqttSettings,
        clock: Clock,
        *,
        group: str = "ingest",
        register_gateways: bool = True,
        keep_messages: bool = True,
        keep_telegrams: bool = True,
        on_work: Callable[[], None] = lambda: None,
    ) -> None:
        self._ingest = Ingest(
            store,
            register_gateways=register_gateways,
            keep_messages=keep_messages,
            keep_telegrams=keep_telegrams,
        )
        self._clock = clock
        self._on_work = on_work
        self.held = Held()
        self.session = MqttSession(
            mqtt,
            f"inmetter-ingest-{secrets.token_hex(6)}",
            clock=clock,
            subscriptions=[
                topics.shared(group, topics.up("+", "journal")),
                topics.shared(group, topics.up("+", "hello")),
                topics.up("+", "status"),
            ],
            on_message=self._hold,
        )

    async def run(self) -> None:
        """Until cancelled. What is held then is not acknowledged, and comes again."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.session.run())
            tasks.create_task(self._take_apart())
            tasks.create_task(self._work())

    async def _hold(self, topic: str, payload: bytes) -> None:
        await self.held.put(Received(topic, payload, self._clock.now_ms()))

    async def _take_apart(self) -> None:
        """What is next, while the database is busy with what was before."""
        while True:
            lane, group = await self.held.take_whole()
            now_ms = self._clock.now_ms()
            size = sum(len(message.payload) for message in group)
            if size < APART_AT_ONCE_BYTES:
                parcels = _unpack_all(group, now_ms)
            else:
                parcels = await asyncio.to_thread(_unpack_all, group, now_ms)
            await self.held.put_apart(lane, parcels)

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            publishing: asyncio.Task[None] | None = None
            while True:
                outcome = await self._store(await self.held.take())
                if outcome.wake:
                    self._on_work()
                if publishing:
                    await publishing
                publishing = tasks.create_task(self._publish(outcome.publications))

    async def _store(self, parcels: list[Parcel]) -> Outcome:
        try:
            outcome = await patiently(
                lambda: self._ingest.store(parcels, self._clock.now_ms()),
                self._clock,
                "ingest waits, nothing is acknowledged",
                "ingest goes on",
            )
        except Exception:  # noqa: BLE001  The outermost loop: one fault must not stop the others.
            events.exception("a group of %d messages could not be stored", len(parcels))
            worker_faults.labels("ingest").inc()
        else:
            _note_delays(parcels, self._clock.now_ms())
            return outcome
        if len(parcels) == 1:
            events.error("dropped unacknowledged: a message on %s", parcels[0].source.topic[:300])
            messages_dropped.inc()
            return Outcome()
        parts = [await self._store([parcel]) for parcel in parcels]
        return sum(parts, Outcome())

    async def _publish(self, publications: tuple[Publication, ...]) -> None:
        """All at once; one that does not reach the broker is asked for again by its gateway."""
        results = await asyncio.gather(
            *(self.session.publish(p.topic, p.payload) for p in publications),
            return_exceptions=True,
        )
        lost = [result for result in results if isinstance(result, BaseException)]
        for error in lost:
            if not isinstance(error, Unreachable):
                raise error
        if lost:
            events.warning("%d answers did not reach the broker: %s", len(lost), lost[0])


def _note_delays(parcels: list[Parcel], now_ms: int) -> None:
    for parcel in parcels:
        if isinstance(parcel, BatchParcel) and len(parcel.source.payload) < SMALL_BYTES:
            appended_at = parcel.batch.appended_at
            if appended_at is not None:
                entry_delay.observe(max(0, now_ms - appended_at) / 1000)


def _unpack_all(group: list[Received], now_ms: int) -> list[Parcel]:
    return [unpack(message, now_ms) for message in group]
