"""M-Bus meters: what a profile says, read over a shared line."""

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
from common.messages import uplink
from common.registers import Register
from edge_agent.drivers.base import Sample
from edge_agent.drivers.line import Line, Turn
from edge_agent.drivers.mbus_link import Address, MeterLink, check_address
from edge_agent.profiles.mbus import Profile
from edge_agent.protocols.mbus.header import Header
from edge_agent.protocols.mbus.link import LongFrame
from edge_agent.protocols.mbus.telegram import (
    CI_APPLICATION_ERROR,
    CI_APPLICATION_ERROR_LONG,
    CI_APPLICATION_ERROR_SHORT,
    Telegram,
    decode,
)

RETRIES: Final = 2
"""How often a master repeats a request without an answer (EN 13757-2, 5.5.5)."""
MAX_TELEGRAMS: Final = 16
APPLICATION_ERRORS: Final = frozenset(
    {CI_APPLICATION_ERROR, CI_APPLICATION_ERROR_SHORT, CI_APPLICATION_ERROR_LONG}
)


class MbusMeter:
    """One meter on a line, by its primary or secondary address.

    The link is reset, or the meter selected anew, on each new connection, after a failure, and
    before each read of a meter that sends several telegrams. ``timeout_s`` is the longest
    silence, ``retries`` how often a read is tried again. No other meter's values are taken: not
    when the address is a secondary one, and not with an ``identification`` (8 digits).
    ``aes_key`` (16 bytes) is for telegrams that are encrypted. ``header`` is what the meter last
    said of itself. With ``keep_telegrams`` its frames can be taken as they came, also those that
    nothing can be made of.
    """

    def __init__(
        self,
        key: str,
        line: Line,
        address: Address,
        profile: Profile,
        *,
        clock: Clock,
        interval_s: int = 0,
        timeout_s: float = 2.0,
        retries: int = RETRIES,
        identification: str | None = None,
        aes_key: bytes | None = None,
        keep_telegrams: bool = False,
    ) -> None:
        try:
            check_address(address)
        except ConfigError as error:
            raise ConfigError(f"device {key}: {error}") from None
        self._key = key
        self._line = line
        self._link = MeterLink(address, timeout_s)
        self._profile = profile
        self._clock = clock
        self._retries = retries
        self._identification = identification
        self._aes_key = aes_key
        self._keep_telegrams = keep_telegrams
        self._kept: list[uplink.Telegram] = []
        self.header: Header | None = None
        self._registers = profile.registers(interval_s)
        self._silent = False

    @property
    def key(self) -> str:
        return self._key

    @property
    def registers(self) -> tuple[Register, ...]:
        return self._registers

    async def read(self) -> Sample:
        """Every register once; ``at_ms`` is when the first telegram had come.

        Each try takes a turn of its own, so that a meter that does not answer delays its
        neighbours by one try; until it answers again, one is all that it gets. Raises Retryable
        after the last, at once when there is no connection; Undecodable when the meter's answer
        has no values.
        """
        self._kept.clear()
        failure: Retryable | None = None
        tries = 1 if self._silent else 1 + self._retries
        self._silent = True
        for _ in range(tries):
            try:
                async with self._line.turn() as turn:
                    return await self._read_all(turn)
            except (NoAnswer, Disconnected, FrameError) as error:
                failure = error
        assert failure is not None  # noqa: S101 - the loop has run
        raise failure

    def take_telegrams(self) -> list[uplink.Telegram]:
        taken, self._kept = self._kept, []
        return taken

    async def _read_all(self, turn: Turn) -> Sample:
        await self._link.open(turn)
        first = await self._link.request(turn)
        at_ms = self._clock.now_ms()
        telegrams = [self._open(first, at_ms)]
        self._silent = False
        self.header = telegrams[0].header
        self._check_identity()
        while telegrams[-1].more_follows and len(telegrams) < MAX_TELEGRAMS:
            telegrams.append(self._open(await self._link.request(turn), at_ms))
        self._link.keep(turn, len(telegrams))
        return Sample(self._key, at_ms, self._profile.measure(telegrams))

    def _check_identity(self) -> None:
        heard = None if self.header is None else self.header.identification
        if self._identification is not None and heard != self._identification:
            raise Undecodable(
                f"device {self._key}: meter {heard} answers at address {self._link.address}, "
                f"not {self._identification}"
            )

    def _open(self, frame: LongFrame, at_ms: int) -> Telegram:
        if self._keep_telegrams:
            # A frame that was parsed has these bytes and no others.
            self._kept.append(uplink.Telegram(at_ms, self._key, "mbus", frame.to_bytes()))
        telegram = decode(frame, self._aes_key)
        if telegram.ci in APPLICATION_ERRORS:
            raise NoAnswer(f"device {self._key}: {'; '.join(telegram.errors)}")
        if not telegram.records:
            reason = "; ".join(telegram.errors) or "empty"
            if telegram.encrypted and self._aes_key is None:
                reason = "encrypted, and there is no key for it"
            raise Undecodable(f"device {self._key}: the telegram has no values: {reason}")
        return telegram
