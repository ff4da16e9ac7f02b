"""A TCP proxy that does to a connection what networks do: cut it, swallow it, delay it."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

Result = TypeVar("Result")

CHUNK = 65_536


class Proxy:
    """Passes connections to ``port`` on loopback to ``target``; a context manager.

    It runs in a thread with a loop of its own, so that synchronous tests can use it. ``bytes_up``
    is what has come from clients so far, without what TCP and IP add.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.connections = 0
        self.bytes_up = 0
        self._target = target
        self._delay_s = 0.0
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

    def delay(self, seconds: float) -> None:
        """Deliver every chunk so much later; throughput is not limited."""

        def set_delay() -> None:
            self._delay_s = seconds

        self._call(set_delay)

    def deliver(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Write now or later, in order."""

        def write() -> None:
            if not writer.transport.is_closing():
                writer.write(data)

        if self._delay_s:
            self._loop.call_later(self._delay_s, write)
        else:
            write()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        link = _Link(self, self._black_hole)
        self._links.add(link)
        try:
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
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if up:
                    self._proxy.bytes_up += len(data)
                if to is not None and not self.swallows:
                    self._proxy.deliver(to, data)

    def close(self) -> None:
        """FIN to both sides."""
        for writer in self._writers:
            writer.close()
