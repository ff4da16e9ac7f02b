"""Which profiles fit a Modbus device that nobody has named."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal

from common.errors import NotFound
from common.registers import KINDS, Kind
from edge_agent.profiles.modbus_map import Profile
from edge_agent.protocols import sunspec
from edge_agent.protocols.modbus import Request, Span

Read = Callable[[int, int, int], Awaitable[Sequence[int] | None]]
"""``await read(function, address, count)``: the words, or None when the device gives none."""

PLAUSIBLE: dict[Kind, tuple[Decimal, Decimal]] = {
    Kind.FREQUENCY: (Decimal(45), Decimal(65)),
    Kind.VOLTAGE: (Decimal(80), Decimal(500)),
    Kind.POWER_FACTOR: (Decimal(-1), Decimal(1)),
}
"""What a meter in service shows, in Hz and V. A 0 says nothing: that phase may not be there."""

HIGHEST = Decimal(10) ** 12
"""Assumed: no W, Wh or A is beyond this."""


class _Reader:
    """Asks the device once for each request."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._known: dict[Request, Sequence[int] | None] = {}

    async def words(self, function: int, span: Span) -> Sequence[int] | None:
        request = Request(function, span)
        if request not in self._known:
            words = await self._read(function, span.address, span.count)
            whole = words is not None and len(words) == span.count
            self._known[request] = words if whole else None
        return self._known[request]

    async def cells(self, profile: Profile) -> dict[tuple[int, int], int] | None:
        """All that the profile asks for; None when the device refuses some of it."""
        cells: dict[tuple[int, int], int] = {}
        for request in profile.requests:
            words = await self.words(request.function, request.span)
            if words is None:
                return None
            for address, word in enumerate(words, request.span.address):
                cells[request.function, address] = word
        return cells


async def fitting(read: Read, profiles: Mapping[str, Profile]) -> list[str]:
    """The names of the ``profiles`` that fit, the likeliest first.

    A device that says which one it is fits that alone; else every profile whose registers can be
    read and are plausible does. Devices with outputs alone are not found.
    """
    reader = _Reader(read)
    identified = [name for name, one in profiles.items() if await _identified(one, reader)]
    if identified:
        return identified
    scores: list[tuple[int, int, str]] = []
    for name, profile in profiles.items():
        if profile.identify is None and not profile.sunspec:
            cells = await reader.cells(profile)
            score = 0 if cells is None else _score(profile, cells)
            if score:
                scores.append((-score, len(profile.register), name))
    return [name for _, _, name in sorted(scores)]


async def _identified(profile: Profile, reader: _Reader) -> bool:
    if profile.sunspec:
        return await _has_model(profile, reader)
    identity = profile.identify
    if identity is None:
        return False
    span = Span(identity.address, identity.count)
    words = await reader.words(identity.function or profile.function, span)
    return words is not None and tuple(words) in identity.samples


async def _has_model(profile: Profile, reader: _Reader) -> bool:
    search = sunspec.search(profile.sunspec)
    words: Sequence[int] | None = None
    try:
        while True:
            words = await reader.words(profile.function, search.send(words))
    except StopIteration:
        return True
    except NotFound:
        return False


def _score(profile: Profile, cells: Mapping[tuple[int, int], int]) -> int:
    """How many values are there and plausible; 0 when one is not, or when no voltage and no
    frequency is there."""
    counted: list[Kind] = []
    for field, reading in zip(profile.register, profile.decode(cells), strict=False):
        value = reading.value
        if not value:
            continue
        low, high = PLAUSIBLE.get(
            field.kind, (Decimal(0) if KINDS[field.kind].counting else -HIGHEST, HIGHEST)
        )
        if not low <= value <= high:
            return 0
        if field.kind in PLAUSIBLE:
            counted.append(field.kind)
    return len(counted) if {Kind.VOLTAGE, Kind.FREQUENCY} & set(counted) else 0
