"""What the edge agent's tests share: a journal in a file, and devices that do as they are told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from common.clock import Clock, ManualClock
from common.errors import InMetterError
from common.messages.uplink import Body, Event, decode_body
from common.reading import Measured
from common.registers import Kind, Medium, Register
from edge_agent.drivers.base import Order, Sample
from edge_agent.store.chunk import Chunk
from edge_agent.store.database import Database
from edge_agent.store.journal import Journal, Keeping

NOW = 1_763_900_000_000


@asynccontextmanager
async def opened(
    path: Path, clock: Clock | None = None, keeping: Keeping | None = None
) -> AsyncIterator[Journal]:
    """The journal in ``path``/edge.db."""
    database = Database(path / "edge.db")
    try:
        yield await Journal.open(database, clock or ManualClock(NOW), keeping)
    finally:
        database.close()


def fill_disk(journal: Journal, full: bool = True) -> "asyncio.Future[None]":
    """From now on the file can be read but not written, as on a full disk; or it can again."""
    return journal.write(
        lambda transaction: transaction.connection.execute(f"PRAGMA query_only = {full:d}").close()
    )


def event(text: str = "something", at: int = NOW) -> Event:
    return Event(at, "test", "info", text)


async def bodies(journal: Journal) -> list[Body]:
    """Everything that is kept, decoded."""
    return [decode_body(entry.body) for entry in (await everything(journal)).entries]


async def everything(journal: Journal) -> Chunk:
    """All entries that are kept and all numbers that are lost, over the holes between them."""
    found = Chunk([], [])
    position = 1
    while (chunk := await journal.read(position, journal.next_seq, 10_000, 2**30)).last:
        found.entries.extend(chunk.entries)
        found.lost.extend(chunk.lost)
        position = chunk.last + 1
    return found


async def texts(journal: Journal) -> list[str]:
    """The texts of the events that are kept."""
    return [body.text for body in await bodies(journal) if isinstance(body, Event)]


async def until(condition: Callable[[], bool]) -> None:
    """Let the other tasks run until it is so; the test's own time-out is the limit."""
    while not condition():
        await turns(1)


async def turns(count: int) -> None:
    """Let the other tasks run for a while."""
    for _ in range(count):
        await asyncio.wait([asyncio.ensure_future(_turn())])


async def _turn() -> None:
    """One turn of the event loop."""


POWER = Register("power", "Power", Medium.ELECTRICITY, Kind.POWER, 1)
ROOF = Register(
    "roof", "Roof", Medium.OTHER, Kind.OUTPUT, 0, states=("closed", "open"), writable=True
)


class Meter:
    """A device that is asked: gives the answers in turn, the last one for ever."""

    def __init__(self, key: str, clock: Clock, answers: Sequence[str | InMetterError]) -> None:
        self._key = key
        self._clock = clock
        self._answers = list(answers)
        self.at_ms: int | None = None
        self.reads: list[int] = []

    @property
    def key(self) -> str:
        return self._key

    @property
    def registers(self) -> tuple[Register, ...]:
        return (POWER,)

    async def read(self) -> Sample:
        self.reads.append(self._clock.now_ms())
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, InMetterError):
            raise answer
        at_ms = self._clock.now_ms() if self.at_ms is None else self.at_ms
        return Sample(self._key, at_ms, (Measured("power", Decimal(answer), raw=7),))


class Roof:
    """A device with an output. ``troubles`` are raised, one a call, before anything is done;
    ``after`` are raised after the output has moved."""

    def __init__(self, key: str = "roof-module") -> None:
        self._key = key
        self.state = 0
        self.stuck = False
        self.switched: list[tuple[str, int]] = []
        self.troubles: list[InMetterError] = []
        self.after: list[InMetterError] = []
        self.read_troubles: list[InMetterError] = []
        self.on_switch: Callable[[], None] | None = None

    @property
    def key(self) -> str:
        return self._key

    @property
    def registers(self) -> tuple[Register, ...]:
        return (ROOF, POWER)

    async def switch(self, order: Order) -> int:
        if self.on_switch:
            self.on_switch()
        if self.troubles:
            raise self.troubles.pop(0)
        self.switched.append((order.command, order.value))
        if not self.stuck:
            self.state = order.value
        if self.after:
            raise self.after.pop(0)
        return self.state

    async def read_output(self, register: str) -> int:
        if self.read_troubles:
            raise self.read_troubles.pop(0)
        return self.state
