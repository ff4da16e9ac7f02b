"""Says how the gateway is: a retained status, and the last will that contradicts it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from common.clock import Clock
from common.errors import Retryable
from common.messages.envelope import encode
from common.messages.uplink import ConfigStatus, DeviceStatus, Status
from edge_agent.store.journal import Journal

INTERVAL_S = 30.0
PAUSE_S = 1.0
"""Between one status and the next: when a thousand devices begin to answer, that is no thousand
messages of 60 kB."""


class Health:
    """Publishes ``Status`` when something changes, at most every PAUSE_S, and every INTERVAL_S.

    ``publish`` takes the payload and raises Retryable when there is no broker. ``session`` gives
    the number of the present connection. ``config`` is what is said of the configuration.
    """

    def __init__(
        self,
        journal: Journal,
        devices: Callable[[], list[DeviceStatus]],
        publish: Callable[[bytes], Awaitable[None]],
        session: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._devices = devices
        self._publish = publish
        self._session = session
        self._clock = clock
        self._changed = asyncio.Event()
        self.config: ConfigStatus | None = None

    def changed(self) -> None:
        """Something is worth telling now."""
        self._changed.set()

    async def run(self) -> None:
        """Tell, for ever. Without a broker there is nobody to tell: the next connect tells."""
        pause_until = self._clock.monotonic()
        while True:
            await self._clock.sleep(pause_until - self._clock.monotonic())
            self._changed.clear()
            with contextlib.suppress(Retryable):
                await self._publish(encode(await self._status()))
                pause_until = self._clock.monotonic() + PAUSE_S
            await self._wait()

    async def say_goodbye(self) -> None:
        """Offline, on purpose: the broker publishes no will for a clean end."""
        with contextlib.suppress(Retryable):
            await self._publish(self.will(self._session()))

    def will(self, session: int) -> bytes:
        """What the broker shall say when connection ``session`` is gone."""
        journal = self._journal
        status = Status(journal.stream, False, journal.boot, session, self._clock.now_ms())
        return encode(status)

    async def _status(self) -> Status:
        journal = self._journal
        figures = await journal.figures()
        hours = figures.hours_left
        return Status(
            stream=journal.stream,
            online=True,
            boot=journal.boot,
            session=self._session(),
            at=self._clock.now_ms(),
            queued=figures.queued,
            oldest_at=figures.queued_at,
            rejected=journal.rejected,
            journal_bytes=figures.used,
            journal_entries=figures.entries,
            journal_quota=figures.quota,
            hours_left=None if hours is None else int(hours),
            lost=figures.lost,
            clock=self._journal.quality(),
            devices=self._devices(),
            config=self.config,
        )

    async def _wait(self) -> None:
        timer = asyncio.ensure_future(self._clock.sleep(INTERVAL_S))
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({timer, changed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            changed.cancel()
