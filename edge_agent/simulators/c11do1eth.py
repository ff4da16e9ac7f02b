"""The simulated C11DO1ETH on the wire: a TCP client that comes back whenever it is cut off."""

import asyncio
import contextlib
import ssl
from random import Random

from common.clock import Clock
from common.errors import InMetterError, NoAnswer
from common.logs import events
from edge_agent.protocols.c11do1eth import MAX_LINE, Ack, Frame, LineBuffer
from edge_agent.simulators.c11do1eth_core import C11Core

__all__ = ["C11Core", "C11Simulator"]


class C11Simulator:
    """Connects ``core`` to a communication server; ``run`` goes on until it is cancelled.

    Between attempts it waits ``back_off_s`` (first, longest), doubled each time and shortened
    at random by up to a half; only an acknowledged record makes it start from the first again.
    ``tick_s`` is how often the core looks at its counter.
    """

    def __init__(
        self,
        core: C11Core,
        host: str,
        port: int,
        clock: Clock,
        *,
        tls: ssl.SSLContext | None = None,
        back_off_s: tuple[float, float] = (1.0, 60.0),
        tick_s: float = 1.0,
        random: Random | None = None,
    ) -> None:
        self.core = core
        self.sessions = 0
        self._address = (host, port)
        self._clock = clock
        self._tls = tls
        self._first_s, self._longest_s = back_off_s
        self._tick_s = tick_s
        self._random = random or Random(core.device)
        self._wait_s = self._first_s
        self._writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Live: count, connect, send, come back."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tick())
            while True:
                try:
                    await self._session()
                except (OSError, InMetterError) as error:
                    events.info("simulated %s: %s", self.core.device, error)
                await self._clock.sleep(self._wait_s * self._random.uniform(0.5, 1))
                self._wait_s = min(2 * self._wait_s, self._longest_s)

    def cut(self) -> None:
        """Lose the connection without a farewell, as when a cable is pulled."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(self._tick_s)
            now_ms = self._clock.now_ms()
            self._send(self.core.tick(now_ms))
            if self.core.stalled(now_ms):
                self.cut()

    async def _session(self) -> None:
        host, port = self._address
        reader, writer = await asyncio.open_connection(host, port, ssl=self._tls, limit=MAX_LINE)
        self._writer = writer
        self.sessions += 1
        try:
            self._send(self.core.connected())
            buffer = LineBuffer()
            while data := await reader.read(MAX_LINE):
                buffer.receive(data)
                while (frame := buffer.next_frame()) is not None:
                    if isinstance(frame, Ack) and frame.count:
                        self._wait_s = self._first_s
                    self._send(self.core.receive(frame, self._clock.now_ms()))
            raise NoAnswer("the server hung up")
        finally:
            self._writer = None
            self.core.disconnected()
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _send(self, frames: list[Frame]) -> None:
        if self._writer is not None and not self._writer.transport.is_closing():
            self._writer.write(b"".join(frame.to_line() for frame in frames))
