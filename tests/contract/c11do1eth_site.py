"""A communication server on a free port, a sink that remembers, and a device made by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from fractions import Fraction

from common.clock import Clock, SystemClock
from common.errors import Retryable
from common.ranges import RangeSet
from common.registers import Medium
from edge_agent.drivers.c11do1eth import (
    C11Module,
    CommunicationServer,
    Item,
    Limits,
    Output,
    Periods,
)
from edge_agent.protocols.c11do1eth import (
    Ack,
    Auth,
    Cause,
    Chal,
    Evt,
    Frame,
    Hello,
    LineBuffer,
    Reason,
    Rec,
    Welc,
    prove,
)
from edge_agent.protocols.c11do1eth import Clock as TimeQuality
from edge_agent.simulators.c11do1eth import C11Core, C11Simulator

SECRET = b"0123456789abcdef0123456789abcdef"
NOW_MS = 1_764_000_000_000
PATIENCE_S = 20


class MemorySink:
    """Keeps what it is given, by (device, boot, seq), and lets a test wait, hold and fail it."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, int, int], Rec | Evt] = {}
        self.arrivals: list[Item] = []
        self.groups: list[int] = []
        self.failures = 0
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.after_store: Callable[[], None] = lambda: None
        self._committed: dict[str, RangeSet] = {}
        self._changed = asyncio.Condition()

    async def resume(self, device: str, hello: Hello) -> int:
        numbers = self._committed.setdefault(device, RangeSet())
        if hello.oldest > 1:
            numbers.add(1, hello.oldest - 1)
        return min(self._contiguous(device), hello.last)

    async def store(self, device: str, items: Sequence[Item]) -> int:
        self.entered.set()
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise Retryable("the disk is full")
        self.groups.append(len(items))
        for item in items:
            self.arrivals.append(item)
            if isinstance(item, Rec | Evt):
                self.stored.setdefault((device, item.boot, item.seq), item)
            self._committed[device].add(item.seq, item.seq)
            if isinstance(item, Evt) and item.lost:
                self._committed[device].add(*item.lost)
        async with self._changed:
            self._changed.notify_all()
        self.after_store()
        return self._contiguous(device)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Waits until ``reached`` after some commit."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(reached)

    def _contiguous(self, device: str) -> int:
        gaps = self._committed[device].missing(1, 2**32)
        return gaps[0][0] - 1


def module(key: str = "m1", clock: Clock | None = None) -> C11Module:
    """A cold water meter of 10 l a pulse, and a roof."""
    return C11Module(
        key,
        SECRET,
        medium=Medium.COLD_WATER,
        weight=Fraction(1, 100),
        start_index=Decimal("12.5"),
        periods=Periods(push_s=60, log_s=900, version=3),
        output=Output("roof", "roof panels"),
        clock=clock or SystemClock(),
    )


@asynccontextmanager
async def serving(
    sink: MemorySink,
    clock: Clock | None = None,
    limits: Limits | None = None,
    modules: Mapping[str, C11Module] | None = None,
) -> AsyncIterator[tuple[CommunicationServer, int]]:
    """A running server and its port."""
    known = modules if modules is not None else {"m1": module()}
    server = CommunicationServer("127.0.0.1", 0, known, sink, clock or SystemClock(), limits=limits)
    async with running(server.run()):
        yield server, await server.listening()


@asynccontextmanager
async def running(part: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Something with a ``run``, cancelled at the end; its own error fails the test."""
    task = asyncio.ensure_future(part)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def simulator(core: C11Core, port: int) -> C11Simulator:
    """The simulated module in a hurry."""
    return C11Simulator(
        core, "127.0.0.1", port, SystemClock(), back_off_s=(0.001, 0.01), tick_s=0.01
    )


class HandDevice:
    """A device whose every line the test writes itself."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.name = name
        self._buffer = LineBuffer()

    def send(self, *frames: Frame) -> None:
        self.raw(b"".join(frame.to_line() for frame in frames))

    def raw(self, data: bytes) -> None:
        self.writer.write(data)

    async def next(self) -> Frame | None:
        """The server's next frame; None when it hung up."""
        async with asyncio.timeout(PATIENCE_S):
            while (frame := self._buffer.next_frame()) is None:
                try:
                    data = await self.reader.read(4096)
                except ConnectionResetError:
                    return None
                if not data:
                    return None
                self._buffer.receive(data)
            return frame

    def hello(self, boot: int = 1, last: int = 0, oldest: int = 1) -> Hello:
        return Hello(self.name, 1, "C11DO1ETH", "test", boot, last, oldest, 0)

    async def greet(
        self, secret: bytes = SECRET, boot: int = 1, last: int = 0, oldest: int = 1
    ) -> Frame | None:
        """The handshake; gives the server's last word in it."""
        self.send(self.hello(boot, last, oldest))
        challenge = await self.next()
        if not isinstance(challenge, Chal):
            return challenge
        self.send(Auth(self.name, prove(secret, self.name, challenge.nonce, boot)))
        return await self.next()

    async def open(self, last: int = 0, oldest: int = 1) -> Welc:
        welcome = await self.greet(last=last, oldest=oldest)
        assert isinstance(welcome, Welc)
        return welcome

    async def ack(self) -> Ack:
        frame = await self.next()
        assert isinstance(frame, Ack)
        return frame


@asynccontextmanager
async def device(port: int, name: str = "m1") -> AsyncIterator[HandDevice]:
    """A connection by hand, closed at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield HandDevice(reader, writer, name)
    finally:
        writer.transport.abort()


def rec(seq: int, total: int = 0, name: str = "m1", at_ms: int = NOW_MS) -> Rec:
    """A plain record."""
    return Rec(
        name, seq, 1, at_ms, TimeQuality.SYNCED, 1000 * seq, 900, total, 1, 0, 0, 5,
        Reason.TIMED, Cause.NONE,
    )  # fmt: skip
