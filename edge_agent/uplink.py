"""Sends the journal to the cloud, and hears from the cloud what it has.

A session is one connection's life: ``hello`` until ``resume``, then catalogs that the cloud lacks,
then two lanes at once. The *live* lane carries entries that were appended since the connect, as
they are committed; the *backlog* lane what is older, oldest first. Every batch is sent again until
an ack names exactly its range. Nothing here is remembered over a connection: the journal is.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field

from common.clock import Clock
from common.errors import Retryable
from common.logs import events
from common.messages.batch import ENTRY_BYTES, Entry, pack
from common.messages.downlink import Ack, Resume
from common.messages.envelope import MAX_BYTES, encode
from common.messages.uplink import Event, Hello
from edge_agent.outage import CLOUD, Outage
from edge_agent.store.chunk import Chunk
from edge_agent.store.database import StorageError
from edge_agent.store.journal import Journal
from edge_agent.store.tail import Added
from edge_agent.window import Window

RECONNECT_S = 10.0
"""After a lost connection a session is begun on the next connect, or tried after so long."""

PATIENCE_S = 0.02
"""How long an entry that is not urgent waits for others to go with."""


REFUSED = "refused"
"""How the state begins of a gateway that the cloud does not let send."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is under way at a time, at most, and how long an answer is waited for (seconds)."""

    entries: int = 500
    size: int = 262_144
    backlog_window: int = 16
    live_window: int = 32
    live_entries: int = 5000
    answer_s: float = 5.0
    longest_answer_s: float = 60.0


@dataclass(slots=True)
class _Flight:
    """A batch that is under way; ``news`` is set when it is acked, or should go again now."""

    sent_at: float
    acked: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Uplink:
    """Publishes hello and batches with ``publish(leaf, payload)``, which raises Unreachable.

    ``connected`` is to be called on every connect, ``on_ack`` and ``on_resume`` for those messages.
    ``hello`` makes the message to begin with. ``prepare`` gives entries as they are to be sent,
    always the same ones. ``state`` says in words how things are. What the cloud answers to another
    ``machine`` is not for us.
    """

    def __init__(
        self,
        journal: Journal,
        publish: Callable[[str, bytes], Awaitable[None]],
        hello: Callable[[], Hello],
        clock: Clock,
        pace: Pace | None = None,
        *,
        prepare: Callable[[list[Entry]], list[Entry]] = list,
        machine: str = "",
    ) -> None:
        self._journal = journal
        self._machine = machine
        self._publish = publish
        self._prepare = prepare
        self._hello = hello
        self._clock = clock
        self._pace = pace or Pace()
        self._connects = asyncio.Event()
        self._resumed = asyncio.Event()
        self._flights: dict[tuple[int, int], _Flight] = {}
        self._live: deque[Entry] = deque()
        self._live_from: int | None = None
        self._live_grew = asyncio.Event()
        self._backlog_grew = asyncio.Event()
        self._patience: asyncio.Future[None] | None = None
        self._spread_s = 0.0
        self._forgotten = False
        self.state = "not connected"
        self.outage = Outage(clock)
        journal.on_appended = self._appended
        journal.on_lost = self._lost

    def connected(self) -> None:
        """There is a new connection: whatever was under way on the old one is void."""
        self._connects.set()

    async def on_resume(self, resume: Resume) -> None:
        """The cloud says what it has. At any time: sending starts anew from there."""
        if resume.machine and resume.machine != self._machine:
            return
        if resume.refused:
            if not self.state.startswith(REFUSED):
                events.error("uplink: the cloud refuses this gateway: %s", resume.refused)
            self.state = f"{REFUSED}: {resume.refused}"
            return
        stream = self._journal.stream
        self._spread_s = resume.spread_ms / 1000
        self._answered()
        try:
            resumed = await self._journal.resume(resume.stream, resume.committed)
        except StorageError as error:
            # Another hello follows, and so does the cloud's answer.
            events.error("uplink: what the cloud has could not be written down: %s", error)
            return
        if resumed:
            self._resumed.set()
        elif self._journal.stream != stream:
            self._connects.set()
        else:
            events.warning("uplink: resume for stream %s, which is not ours", resume.stream)

    def on_ack(self, ack: Ack) -> None:
        """The cloud has a batch. Its place in the window is free at once; settling follows."""
        self._answered()
        now = self._clock.monotonic()
        flight = self._flights.get((ack.first, ack.last))
        if flight and ack.stream == self._journal.stream:
            flight.acked = True
            flight.news.set()
        for other in self._flights.values():
            # The cloud is there (again): what it owes an answer for goes now, not after a back-off.
            if now - other.sent_at > self._pace.answer_s:
                other.news.set()
        rejected = [(one.seq, one.reason) for one in ack.rejected]
        if ack.stream == self._journal.stream:
            for seq, reason in rejected:
                events.warning("uplink: the cloud can never store entry %d: %s", seq, reason)
        settled = self._journal.settle(ack.stream, ack.first, ack.last, rejected)
        settled.add_done_callback(self._written_down)

    def _written_down(self, settled: "asyncio.Future[bool]") -> None:
        """An ack, or not: the cloud is asked again once the disk takes one."""
        if settled.cancelled():
            return
        if error := settled.exception():
            events.error("uplink: an ack could not be written down: %s", error)
            self._forgotten = True
        elif not settled.result():
            events.warning("uplink: an ack for entries that are not ours was ignored")
        elif self._forgotten:
            self._forgotten = False
            self._connects.set()

    def _answered(self) -> None:
        if event := self.outage.over():
            self._journal.append(event).add_done_callback(_log_untold)

    async def run(self) -> None:
        """One session after the other, for ever."""
        try:
            while True:
                self._connects.clear()
                await _first(self._session(), self._connects.wait())
                self._live_from = None
                self.state = "not connected"
                await _within(RECONNECT_S, self._connects)
        finally:
            self._live_from = None
            if self._patience:
                self._patience.cancel()

    async def _session(self) -> None:
        try:
            self._begin_live()
            await self._greet()
            while True:
                self._resumed.clear()
                self.state = "sending"
                await _first(self._send(), self._resumed.wait())
                self._begin_live()
        except* Retryable as lost:
            events.debug("uplink: %s", lost.exceptions[0])

    async def _greet(self) -> None:
        """Say hello until the cloud answers."""
        self._resumed.clear()
        wait_s = self._pace.answer_s
        while True:
            await self._publish("hello", encode(self._hello()))
            if await _within(wait_s * random.uniform(0.8, 1.2), self._resumed):
                return
            if not self.state.startswith(REFUSED):
                self.outage.note(CLOUD)
                self.state = "no answer"
            wait_s = min(wait_s * 2, self._pace.longest_answer_s / 2)

    async def _send(self) -> None:
        """All that the cloud lacks, and all that comes."""
        self._flights = {}
        window = Window(1)
        for seq in self._journal.unsettled_catalogs():
            await window.take()
            await self._deliver(await self._journal.read(seq, seq, 1, 0), window)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_live(group))
            group.create_task(self._send_backlog(group))

    # The two lanes

    def _begin_live(self) -> None:
        """From here on what is appended is live; all before is backlog."""
        self._live.clear()
        self._live_from = self._journal.next_seq
        self._backlog_grew.set()

    def _appended(self, added: Added, urgent: bool) -> None:
        if self._live_from is None:
            return
        self._live.extend(added.entries)
        if urgent:
            self._live_grew.set()
        elif self._patience is None or self._patience.done():
            self._patience = asyncio.ensure_future(self._send_soon())
        if len(self._live) > self._pace.live_entries:
            self._begin_live()

    def _lost(self) -> None:
        """What was lost as it came is told by the backlog."""
        if self._live_from is not None:
            self._begin_live()

    async def _send_soon(self) -> None:
        await self._clock.sleep(PATIENCE_S)
        self._live_grew.set()

    async def _send_live(self, group: asyncio.TaskGroup) -> None:
        window = Window(self._pace.live_window)
        while True:
            while self._live:
                await window.take()
                group.create_task(self._deliver(Chunk(self._take_live(), []), window))
            self._live_grew.clear()
            await self._live_grew.wait()

    def _take_live(self) -> list[Entry]:
        """The next batch of what is live: in order, without a gap, within the limits."""
        entries: list[Entry] = []
        size = 0
        while self._live and len(entries) < self._pace.entries:
            size += len(bytes(self._live[0].body))
            follows = not entries or self._live[0].seq == entries[-1].seq + 1
            if entries and (size > self._pace.size or not follows):
                break
            entries.append(self._live.popleft())
        return entries

    async def _send_backlog(self, group: asyncio.TaskGroup) -> None:
        window = Window(self._pace.backlog_window)
        await self._clock.sleep(random.uniform(0, self._spread_s))
        position = 1
        while True:
            await window.take()
            self._backlog_grew.clear()
            ranges = self._journal.unsettled(position, (self._live_from or 1) - 1)
            if not ranges:
                window.free()
                await self._backlog_grew.wait()
                continue
            first, last = ranges[0]
            chunk = await self._journal.read(first, last, self._pace.entries, self._pace.size)
            position = (chunk.last or last) + 1
            group.create_task(self._deliver(chunk, window))

    async def _deliver(self, chunk: Chunk, window: Window) -> None:
        """Send one batch, again and again, until its ack comes; then free its place."""
        try:
            for batch in await self._whole(chunk):
                await self._deliver_batch(batch, window)
        finally:
            window.free()

    async def _whole(self, chunk: Chunk) -> list[Chunk]:
        """``chunk`` without a hole, as the journal gives it: the cloud refuses others for ever."""
        first, last = chunk.first, chunk.last
        numbers = len(chunk.entries) + sum(one.last - one.first + 1 for one in chunk.lost)
        if numbers in (0, last - first + 1):
            return [chunk] if numbers else []
        events.error("uplink: entries %d to %d are not whole; read again", first, last)
        again = []
        for one, other in self._journal.unsettled(first, last):
            again.append(await self._journal.read(one, other, self._pace.entries, MAX_BYTES))
        return [one for one in again if one.first]

    async def _deliver_batch(self, chunk: Chunk, window: Window) -> None:
        first, last = chunk.first, chunk.last
        if (first, last) in self._flights:
            # After an overflow the backlog comes to what still flies live: that flight delivers it.
            return
        size = len(bytes(chunk.entries[0].body)) if chunk.entries else 0
        if size > ENTRY_BYTES:
            await self._give_up(chunk.entries[0].seq, size)
            return
        payload = pack(self._journal.stream, self._prepare(chunk.entries), chunk.lost)
        wait_s = self._pace.answer_s
        begun_at = self._clock.monotonic()
        flight = self._flights[first, last] = _Flight(begun_at)
        try:
            while True:
                flight.news.clear()
                flight.sent_at = self._clock.monotonic()
                await self._publish("journal", payload)
                await _within(wait_s * random.uniform(0.8, 1.2), flight.news)
                if flight.acked:
                    window.answered(self._clock.monotonic() - begun_at)
                    return
                window.repeated()
                self.outage.note(CLOUD)
                wait_s = min(wait_s * 2, self._pace.longest_answer_s)
        finally:
            # A new session has flights of its own.
            if self._flights.get((first, last)) is flight:
                del self._flights[first, last]

    async def _give_up(self, seq: int, size: int) -> None:
        """An entry that no message can carry. It stays in the file; an event says so, once."""
        reason = f"entry {seq} has {size} bytes; at most {ENTRY_BYTES} are allowed"
        before = self._journal.rejected
        await self._journal.settle(self._journal.stream, seq, seq, [(seq, reason)])
        if self._journal.rejected > before:
            now = self._clock.now_ms()
            await self._journal.append(Event(now, "entry_too_large", "alarm", reason))


def _log_untold(told: "asyncio.Future[tuple[int, int]]") -> None:
    if not told.cancelled() and (error := told.exception()):
        events.error("uplink: an event could not be written down: %s", error)


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Whether the event came in time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def _first(*parts: Coroutine[None, None, object]) -> None:
    """Run until one of them ends; the others are cancelled. Raises what that one raised."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
