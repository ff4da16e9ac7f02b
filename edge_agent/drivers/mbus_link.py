"""The link to one M-Bus meter, by primary or secondary address (EN 13757-2 and -3)."""

from typing import Final, TypeVar

from common.errors import ConfigError, Retryable
from edge_agent.drivers.line import Accept, Turn
from edge_agent.drivers.mbus_causes import with_cause
from edge_agent.protocols.mbus import encode, link
from edge_agent.protocols.mbus.selection import ANY_DIGIT, Secondary, secondary_of, select

Address = int | Secondary
"""0 to 250, or 254 for a meter that is alone; or the eight bytes of its secondary address."""

Answer = TypeVar("Answer")

DESELECT_S: Final = 0.25
"""How long an answer to SND_NKE at 253 is awaited; mostly nobody is selected, and none comes."""


def check_address(address: Address) -> None:
    """Raises ConfigError for what no meter can have."""
    if not isinstance(address, int):
        if ANY_DIGIT in address.digits:
            raise ConfigError(f"secondary address {address}: no wildcards")
    elif not (0 <= address <= link.MAX_PRIMARY or address == link.BROADCAST_WITH_ANSWER):
        raise ConfigError(f"address {address}: expected 0 to 250, or 254")


class MeterLink:
    """Frames to and from one meter, in turns on its line.

    A repeated frame count bit makes a meter repeat its last, old telegram. So a primary link is
    reset (SND_NKE) on each new connection and after each turn without ``keep``, however it ended:
    the meter may have heard what we know nothing of. In between the bit toggles.
    A secondary link is a selection, which is made anew in each turn and clears the bit's memory;
    at first and after a turn without ``keep`` whoever may still be selected is reset before.
    """

    def __init__(self, address: Address, timeout_s: float) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._known_on: int | None = None
        self._fcb = True

    @property
    def station(self) -> int:
        """The address in the frames: 253 for a meter that is selected."""
        return self.address if isinstance(self.address, int) else link.SELECTED

    async def open(self, turn: Turn) -> None:
        """Make the meter ready for ``request`` and ``send``; the first thing in a turn."""
        known_on, self._known_on = self._known_on, None
        if isinstance(self.address, Secondary):
            if known_on is None:
                await self.deselect(turn)
            await self._acknowledged(turn, select(self.address))
        elif known_on == turn.connection:
            return
        else:
            await self._acknowledged(turn, encode.snd_nke(self.address))
        self._fcb = True

    def keep(self, turn: Turn, telegrams: int) -> None:
        """The turn ended well with so many telegrams: the next one goes on from here.

        Not by primary address in the middle of a meter's telegrams.
        """
        if telegrams == 1 or isinstance(self.address, Secondary):
            self._known_on = turn.connection

    async def request(self, turn: Turn) -> link.LongFrame:
        """The next telegram. Raises Retryable."""
        asking = encode.req_ud2(self.station, self._fcb)
        frame = await self._exchange(turn, asking.to_bytes(), self._telegram, known=True)
        self._fcb = not self._fcb
        return frame

    async def send(self, turn: Turn, ci: int, data: bytes = b"") -> None:
        """Send user data, which the meter acknowledges. Raises Retryable."""
        control = link.SND_UD | (link.FCB if self._fcb else 0)
        await self._acknowledged(turn, link.LongFrame(control, self.station, ci, data))
        self._fcb = not self._fcb

    async def deselect(self, turn: Turn) -> None:
        """Let no meter be selected; an answer is not needed."""
        window_s = min(DESELECT_S, self._timeout_s)
        await turn.listen(encode.snd_nke(link.SELECTED).to_bytes(), window_s, window_s)

    async def _acknowledged(self, turn: Turn, frame: link.ShortFrame | link.LongFrame) -> None:
        await self._exchange(turn, frame.to_bytes(), _ack, known=False)

    async def _exchange(
        self, turn: Turn, request: bytes, accept: Accept[Answer], *, known: bool
    ) -> Answer:
        """As of the turn; errors have their likely causes. ``known``: the meter has answered."""
        heard = b""

        def noting(received: bytes) -> tuple[Answer | None, int] | None:
            nonlocal heard
            heard = received
            return accept(received)

        try:
            return await turn.exchange(request, noting, self._timeout_s)
        except Retryable as error:
            raise with_cause(
                error, self.address, baud=turn.baud, heard=heard, known=known
            ) from None

    def _telegram(self, received: bytes) -> tuple[link.LongFrame | None, int] | None:
        """Passes over echoes, late acknowledgements, and what other meters say late."""
        parsed = link.parse(received)
        if parsed is None:
            return None
        frame, length = parsed
        if not isinstance(frame, link.LongFrame) or frame.from_master:
            return None, length
        return (frame if self.is_ours(frame) else None), length

    def is_ours(self, frame: link.LongFrame) -> bool:
        """Whether the meter at the address can have sent it."""
        if isinstance(self.address, int):
            return self.address in {frame.address, link.BROADCAST_WITH_ANSWER}
        said = secondary_of(frame)
        return said is None or self.address.fits(said)


def _ack(received: bytes) -> tuple[link.Ack | None, int] | None:
    parsed = link.parse(received)
    if parsed is None:
        return None
    frame, length = parsed
    return (frame if isinstance(frame, link.Ack) else None), length
