"""The wire between a socket or serial line and what is simulated behind it, with its faults.

One layer for every kind of device: it works on the bytes of whole answers, after their framing.
A device that is about to answer says so (``Wire.speaks``), so that a fault of this one device can
be told from a fault of the line that it shares with others.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from random import Random
from typing import SupportsIndex

from common.clock import Clock
from edge_agent.simulators.faults import Fault, FaultKind, Troubles

SILENT = (FaultKind.DROP, FaultKind.POWER_CUT, FaultKind.NETWORK_DOWN)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Speaks with one peer until it goes."""


class Wire:
    """What happens to the bytes of one line; all connections to it share this."""

    def __init__(self, troubles: Troubles, clock: Clock, seed: str) -> None:
        self.troubles = troubles
        self.clock = clock
        self._random = Random(f"{seed}/{troubles.name}")
        self._speakers: list[Troubles] = []
        self._answers: dict[str, bytes] = {}

    def speaks(self, device: Troubles) -> None:
        """This device's answer is in the bytes that come next."""
        if device not in self._speakers:
            self._speakers.append(device)

    def on(self, kind: FaultKind, speakers: list[Troubles]) -> Fault | None:
        """The fault of this kind that the line or one of the speakers has now."""
        found = (troubles.on(kind) for troubles in (self.troubles, *speakers))
        return next((fault for fault in found if fault is not None), None)

    def pieces(self, data: bytes) -> list[tuple[int, bytes]]:
        """What is really heard of an answer: milliseconds to wait before each piece, and bytes."""
        speakers, self._speakers = self._speakers, []
        name = "+".join(speaker.name for speaker in speakers)
        previous, self._answers[name] = self._answers.get(name, b""), data
        if self.troubles.none and all(speaker.none for speaker in speakers):
            return [(0, data)]
        if any(self.on(kind, speakers) for kind in SILENT):
            return []
        if self.on(FaultKind.STALE, speakers):
            data = previous
        if fault := self.on(FaultKind.GARBAGE, speakers):
            data = self._random.randbytes(fault["bytes"])
        if data and (fault := self.on(FaultKind.CORRUPT, speakers)):
            data = self._corrupt(data, fault["bits"])
        late = self.on(FaultKind.DELAY, speakers)
        wait_ms = late["ms"] if late else 0
        if not (fault := self.on(FaultKind.SPLIT, speakers)):
            return [(wait_ms, data)] if data else []
        size, gap_ms = fault["bytes"], fault["ms"]
        parts = [data[start : start + size] for start in range(0, len(data), size)]
        return [(gap_ms if number else wait_ms, part) for number, part in enumerate(parts)]

    def _corrupt(self, data: bytes, bits: int) -> bytes:
        """``bits`` different bits turned over, or all of them."""
        size = len(data) * 8
        turned = int.from_bytes(data, "big")
        for bit in self._random.sample(range(size), min(bits, size)):
            turned ^= 1 << bit
        return turned.to_bytes(len(data), "big")


class TroubledWriter(asyncio.StreamWriter):
    """Writes what the wire lets through, when it does."""

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        protocol: asyncio.BaseProtocol,
        reader: "TroubledReader",
        wire: Wire,
    ) -> None:
        super().__init__(transport, protocol, reader, asyncio.get_running_loop())
        self._wire = wire
        self._late: deque[tuple[int, bytes]] = deque()
        self._sending: asyncio.Task[None] | None = None
        reader.echo = super().write
        reader.abort = transport.abort

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """One whole answer."""
        if not data:
            return
        pieces = self._wire.pieces(bytes(data))
        if not self._late and not any(wait_ms for wait_ms, _ in pieces):
            for _, piece in pieces:
                super().write(piece)
            return
        self._late.extend(pieces)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.ensure_future(self._send())

    async def _send(self) -> None:
        while self._late:
            wait_ms, piece = self._late[0]
            if wait_ms:
                await self._wire.clock.sleep(wait_ms / 1000)
            self._late.popleft()
            if self.transport.is_closing():
                self._late.clear()
                return
            super().write(piece)


class TroubledReader(asyncio.StreamReader):
    """Hears what comes; a line that echoes says it again, one that hangs up ends there."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(limit=2**16, loop=asyncio.get_running_loop())
        self._wire = wire
        self.echo: Callable[[bytes], None] | None = None
        self.abort: Callable[[], None] | None = None

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        troubles = self._wire.troubles
        if troubles.none:
            super().feed_data(data)
            return
        if troubles.on(FaultKind.NETWORK_DOWN):
            return
        if troubles.on(FaultKind.HANG_UP) and self.abort:
            self.abort()
            return
        if troubles.on(FaultKind.ECHO) and self.echo:
            self.echo(bytes(data))
        super().feed_data(data)


async def connect(
    wire: Wire, host: str, port: int, *, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """As ``asyncio.open_connection``, through the wire. OSError: nobody there."""
    loop = asyncio.get_running_loop()
    reader = TroubledReader(wire)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.create_connection(lambda: protocol, host, port, ssl=tls)
    return reader, TroubledWriter(transport, protocol, reader, wire)
