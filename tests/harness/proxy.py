"""A TCP proxy that does to a connection what networks do: cut it, swallow it, delay it, starve
it, lose some of its packets."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from random import Random
from types import TracebackType
from typing import Any, TypeVar

Result = TypeVar("Result")

CHUNK = 65_536

SEGMENT = 1460
"""Bytes of a TCP segment on Ethernet."""

FIRST_RTO_S, LONGEST_RTO_S = 0.2, 6.4
"""How long Linux waits before it repeats a lost segment, the first time and at the longest here."""


class Proxy:
    """Passes connections to ``port`` on loopback to ``target``; a context manager.

    It runs in a thread with a loop of its own, so that synchronous tests can use it. ``bytes_up``
    is what has come from clients so far, without what TCP and IP add.
    """

    def __init__(self, target: int, seed: str = "proxy") -> None:
        self.port = 0
        self.connections = 0
        self.bytes_up = 0
        self._target = target
        self._delay_s = 0.0
        self._loss = 0.0
        self._bytes_per_s = 0.0
        self._random = Random(seed)
        self._black_hole = False
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """End every connection with a FIN to both sides; new ones are taken."""

        def close_all() -> None:
            for link in self._links:
                link.close()

        self._call(close_all)

    def black_hole(self) -> None:
        """From now on swallow every byte both ways, also of new connections; no FIN, no RST."""

        def swallow() -> None:
            self._black_hole = True
            for link in self._links:
                link.swallows = True

        self._call(swallow)

    def resume(self) -> None:
        """Pass new connections again. Those that lost bytes stay black holes, as behind a NAT
        that has forgotten them: it is for their ends to give them up."""

        def pass_again() -> None:
            self._black_hole = False

        self._call(pass_again)

    def drop(self) -> None:
        """Lose every connection without a FIN, as a NAT that was restarted; new ones are taken."""
        self.black_hole()
        self.resume()

    def delay(self, seconds: float) -> None:
        """Deliver every chunk so much later; throughput is not limited."""

        def set_delay() -> None:
            self._delay_s = seconds

        self._call(set_delay)

    def lose(self, share: float) -> None:
        """Lose so many of the packets (0 to below 1).

        TCP hides a loss and what is behind it comes later: after 0.2 s for a segment that is lost
        once, twice as long each time that its repetition is lost as well.
        """

        def set_loss() -> None:
            self._loss = share

        self._call(set_loss)

    def slow_down(self, bytes_per_s: float) -> None:
        """Pass no more than so many bytes a second each way of each connection; 0: no limit."""

        def set_rate() -> None:
            self._bytes_per_s = bytes_per_s

        self._call(set_rate)

    async def deliver(self, stream: "_Stream", data: bytes) -> None:
        """Write now or later, in order; returns when the next bytes may be read."""
        late_s = self._delay_s + self._stall_s(len(data))
        if self._bytes_per_s:
            passed: asyncio.Future[None] = self._loop.create_future()
            timer = self._loop.call_later(len(data) / self._bytes_per_s, passed.set_result, None)
            try:
                await passed
            finally:
                timer.cancel()
        stream.write(data, self._loop.time() + late_s if late_s else 0.0)

    def _stall_s(self, size: int) -> float:
        """For how long the worst of the chunk's segments is held up; they are repeated at once."""
        worst = 0.0
        for _ in range(-(-size // SEGMENT) if self._loss else 0):
            late_s, rto_s = 0.0, FIRST_RTO_S
            while self._random.random() < self._loss:
                late_s += rto_s
                rto_s = min(2 * rto_s, LONGEST_RTO_S)
            worst = max(worst, late_s)
        return worst

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        link = _Link(self, self._black_hole)
        self._links.add(link)
        try:
            with contextlib.suppress(asyncio.CancelledError):  # the proxy is closed meanwhile
                await link.run(reader, writer, self._target)
        finally:
            self._links.discard(link)
            link.close()

    async def _close(self) -> None:
        self._server.close()
        for link in list(self._links):
            link.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _call(self, action: Callable[[], None]) -> None:
        async def act() -> None:
            action()

        self._run(act())


class _Stream:
    """One way through a connection: bytes never overtake each other, whatever becomes of delays."""

    def __init__(self, writer: asyncio.StreamWriter, loop: asyncio.AbstractEventLoop) -> None:
        self._writer = writer
        self._loop = loop
        self._due = 0.0
        self._waiting = 0

    def write(self, data: bytes, due: float) -> None:
        """Write at ``due`` (of the loop's clock), but not before what was given earlier."""
        if self._waiting or due > self._loop.time():
            # Timers that are due together fire in no particular order.
            self._due = max(self._due + 1e-6, due)
            self._waiting += 1
            self._loop.call_at(self._due, self._write_late, data)
        else:
            self._write(data)

    def _write_late(self, data: bytes) -> None:
        self._waiting -= 1
        self._write(data)

    def _write(self, data: bytes) -> None:
        if not self._writer.transport.is_closing():
            self._writer.write(data)


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, swallows: bool) -> None:
        self.swallows = swallows
        self._proxy = proxy
        self._writers: list[asyncio.StreamWriter] = []

    async def run(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: int
    ) -> None:
        """Pass bytes until one side ends; a swallowing link has no far side to speak of."""
        self._writers.append(writer)
        with contextlib.suppress(OSError):
            if self.swallows:
                await self._pass(reader, None)
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
            self._writers.append(far_writer)
            tasks = [
                asyncio.create_task(self._pass(reader, far_writer, up=True)),
                asyncio.create_task(self._pass(far_reader, writer)),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if self.swallows:
                    await asyncio.wait(tasks)  # one end gave up; the other is not told
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(
        self, reader: asyncio.StreamReader, to: asyncio.StreamWriter | None, *, up: bool = False
    ) -> None:
        stream = _Stream(to, asyncio.get_running_loop()) if to is not None else None
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if up:
                    self._proxy.bytes_up += len(data)
                if stream is not None and not self.swallows:
                    await self._proxy.deliver(stream, data)

    def close(self) -> None:
        """FIN to both sides."""
        for writer in self._writers:
            writer.close()
