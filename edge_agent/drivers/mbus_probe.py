"""One question to an M-Bus line: is there nobody, one meter, several, or only noise?"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum, auto
from typing import Final

from msgspec import Struct

from common.errors import Disconnected, FrameError, Undecodable
from edge_agent.drivers.line import Line, Turn
from edge_agent.protocols.mbus import encode, link
from edge_agent.protocols.mbus.selection import Secondary, secondary_of, select
from edge_agent.protocols.mbus.telegram import decode

TELEGRAM_S: Final = 1.5
"""A telegram is awaited this long at least: whoever has said E5 is there."""
MAX_TELEGRAMS: Final = 16
TRIES: Final = 3
RESERVED: Final = 251
NOBODY: Final = Secondary("EEEEEEEE", (0, 0, 0, 0))
ACK: Final = bytes((link.ACK_BYTE,))


class Answer(Enum):
    """What a question was answered with; LATE: somebody else's answer to an earlier one."""

    NOTHING = auto()
    LATE = auto()
    ONE = auto()
    SEVERAL = auto()
    NOISE = auto()


class Heard(Struct, frozen=True):
    """``frames`` are the telegrams of the one meter, none when it gives no data; ``raw`` is what
    came instead."""

    answer: Answer
    frames: tuple[link.LongFrame, ...] = ()
    raw: bytes = b""


SILENCE: Final = Heard(Answer.NOTHING)
LATE: Final = Heard(Answer.LATE)


class Prober:
    """Asks a line; each question takes a turn of its own. Raises Unreachable, Disconnected."""

    def __init__(self, line: Line, timeout_s: float) -> None:
        self._line = line
        self._timeout_s = timeout_s
        # So far apart are two answers to one question: one meter at once, one as late as may be.
        self._quiet_s = line.latest_s

    async def primary(self, address: int, *, patience: float = 1.0) -> Heard:
        """Who is at a primary address? ``patience`` multiplies the time-out."""
        async with self._line.turn() as turn:
            reset = encode.snd_nke(address)
            raw = await self._ask(turn, reset, self._timeout_s * patience)
            if not raw:
                return SILENCE
            heard = await self._telegrams(turn, address)
            if heard.answer is Answer.ONE:
                own = address in (heard.frames[0].address, link.BROADCAST_WITH_ANSWER)
                return heard if own else LATE
            if heard.answer is Answer.NOTHING and raw == ACK:
                raw = await self._ask(turn, reset, self._timeout_s * patience)
                return Heard(Answer.ONE) if raw == ACK else LATE
            return Heard(Answer.SEVERAL, raw=heard.raw or raw)

    async def secondary(self, mask: Secondary) -> Heard:
        """Who is selected by a mask?"""
        async with self._line.turn() as turn:
            raw = await self._ask(turn, select(mask), self._timeout_s)
            if not raw:
                return SILENCE
            if raw != ACK:
                return Heard(Answer.SEVERAL, raw=raw)
            heard = await self._telegrams(turn, link.SELECTED)
            if heard.answer is Answer.NOTHING:
                heard = await self._telegrams(turn, link.SELECTED)
        if heard.answer is not Answer.ONE:
            return heard if heard.answer is Answer.SEVERAL else Heard(Answer.NOISE, raw=raw)
        said = secondary_of(heard.frames[0])
        if said is None or mask.fits(said):
            return heard
        return Heard(Answer.NOISE, raw=heard.frames[0].to_bytes())

    async def steadily(self, ask: Callable[[], Awaitable[Heard]]) -> Heard:
        """What a question is answered with; several meters, or noise, only when it is so again."""
        before = heard = await ask()
        for _ in range(TRIES - 1):
            if heard.answer not in (Answer.SEVERAL, Answer.NOISE):
                return heard
            before, heard = heard, await ask()
            if heard.answer is before.answer:
                return heard
        return heard if heard.answer is not Answer.SEVERAL else Heard(Answer.NOISE, raw=heard.raw)

    async def is_noisy(self) -> bool:
        """Whether questions are answered that nobody can have understood as meant for himself."""
        async with self._line.turn() as turn:
            for question in (encode.snd_nke(RESERVED), select(NOBODY)):
                if await self._ask(turn, question, self._timeout_s):
                    return True
        return False

    async def deselect(self) -> None:
        """Leave the line as it was: no meter is selected."""
        async with self._line.turn() as turn:
            await turn.listen(
                encode.snd_nke(link.SELECTED).to_bytes(), self._quiet_s, self._quiet_s
            )

    async def _ask(self, turn: Turn, question: link.Frame, window_s: float) -> bytes:
        """Whatever comes; converters that hang up now and then are connected to again."""
        for _ in range(TRIES - 1):
            with suppress(Disconnected):
                return await turn.listen(question.to_bytes(), window_s, self._quiet_s, is_cut_off)
        return await turn.listen(question.to_bytes(), window_s, self._quiet_s, is_cut_off)

    async def _telegrams(self, turn: Turn, station: int) -> Heard:
        """What one meter says, or what came instead of it."""
        frames: list[link.LongFrame] = []
        window_s = max(self._timeout_s, TELEGRAM_S)
        while len(frames) < MAX_TELEGRAMS:
            request = encode.req_ud2(station, fcb=len(frames) % 2 == 0)
            raw = await self._ask(turn, request, window_s)
            frame = one_telegram(raw)
            if frame is None and not frames:
                return Heard(Answer.SEVERAL, raw=raw) if raw else SILENCE
            if frame is None:
                break
            frames.append(frame)
            if not _more_follows(frame):
                break
        return Heard(Answer.ONE, tuple(frames))


def is_cut_off(raw: bytes) -> bool:
    try:
        return link.parse(raw) is None
    except FrameError:
        return False


def one_telegram(raw: bytes) -> link.LongFrame | None:
    """The one frame of a meter that the bytes are."""
    try:
        frame = link.parse_one(raw)
    except FrameError:
        return None
    return frame if isinstance(frame, link.LongFrame) and not frame.from_master else None


def _more_follows(frame: link.LongFrame) -> bool:
    try:
        return decode(frame).more_follows
    except Undecodable:
        return False
