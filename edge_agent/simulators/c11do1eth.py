"""The simulated C11DO1ETH on the wire: a TCP client that comes back whenever it is cut off."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path
from random import Random

from common.clock import Clock
from common.errors import InMetterError, NoAnswer, Unreachable
from common.logs import events
from edge_agent.protocols.c11do1eth import MAX_LINE, Ack, Cmd, Frame, LineBuffer, Result, Rsp, Verb
from edge_agent.simulators.c11do1eth_core import C11Core
from edge_agent.simulators.faults import FaultKind, Troubles
from edge_agent.simulators.wire import Wire, connect

__all__ = ["C11Core", "C11Simulator"]


class C11Simulator:
    """Connects ``core`` to a communication server; ``run`` goes on until it is cancelled.

    Between attempts it waits ``back_off_s`` (first, longest), doubled each time and shortened
    at random by up to a half; only an acknowledged record makes it start from the first again.
    With ``tls_ca_file`` it speaks TLS, and only with a server whose certificate that authority has
    signed for ``host``.
    ``tick_s`` is how often the core looks at its counter. ``wire`` is where faults come in. While
    it is not ``powered`` it does nothing. ``on_order`` hears of every order to set the output, in
    words, before it is looked at.
    """

    def __init__(
        self,
        core: C11Core,
        host: str,
        port: int,
        clock: Clock,
        *,
        tls_ca_file: Path | None = None,
        back_off_s: tuple[float, float] = (1.0, 60.0),
        tick_s: float = 1.0,
        random: Random | None = None,
        wire: Wire | None = None,
    ) -> None:
        self.core = core
        self.sessions = 0
        self.powered = True
        self.on_order: Callable[[str], None] | None = None
        self._address = (host, port)
        self._clock = clock
        self._tls = ssl.create_default_context(cafile=tls_ca_file) if tls_ca_file else None
        self._first_s, self._longest_s = back_off_s
        self._tick_s = tick_s
        self._random = random or Random(core.device)
        self._wire = wire or Wire(Troubles(core.device, clock), clock, core.device)
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
            if not self.powered:
                continue
            now_ms = self._clock.now_ms()
            self._send(self.core.tick(now_ms))
            if self.core.stalled(now_ms):
                self.cut()

    async def _session(self) -> None:
        if not self.powered or self._wire.troubles.on(FaultKind.NETWORK_DOWN):
            raise Unreachable("no power, or no network")
        reader, writer = await connect(self._wire, *self._address, tls=self._tls)
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
                    self._send(self._answers(frame))
            raise NoAnswer("the server hung up")
        finally:
            self._writer = None
            self.core.disconnected()
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _answers(self, frame: Frame) -> list[Frame]:
        """The core's, but for an order that finds the module busy."""
        now_ms = self._clock.now_ms()
        if isinstance(frame, Cmd) and frame.verb == Verb.OUT and self.on_order is not None:
            words = " ".join((frame.verb, *frame.arguments))
            if frame.arguments != ("READ",):
                self.on_order(f"c11do1eth {self.core.device} hears {words} of {frame.command}")
        if isinstance(frame, Cmd) and self._wire.troubles.on(FaultKind.BUSY):
            done_ms = self.core.clock_ms(now_ms)
            return [Rsp(self.core.device, frame.command, Result.FAILED, None, done_ms)]
        return self.core.receive(frame, now_ms)

    def _send(self, frames: list[Frame]) -> None:
        if frames and self._writer is not None and not self._writer.transport.is_closing():
            self._writer.write(b"".join(frame.to_line() for frame in frames))
