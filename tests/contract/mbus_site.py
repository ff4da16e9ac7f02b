"""Simulated buses: in a thread, for commands that run a loop of their own, and without a wire."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from common.clock import ManualClock
from common.errors import NoAnswer
from edge_agent.drivers.line import Line
from edge_agent.protocols.mbus import link
from edge_agent.simulators.mbus import Bus, MbusConverter, Receiver
from edge_agent.simulators.mbus_records import ElectricityRecords
from edge_agent.simulators.mbus_slave import Identity, Slave
from tests.unit.test_mbus_simulator import NOW_MS, Steady


def electricity(
    address: int, identification: str, maker: str = "INM", version: int = 1, medium: int = 2
) -> Slave:
    """A meter that answers after its own number of bit times, so that collisions are heard."""
    identity = Identity(identification, maker, version, medium)
    latency = 11 + (int(identification) + version + 7 * medium) % 300
    source = ElectricityRecords(Steady(), identification)
    return Slave(address, identity, source, latency_bits=latency)


class BusTransport:
    """A bus at the end of a connection that needs no time: silence costs nothing."""

    is_port = False

    def __init__(self, bus: "Bus | Noisy", *, echoes: bool = False) -> None:
        self._bus = bus
        self._echoes = echoes
        self._receiver = Receiver()
        self._heard = b""
        self.is_open = True
        self.asked: list[link.Frame] = []

    def write(self, data: bytes) -> None:
        self._heard += data if self._echoes else b""
        for frame in self._receiver.feed(data, NOW_MS):
            self.asked.append(frame)
            self._heard += self._bus.answer(frame, NOW_MS)

    async def read(self, timeout_s: float) -> bytes:
        heard, self._heard = self._heard, b""
        if not heard:
            raise NoAnswer("silence")
        return heard

    async def discard(self) -> int:
        self._heard = b""
        return 0

    def close(self) -> None:
        self.is_open = False


class Noisy:
    """A bus whose answers are spoilt: ``when`` sees the number of each question."""

    def __init__(self, bus: Bus, when: "list[int] | None" = None) -> None:
        self._bus = bus
        self._when = when
        self._asked = 0

    def answer(self, frame: link.Frame, at_ms: int) -> bytes:
        self._asked += 1
        answer = self._bus.answer(frame, at_ms)
        if self._when is None or self._asked in self._when:
            return b"\x00HTTP"
        return answer


def line_to(bus: Bus | Noisy, *, echoes: bool = False) -> tuple[Line, BusTransport]:
    """A line that ends at a bus, and the transport between."""
    transport = BusTransport(bus, echoes=echoes)
    return line_through(transport), transport


def line_through(transport: BusTransport) -> Line:
    """A line that is connected through this transport."""

    async def connect(timeout_s: float) -> BusTransport:
        return transport

    return Line("tcp://bus:1", connect=connect)


@contextmanager
def converter(slaves: Sequence[Slave]) -> Iterator[str]:
    """The URL of a converter with these meters."""
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    ports: list[int] = []

    async def serve() -> None:
        simulated = MbusConverter(slaves, ManualClock(NOW_MS))
        ports.append(await simulated.start())
        ready.set()
        try:
            await asyncio.Future()
        finally:
            await simulated.close()

    task = loop.create_task(serve())

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    try:
        yield f"tcp://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)
