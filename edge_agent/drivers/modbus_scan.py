"""Finds the units on a Modbus line, and what they are."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from common.errors import Disconnected, FrameError, NoAnswer, Refused, Retryable, Unreachable
from edge_agent.drivers.modbus_line import Busy, ModbusLine
from edge_agent.drivers.modbus_probe import without_url
from edge_agent.profiles.modbus import fitting
from edge_agent.protocols.modbus import Span

LONGEST_S = 5.0
"""Units that answer late make the scan wait longer, up to this."""

LAST_S = 1.0
"""How long the last unit is waited for: nobody after it would notice that it was late."""

NOISE = "noise: "

MAX_NOISE = 3
"""When so many units give noise and none gives an answer, something is wrong with all of them."""

FEWEST = 8
"""Of fewer units to come none is asked whether the far end looks at unit numbers at all."""

ONE_DEVICE = "it answers to any unit number: this is one device"

OBJECTS = {
    0: "vendor",
    1: "product_code",
    2: "revision",
    3: "vendor_url",
    4: "product",
    5: "model",
    6: "application",
}
"""Identification objects (V1.1b3 §6.21): the first three are basic, the others regular."""

FIRST_REGULAR = 3
MAX_PARTS = 8
"""Answers that an identification may be spread over."""


@dataclass(frozen=True, slots=True)
class Found:
    """A unit that answered: ``answer`` says with what, ``profiles`` which of ours fit it."""

    unit: int
    answer: str
    identification: dict[str, str] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()

    @property
    def is_noise(self) -> bool:
        return self.answer.startswith(NOISE)


@dataclass(frozen=True, slots=True)
class Step:
    """``unit`` was asked; ``found`` when it is there."""

    unit: int
    found: Found | None = None


class Scan:
    """Asks each of ``units`` on ``line``, which should be patient. Only reads.

    ``next_unit`` is where to go on after an interruption, None at the end; ``notes`` says what is
    true of the whole line; ``silence`` is the last reason why a unit was not found.
    """

    def __init__(self, line: ModbusLine, units: Sequence[int]) -> None:
        self.found: dict[int, Found] = {}
        self.notes: list[str] = []
        self.silence = ""
        self._line = line
        self._units = units
        self._noisy = 0
        self._at = 0

    @property
    def next_unit(self) -> int | None:
        return self._units[self._at] if self._at < len(self._units) else None

    async def run(self) -> AsyncIterator[Step]:
        """One step for each unit asked. Raises Unreachable when the line is gone, FrameError when
        there is nothing but noise."""
        while self._at < len(self._units):
            unit = self._units[self._at]
            if unit == self._units[-1]:
                self._line.timeout_s = max(self._line.timeout_s, LAST_S)
            answer = await self._ask(unit)
            if await self._was_too_fast(unit):
                continue
            if answer:
                self.found[unit] = await self._describe(unit, answer)
            yield Step(unit, self.found.get(unit))
            self._at += 1
            if await self._all_answer():
                self.notes.append(ONE_DEVICE)
                self._at = len(self._units)

    async def _ask(self, unit: int) -> str:
        """What the unit answers; empty when it is not there."""
        self._line.late.clear()
        try:
            async with self._line.turns.turn():
                await self._line.read_registers(unit, 3, Span(0, 1))
        except (Refused, Busy) as error:
            return without_url(self._line, error).partition(": ")[0]
        except Unreachable:
            raise
        except FrameError as error:
            self.silence = without_url(self._line, error)
            if self._line.late:
                return ""
            self._noisy += 1
            if self._noisy >= MAX_NOISE and all(one.is_noise for one in self.found.values()):
                self.found.clear()
                raise
            return f"{NOISE}{self.silence}"
        except (NoAnswer, Disconnected) as error:
            self.silence = without_url(self._line, error)
            return ""
        return "registers"

    async def _was_too_fast(self, unit: int) -> bool:
        """Whether an earlier unit was heard only now: then it is asked again, with more time.

        A gateway that is slow with a unit keeps the next ones waiting, too.
        """
        late = self._line.late - self.found.keys() - {unit}
        places = [place for place in range(self._at) if self._units[place] in late]
        if not places or self._line.timeout_s >= LONGEST_S:
            return False
        self._line.timeout_s = min(LONGEST_S, 2 * self._line.timeout_s)
        await self._line.settle()
        self._at = places[0]
        return True

    async def _all_answer(self) -> bool:
        """Whether the far end answers to any number, as many Modbus TCP devices do.

        After the first unit that is there, three others are asked that are unlikely to be.
        """
        others = self._units[self._at :]
        known = [one for one in self.found.values() if not one.is_noise]
        first = len(known) == 1 and known[0].unit == self._units[self._at - 1]
        if not first or len(others) < FEWEST or not self._line.url.startswith("tcp:"):
            return False
        for unit in (others[-1], others[-2], others[len(others) // 2]):
            answer = await self._ask(unit)
            if not answer or answer.startswith(NOISE):
                return False
        return True

    async def _describe(self, unit: int, answer: str) -> Found:
        async def read(function: int, address: int, count: int) -> list[int] | None:
            try:
                async with self._line.turns.turn():
                    return await self._line.read_registers(unit, function, Span(address, count))
            except (Refused, NoAnswer, FrameError, Disconnected):
                return None

        if answer.startswith(NOISE):
            return Found(unit, answer)
        identification = await self._identify(unit)
        return Found(unit, answer, identification, tuple(await fitting(read)))

    async def _identify(self, unit: int) -> dict[str, str]:
        """What the unit says of itself (FC 43/14); many say nothing."""
        objects = await self._objects(unit, 1, 0)
        if objects:
            objects |= await self._objects(unit, 2, FIRST_REGULAR)
        return {
            OBJECTS[key]: text
            for key, value in sorted(objects.items())
            if key in OBJECTS and (text := value.decode("utf-8", "replace").strip("\0 "))
        }

    async def _objects(self, unit: int, category: int, first: int) -> dict[int, bytes]:
        objects: dict[int, bytes] = {}
        for _ in range(MAX_PARTS):
            try:
                async with self._line.turns.turn():
                    part, first = await self._line.identify(unit, category, first)
            except (Refused, Retryable):
                break
            objects |= part
            if not first:
                break
        return objects
