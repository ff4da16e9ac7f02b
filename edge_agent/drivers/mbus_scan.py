"""Scans of an M-Bus line by primary address, with progress; they can be resumed."""

from collections.abc import AsyncGenerator
from functools import partial
from typing import Final

from msgspec import Struct

from edge_agent.drivers.mbus_found import News, Progress, Trouble, meter_of, noise
from edge_agent.drivers.mbus_probe import Answer, Heard, Prober
from edge_agent.protocols.mbus.link import BROADCAST_WITH_ANSWER, MAX_PRIMARY

NOISY_ENOUGH: Final = 3
"""After so many noisy addresses in a row a scan gives up."""
SLOW: Final = 4.0
"""How much longer a meter is given that seems to have answered in the next one's time."""


class PrimaryPosition(Struct, tag="primary"):
    """The next address to ask, up to ``last``; ``silent`` as long as nobody has answered."""

    next: int = 0
    last: int = MAX_PRIMARY
    first: int = 0
    silent: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.next <= self.last + 1 <= MAX_PRIMARY + 1:
            raise ValueError("no such primary addresses")

    @property
    def done(self) -> bool:
        return self.next > self.last


async def scan_primary(prober: Prober, position: PrimaryPosition) -> AsyncGenerator[News, None]:
    """Ask one address after another; ``position`` always says where to go on.

    Where no address at all has answered, whoever answers to 254 is alone, and asked too. Raises
    Unreachable and Disconnected; what was found by then stays true.
    """
    noisy = 0
    quiet = False
    while not position.done:
        address = position.next
        yield Progress(
            (address - position.first) / (position.last - position.first + 1),
            f"primary address {address}",
        )
        heard = await _heard(prober, address)
        told = _told(heard, address)
        if heard.answer is Answer.LATE:
            if quiet:
                told += _told(await prober.primary(address - 1, patience=SLOW), address - 1)
            told = told or [_late(address)]
        quiet = heard.answer is Answer.NOTHING
        position.silent &= not told
        noisy = noisy + 1 if heard.answer is Answer.NOISE else 0
        position.next = address + 1
        for news in told:
            yield news
        if noisy == NOISY_ENOUGH:
            yield noise("the whole line", heard.raw)
            return
    if position.silent and (position.first, position.last) == (0, MAX_PRIMARY):
        alone = await _heard(prober, BROADCAST_WITH_ANSWER)
        for news in _told(alone, BROADCAST_WITH_ANSWER):
            yield news
    yield Progress(1.0, "done")


async def _heard(prober: Prober, address: int) -> Heard:
    heard = await prober.steadily(partial(prober.primary, address))
    if heard.answer is Answer.SEVERAL and await prober.is_noisy():
        return Heard(Answer.NOISE, raw=heard.raw)
    return heard


def _late(address: int) -> Trouble:
    text = (
        "an answer came that nobody was asked for: a slow meter at an address before (a longer "
        "time-out finds it), or one that tells a wrong address (search by secondary address)"
    )
    return Trouble("late", f"primary address {address}", text)


def _told(heard: Heard, address: int) -> list[News]:
    where = f"primary address {address}"
    if heard.answer is Answer.SEVERAL:
        text = "several meters share this address: search by secondary address"
        return [Trouble("collision", where, text)]
    if heard.answer is Answer.NOISE:
        return [noise(where, heard.raw)]
    if heard.answer is Answer.ONE and not heard.frames:
        return [Trouble("mute", where, "a meter acknowledges and gives no data")]
    return [meter_of(heard.frames, address)] if heard.answer is Answer.ONE else []
