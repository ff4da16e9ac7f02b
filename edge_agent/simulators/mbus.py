"""A simulated M-Bus-Ethernet converter: TCP bytes on one side, simulated meters on the other."""

import asyncio
from collections.abc import Iterable
from typing import Final

from common.clock import Clock
from common.errors import FrameError
from edge_agent.protocols.mbus import link
from edge_agent.simulators.mbus_collision import overlay
from edge_agent.simulators.mbus_slave import Slave

GAP_MS: Final = 1000
"""A frame whose rest stays away so long was none: the bytes are dropped."""


class Bus:
    """The meters behind a converter; no I/O. What meters say at the same time collides.

    ``baud`` is the converter's; a meter at another rate neither hears nor disturbs.
    """

    def __init__(self, slaves: Iterable[Slave], baud: int = 2400) -> None:
        self.slaves = tuple(slaves)
        self.baud = baud

    def restart(self) -> None:
        for slave in self.slaves:
            slave.restart()

    def answer(self, frame: link.Frame, at_ms: int) -> bytes:
        """What the master hears after a frame of its own; empty for silence."""
        hearing = [slave for slave in self.slaves if slave.hears(self.baud, at_ms)]
        answers = ((slave.latency_bits, slave.answer(frame, at_ms)) for slave in hearing)
        return overlay([(start, answer) for start, answer in answers if answer])


class Receiver:
    """Finds frames in one master's bytes, and passes over what is none."""

    def __init__(self) -> None:
        self._buffer = b""
        self._heard_ms = 0

    def feed(self, data: bytes, at_ms: int) -> list[link.Frame]:
        if at_ms - self._heard_ms >= GAP_MS:
            self._buffer = b""
        self._heard_ms = at_ms
        self._buffer += data
        frames = []
        while self._buffer:
            try:
                parsed = link.parse(self._buffer)
            except FrameError:
                self._buffer = self._buffer[1:]
                continue
            if parsed is None:
                break
            frames.append(parsed[0])
            self._buffer = self._buffer[parsed[1] :]
        return frames


class MbusConverter:
    """Listens on TCP; the meters start again at their first telegram for every connection."""

    def __init__(self, slaves: Iterable[Slave], clock: Clock) -> None:
        self._bus = Bus(slaves)
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; the port that was taken (0 asks for a free one)."""
        self._server = await asyncio.start_server(self.serve, host, port)
        taken: int = self._server.sockets[0].getsockname()[1]
        return taken

    async def close(self) -> None:
        """Hang up on everybody and stop listening."""
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        """Hang up on everybody; they may connect again."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, or a serial line, until its other end goes."""
        self._writers.add(writer)
        self._bus.restart()
        receiver = Receiver()
        try:
            while data := await reader.read(1024):
                at_ms = self._clock.now_ms()
                for frame in receiver.feed(data, at_ms):
                    writer.write(self._bus.answer(frame, at_ms))
                await writer.drain()
        except ConnectionError:
            return
        finally:
            self._writers.discard(writer)
            writer.close()
