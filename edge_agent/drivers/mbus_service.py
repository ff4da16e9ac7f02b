"""What a master can change in a meter: its primary address, its application, its baud rate."""

from typing import Final

from common.errors import ConfigError, NoAnswer, Refused, Retryable
from edge_agent.drivers.line import Line, Turn
from edge_agent.drivers.mbus_found import Meter, meter_of
from edge_agent.drivers.mbus_link import Address, MeterLink, check_address
from edge_agent.drivers.mbus_url import BAUD_RATES
from edge_agent.protocols.mbus import encode, link
from edge_agent.protocols.mbus.selection import Secondary, secondary_of

# Control information, master to slave (EN 13757-3, table 1; field.md, section 2).
APPLICATION_RESET: Final = 0x50
DATA_SEND: Final = 0x51
SET_BAUD: Final = 0xB8
"""B8 is 300 baud, and each further one the next of BAUD_RATES."""
SET_ADDRESS: Final = b"\x01\x7a"
"""A record of one byte (DIF 01), the bus address (VIF 7A)."""
TRIES: Final = 3


class Service:
    """Changes to the meter at an address, each followed by a look whether it has happened.

    All raise Retryable when the meter does not answer, ConfigError for a value that cannot be.
    """

    def __init__(self, line: Line, address: Address, timeout_s: float) -> None:
        check_address(address)
        self._line = line
        self._address = address
        self._timeout_s = timeout_s

    async def identify(self) -> Meter:
        """Who is there; several meters at once are a FrameError or NoAnswer."""
        async with self._line.turn() as turn:
            frame = await self._read(turn, self._address)
        return meter_of([frame])

    async def set_address(self, new: int) -> None:
        """Give the meter another primary address.

        Raises Refused when somebody has that address already, or when the meter is not there
        afterwards.
        """
        if not 0 <= new <= link.MAX_PRIMARY:
            raise ConfigError(f"address {new}: expected 0 to {link.MAX_PRIMARY}")
        async with self._line.turn(order=True) as turn:
            before = secondary_of(await self._read(turn, self._address))
            ping = encode.snd_nke(new).to_bytes()
            if await turn.listen(ping, self._timeout_s, self._line.latest_s):
                raise Refused(f"address {new} is taken: a meter answers there")
            told = await self._tell(turn, DATA_SEND, SET_ADDRESS + bytes((new,)))
            await self._verify(turn, new, before, told)

    async def reset_application(self, subcode: int | None = None) -> None:
        """Reset the application; ``subcode`` says which part (EN 13757-3, 7.1), None all of it.

        Raises Refused when the meter does not acknowledge it.
        """
        if subcode is not None and not 0 <= subcode <= 255:
            raise ConfigError(f"subcode {subcode}: expected 0 to 255")
        data = b"" if subcode is None else bytes((subcode,))
        async with self._line.turn(order=True) as turn:
            before = secondary_of(await self._read(turn, self._address))
            told = await self._tell(turn, APPLICATION_RESET, data)
            if told is not None:
                raise Refused(f"the meter does not acknowledge the reset: {told}")
            await self._verify(turn, self._address, before, told)

    async def set_baud(self, baud: int, line_after: Line | None) -> None:
        """Have the meter talk at another rate from now on; ``line_after`` is the line at it.

        A meter that hears nothing good at the new rate returns to the old one after two to ten
        minutes (EN 13757-2). Without ``line_after`` nothing is verified. Raises Refused when the
        meter does not answer at the new rate.
        """
        if baud not in BAUD_RATES:
            raise ConfigError(f"baud {baud}: expected one of {', '.join(map(str, BAUD_RATES))}")
        async with self._line.turn(order=True) as turn:
            before = secondary_of(await self._read(turn, self._address))
            told = await self._tell(turn, SET_BAUD + BAUD_RATES.index(baud))
        if line_after is None:
            if told is not None:
                raise told
            return
        await self._line.close()
        async with line_after.turn(order=True) as turn:
            await self._verify(turn, self._address, before, told)

    async def _tell(self, turn: Turn, ci: int, data: bytes = b"") -> Retryable | None:
        """Tell the meter; what came instead of an acknowledgement, if none did.

        That does not mean that nothing was done: the acknowledgement may be what was lost.
        """
        try:
            meter = MeterLink(self._address, self._timeout_s)
            await meter.open(turn)
            await meter.send(turn, ci, data)
        except Retryable as error:
            return error
        return None

    async def _verify(
        self, turn: Turn, address: Address, before: Secondary | None, told: Retryable | None
    ) -> None:
        try:
            after = secondary_of(await self._read(turn, address))
        except Retryable as error:
            said = "nor did it acknowledge" if told else "though it acknowledged"
            raise Refused(f"the meter does not answer at {address} now, {said}: {error}") from None
        if after != before:
            raise Refused(f"meter {after} answers at {address} now, not {before}")

    async def _read(self, turn: Turn, address: Address) -> link.LongFrame:
        """The first telegram of whoever is at the address."""
        failure: Retryable = NoAnswer("not asked")
        for _ in range(TRIES):
            meter = MeterLink(address, self._timeout_s)
            try:
                await meter.open(turn)
                return await meter.request(turn)
            except Retryable as error:
                failure = error
        raise failure
