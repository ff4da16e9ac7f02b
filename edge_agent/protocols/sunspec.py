"""The chain of models in a SunSpec device. Pure.

SunSpec Device Information Model Specification V1.1 §6: the marker "SunS" stands at one of three
addresses; behind it stand models, each with its number, its length, and as many registers; the
last one has the number 0xFFFF.
"""

from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import dataclass

from common.errors import FrameError, NotFound, Undecodable
from edge_agent.protocols.modbus import Span

MARKER = (0x5375, 0x6E53)
"""The text ``SunS``."""

BASES = (40000, 50000, 0)
"""Where the marker may stand, as addresses on the wire; the likeliest first."""

END = 0xFFFF
HEADER = 2
"""Registers before a model's own ones: its number and its length."""

LENGTHS = dict.fromkeys((201, 202, 203, 204), 105) | dict.fromkeys((211, 212, 213, 214), 124)
"""Registers of the meter models, without the header (SunSpec model definitions 201 to 214)."""

MAX_MODELS = 200
"""Assumed: a longer chain is taken for one that has no end."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model of a device: ``address`` is that of its number, ``length`` is without the header."""

    number: int
    address: int
    length: int

    @property
    def header(self) -> range:
        """The addresses of its number and its length."""
        return range(self.address, self.address + HEADER)

    def check(self, header: Iterable[int]) -> None:
        """Raises FrameError when its number and its length are not those of ``header``."""
        if tuple(header) != (self.number, self.length):
            raise FrameError(f"SunSpec model {self.number} is not at register {self.address} now")

    def require(self, extent: int) -> None:
        """Raises Undecodable when it has fewer than ``extent`` registers, header included."""
        if HEADER + self.length < extent:
            raise Undecodable(f"SunSpec model {self.number} has only {self.length} registers")


Search = Generator[Span, Sequence[int] | None, Model]


def search(numbers: Collection[int]) -> Search:
    """Find the first model with one of these ``numbers``.

    Yields the holding registers to read next, and is sent their words, or None when the device
    refuses them. Raises NotFound: no SunSpec device, or it has no such model.
    """
    for base in BASES:
        words = yield Span(base, len(MARKER))
        if words is not None and tuple(words) == MARKER:
            return (yield from _walk(base + len(MARKER), numbers))
    raise NotFound(f"no SunSpec device: no marker at {', '.join(map(str, BASES))}")


def _walk(address: int, numbers: Collection[int]) -> Search:
    found: list[int] = []
    while address <= 0x10000 - HEADER and len(found) < MAX_MODELS:
        head = yield Span(address, HEADER)
        if head is None or head[0] == END:
            break
        number, length = head
        if number in numbers:
            return Model(number, address, length)
        found.append(number)
        address += HEADER + length
    wanted = ", ".join(map(str, sorted(numbers)))
    raise NotFound(f"none of the SunSpec models {wanted}; there are {found}")


def chain(base: int, models: Iterable[tuple[int, Sequence[int]]]) -> dict[int, int]:
    """The registers of a device by address: the marker, the models (number, words), the end."""
    words = list(MARKER)
    for number, own in models:
        words += (number, len(own), *own)
    words += (END, 0)
    return dict(enumerate(words, base))
