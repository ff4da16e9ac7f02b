"""A simulated site in the test's own process, and a bare peer that talks to it in bytes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from common.clock import Clock, SystemClock
from edge_agent.protocols.mbus import encode
from edge_agent.simulators.scenario import load_site
from edge_agent.simulators.site import SimulatedSite
from tests.harness.eventually import eventually

PATIENCE_S = 20
SILENCE_S = 0.15

HEAD = """
seed = "tests"
origin = 2026-01-05T00:00:00Z

[[source]]
key = "steady"
series = "steady"
base = 3600

[[meter]]
key = "power"
medium = "electricity"
start = 5_000_000
sources = ["steady"]
"""

MBUS = """
[[mbus]]
listen = "127.0.0.1:0"
address = {address}
identification = "1000000{address}"
meter = "power"
key = "mbus-{address}"
"""

MODBUS = """
[[modbus]]
listen = "{listen}"
unit = {unit}
profile = "abb_b23"
meter = "power"
key = "modbus-{unit}"
"""

TWO_OF_EACH = (
    HEAD
    + "".join(MBUS.format(address=n) for n in (1, 2))
    + "".join(MODBUS.format(listen="127.0.0.1:0", unit=n) for n in (1, 2))
)


@asynccontextmanager
async def playing(
    folder: Path, text: str, *, clock: Clock | None = None, control: str = ""
) -> AsyncIterator[tuple[SimulatedSite, list[str]]]:
    """The site, running, and what it said."""
    scenario = folder / "scenario.toml"
    scenario.write_text(text, "utf-8")
    site = SimulatedSite(load_site(scenario), clock or SystemClock(), None, control)
    said: list[str] = []
    up = asyncio.Event()

    def say(line: str) -> None:
        said.append(line)
        if line == "simulated site is up":
            up.set()

    running = asyncio.ensure_future(site.run(say))
    try:
        done = asyncio.ensure_future(up.wait())
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait({running, done}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        yield site, said
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def happens(condition: Callable[[], bool]) -> None:
    """Until it is so, while the site goes on."""
    await asyncio.to_thread(eventually, condition, PATIENCE_S)


@dataclass(slots=True)
class Peer:
    """A bare TCP client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def hears(self, size: int) -> bytes:
        """Exactly so many bytes."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readexactly(size)

    async def ask(self, request: bytes, size: int) -> bytes:
        self.writer.write(request)
        return await self.hears(size)

    async def hears_nothing(self, request: bytes) -> bool:
        self.writer.write(request)
        try:
            async with asyncio.timeout(SILENCE_S):
                return not await self.reader.read(1)
        except TimeoutError:
            return True

    async def is_hung_up(self, request: bytes = b"") -> bool:
        if request:
            self.writer.write(request)
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True

    async def read_mbus(self, address: int, *, fcb: bool = True) -> bytes:
        """The telegram of a meter: a long frame."""
        head = await self.ask(encode.req_ud2(address, fcb).to_bytes(), 4)
        return head + await self.hears(head[1] + 2)

    async def read_modbus(self, unit: int, transaction: int = 7) -> bytes:
        """A whole Modbus TCP answer: two registers of ABB's total import energy (0x5000)."""
        head = await self.ask(modbus_request(unit, transaction), 6)
        return head + await self.hears(int.from_bytes(head[4:6], "big"))


def modbus_request(unit: int, transaction: int = 7) -> bytes:
    return transaction.to_bytes(2, "big") + bytes((0, 0, 0, 6, unit, 3, 0x50, 0x00, 0, 4))


@asynccontextmanager
async def talking(said: list[str], device: str) -> AsyncIterator[Peer]:
    """To where this device said that it listens."""
    words = next(one.split() for one in said if device in one.split()[:2])
    place = words[words.index("on") + 1]
    host, _, port = place.removeprefix("rtu+tcp:").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
