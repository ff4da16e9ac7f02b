"""Where simulated devices are reached: a TCP port, or a pty that stands for a serial port."""

import asyncio
import contextlib
import os
import tty
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.simulators.wire import Serve, TroubledReader, TroubledWriter, Wire

MAX_CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Tcp:
    """``HOST:PORT``; port 0 takes a free one. ``rtu``: Modbus RTU frames, not Modbus TCP."""

    host: str
    port: int
    rtu: bool = False


@dataclass(frozen=True, slots=True)
class Pty:
    """``pty:PATH``: a symbolic link is made there to a terminal that stands for the serial port."""

    path: Path


def parse_listen(text: str, *, rtu: bool = False) -> Tcp | Pty:
    """Where something listens; ``rtu`` allows ``rtu+tcp:HOST:PORT`` too. Raises ValueError."""
    if text.startswith("pty:") and text != "pty:":
        return Pty(Path(text.removeprefix("pty:")))
    bare = text.removeprefix("rtu+tcp:") if rtu else text
    return Tcp(*parse_address(bare), rtu=bare != text)


def parse_address(text: str) -> tuple[str, int]:
    """``HOST:PORT``; raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not host or not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


class TcpPort:
    """Listens, and serves whoever connects; ``close`` and ``start`` again keep the port."""

    def __init__(self, place: Tcp, serve: Serve, wire: Wire) -> None:
        self._place = place
        self._port = place.port
        self._serve = serve
        self._wire = wire
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def listens(self) -> bool:
        return self._server is not None

    async def start(self) -> str:
        """Listen, and say where. OSError: the port cannot be had."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._protocol, self._place.host, self._port)
        self._port = server.sockets[0].getsockname()[1]
        self._server = server
        return f"{self._place.host}:{self._port}"

    async def close(self) -> None:
        """Hang up on everybody and stop listening."""
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        """Hang up on everybody; they may connect again."""
        for writer in list(self._writers):
            writer.transport.abort()

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        reader = TroubledReader(self._wire)

        async def connected(_: asyncio.StreamReader, plain: asyncio.StreamWriter) -> None:
            if len(self._writers) >= MAX_CONNECTIONS:
                plain.transport.abort()
                return
            writer = TroubledWriter(plain.transport, protocol, reader, self._wire)
            self._writers.add(writer)
            try:
                await self._serve(reader, writer)
            finally:
                self._writers.discard(writer)
                writer.close()

        protocol = asyncio.StreamReaderProtocol(reader, connected, loop=asyncio.get_running_loop())
        return protocol


class PtyPort:
    """A serial port: there is one peer at a time, and none is told when it comes or goes."""

    def __init__(self, place: Pty, serve: Serve, wire: Wire) -> None:
        self._path = place.path
        self._serve = serve
        self._wire = wire
        self._ends: tuple[int, int] | None = None
        self._line: asyncio.Task[None] | None = None

    @property
    def listens(self) -> bool:
        return self._ends is not None

    async def start(self) -> str:
        """Make the link, and say where. OSError: it cannot be made, or something else is there."""
        if self._path.is_symlink():
            self._path.unlink()
        ours, theirs = os.openpty()
        self._ends = (ours, theirs)
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        self._path.symlink_to(os.ttyname(theirs))
        self._line = asyncio.ensure_future(self._run(ours))
        return str(self._path)

    async def close(self) -> None:
        """Take the link away; whoever has it open hears no more."""
        if self._line is not None:
            self._line.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._line
            self._line = None
        if self._ends is not None:
            theirs = os.ttyname(self._ends[1])
            if self._path.is_symlink() and str(self._path.readlink()) == theirs:
                self._path.unlink()
            for end in self._ends:
                os.close(end)
            self._ends = None

    def cut(self) -> None:
        """A serial line cannot be hung up: nothing happens."""

    async def _run(self, ours: int) -> None:
        while True:
            reader = TroubledReader(self._wire)
            protocol = asyncio.StreamReaderProtocol(reader, loop=asyncio.get_running_loop())
            transport = PtyTransport(ours, reader.feed_data)
            writer = TroubledWriter(transport, protocol, reader, self._wire)
            try:
                await self._serve(reader, writer)
            finally:
                transport.close()
            # A line that ends by itself must not keep the loop busy.
            await self._wire.clock.sleep(0.01)


class PtyTransport(asyncio.Transport):
    """The bytes of a pty's master end. What the peer does not read in time is lost, as it is on a
    serial line without handshake."""

    def __init__(self, end: int, heard: Callable[[bytes], None]) -> None:
        super().__init__()
        self._end = end
        self._heard = heard
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(end, self._read)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            self._heard(os.read(self._end, 4096))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closing:
            with contextlib.suppress(BlockingIOError, OSError):
                os.write(self._end, data)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.remove_reader(self._end)

    def abort(self) -> None:
        """A serial line cannot be hung up."""
