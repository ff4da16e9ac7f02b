"""What a master can change in a meter: its primary address, its application, its baud rate."""

from typing import Final

from common.errors import ConfigError, FrameError, NoAnswer, Refused, Retryable
from edge_agent.drivers.line import Line, Turn
from edge_agent.drivers.mbus_found import Meter, meter_of
from edge_agent.drivers.mbus_link import Address, MeterLink, check_address
from edge_agent.drivers.mbus_probe import is_cut_off, one_telegram
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

    All raise Retryable when the meter does not answer or is not alone, ConfigError for a value
    that cannot be, and Refused, with nothing changed, when another than the meter ``meant`` is
    there. ``timeout_s`` must be long enough for the slowest meter on the line: one that would
    answer later is not noticed.
    """

    def __init__(
        self, line: Line, address: Address, timeout_s: float, meant: Meter | None = None
    ) -> None:
        check_address(address)
        self._meant = meant
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
            before = await self._who(turn)
            # Twice, and in two ways: a question may be lost, or a meter know one of them only.
            for ping in (encode.snd_nke(new), encode.req_ud2(new, fcb=True)):
                if await turn.listen(ping.to_bytes(), self._timeout_s, self._line.latest_s):
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
            before = await self._who(turn)
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
            before = await self._who(turn)
            told = await self._tell(turn, SET_BAUD + BAUD_RATES.index(baud))
        if line_after is None:
            if told is not None:
                raise told
            return
        await self._line.close()
        async with line_after.turn(order=True) as turn:
            await self._verify(turn, self._address, before, told)

    async def _who(self, turn: Turn) -> Secondary | None:
        frame = await self._read(turn, self._address)
        found = meter_of([frame])
        if self._meant is not None and found.secondary != self._meant.secondary:
            raise Refused(
                f"meter {found.secondary} answers at {self._address} now, not "
                f"{self._meant.secondary}: nothing was changed"
            )
        return secondary_of(frame)

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
        """The first telegram of whoever is alone at the address, however long others take."""
        failure: Retryable = NoAnswer("not asked")
        for _ in range(TRIES):
            meter = MeterLink(address, self._timeout_s)
            try:
                await meter.open(turn)
                asking = encode.req_ud2(meter.station, fcb=True).to_bytes()
                heard = await turn.listen(asking, self._timeout_s, self._timeout_s, is_cut_off)
            except Retryable as error:
                failure = error
                continue
            frame = one_telegram(heard)
            if frame is not None and meter.is_ours(frame):
                return frame
            failure = FrameError(f"no telegram of one meter alone: {heard.hex(' ') or 'silence'}")
        raise failure
