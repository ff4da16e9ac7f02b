"""M-Bus meters: what a profile says, read by primary address over a shared line."""

from typing import Final

from common.clock import Clock
from common.errors import (
    ConfigError,
    Disconnected,
    FrameError,
    NoAnswer,
    Retryable,
    Undecodable,
)
from common.registers import Register
from edge_agent.drivers.base import Sample
from edge_agent.drivers.line import Line
from edge_agent.profiles.mbus import Profile
from edge_agent.protocols.mbus import encode, link
from edge_agent.protocols.mbus.header import Header
from edge_agent.protocols.mbus.telegram import CI_APPLICATION_ERROR, Telegram, decode

REPEATS: Final = 2
"""How often a master repeats a request without an answer (EN 13757-2, 5.5.5)."""
MAX_TELEGRAMS: Final = 16


class MbusMeter:
    """One meter on a line; ``address`` is its primary address, or 254 when it is alone.

    A repeated frame count bit makes a meter repeat its last, old telegram. So the link is reset
    (SND_NKE) on each new connection, after a failure, and before each read of a meter that
    sends several telegrams; in between the bit is toggled. ``timeout_s`` is the longest silence.
    With an ``identification`` (8 digits) no other meter's values are taken. ``header`` is what
    the meter last said of itself.
    """

    def __init__(
        self,
        key: str,
        line: Line,
        address: int,
        profile: Profile,
        *,
        clock: Clock,
        interval_s: int = 0,
        timeout_s: float = 2.0,
        identification: str | None = None,
    ) -> None:
        if not (0 <= address <= link.MAX_PRIMARY or address == link.BROADCAST_WITH_ANSWER):
            raise ConfigError(f"device {key}: address {address}: expected 0 to 250, or 254")
        self._key = key
        self._line = line
        self._address = address
        self._profile = profile
        self._clock = clock
        self._timeout_s = timeout_s
        self._identification = identification
        self.header: Header | None = None
        self._registers = profile.registers(interval_s)
        self._reset_on: int | None = None
        self._fcb = True

    @property
    def key(self) -> str:
        return self._key

    @property
    def registers(self) -> tuple[Register, ...]:
        return self._registers

    async def read(self) -> Sample:
        """Every register once; ``at_ms`` is when the first telegram had come.

        Raises Retryable after two repeats, at once when there is no connection; Undecodable
        when the meter's answer has no values.
        """
        failure: Retryable | None = None
        for _ in range(1 + REPEATS):
            try:
                return await self._read_all()
            except (NoAnswer, Disconnected, FrameError) as error:
                self._reset_on = None
                failure = error
        assert failure is not None  # noqa: S101 - the loop has run
        raise failure

    async def _read_all(self) -> Sample:
        telegrams = [await self._read_one()]
        at_ms = self._clock.now_ms()
        self.header = telegrams[0].header
        self._check_identity()
        while telegrams[-1].more_follows and len(telegrams) < MAX_TELEGRAMS:
            telegrams.append(await self._read_one())
        if len(telegrams) > 1:
            self._reset_on = None
        return Sample(self._key, at_ms, self._profile.measure(telegrams))

    def _check_identity(self) -> None:
        heard = None if self.header is None else self.header.identification
        if self._identification is not None and heard != self._identification:
            raise Undecodable(
                f"device {self._key}: meter {heard} answers at address {self._address}, "
                f"not {self._identification}"
            )

    async def _read_one(self) -> Telegram:
        if self._reset_on != self._line.connection:
            reset = encode.snd_nke(self._address)
            await self._line.exchange(reset.to_bytes(), self._accept_ack, self._timeout_s)
            self._reset_on, self._fcb = self._line.connection, True
        request = encode.req_ud2(self._address, self._fcb)
        frame = await self._line.exchange(
            request.to_bytes(), self._accept_telegram, self._timeout_s
        )
        self._fcb = not self._fcb
        telegram = decode(frame)
        if telegram.ci == CI_APPLICATION_ERROR:
            raise NoAnswer(f"device {self._key}: {'; '.join(telegram.errors)}")
        if not telegram.records:
            reason = "encrypted" if telegram.encrypted else "; ".join(telegram.errors) or "empty"
            raise Undecodable(f"device {self._key}: the telegram has no values: {reason}")
        return telegram

    def _accept_ack(self, received: bytes) -> tuple[link.Ack | None, int] | None:
        parsed = link.parse(received)
        if parsed is None:
            return None
        frame, length = parsed
        return (frame if isinstance(frame, link.Ack) else None), length

    def _accept_telegram(self, received: bytes) -> tuple[link.LongFrame | None, int] | None:
        """Passes over echoes, late acknowledgements, and what other meters say late."""
        parsed = link.parse(received)
        if parsed is None:
            return None
        frame, length = parsed
        if not isinstance(frame, link.LongFrame) or frame.from_master:
            return None, length
        ours = self._address in {frame.address, link.BROADCAST_WITH_ANSWER}
        return (frame if ours else None), length
