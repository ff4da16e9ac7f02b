"""Simulated M-Bus meters, without I/O: frames in, frames out (EN 13757-2 and -3)."""

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

from common.clock import to_datetime
from edge_agent.protocols.mbus import encode, link
from edge_agent.protocols.mbus.encode import Place
from edge_agent.protocols.mbus.header import Header

IDLE_MS: Final = 60_000
"""A slave that nobody asked for so long starts again at its first telegram."""
APPLICATION_RESET: Final = 0x50

ENERGY_WH: Final = b"\x03"
ENERGY_10_WH: Final = b"\x04"
POWER_W: Final = b"\x2b"
VOLUME_L: Final = b"\x13"
FABRICATION_NUMBER: Final = b"\x78"
ERROR_FLAGS: Final = b"\xfd\x17"
VOLTAGE_100_MV: Final = b"\xfd\xc8"
CURRENT_1_MA: Final = b"\xfd\xd9"
PHASES: Final = (b"\xfc\x01", b"\xfc\x02", b"\xfc\x03")


class Identity(Struct, frozen=True):
    """What a long header says of a meter: 8 digits, three letters, version, medium code."""

    identification: str
    manufacturer: str
    version: int
    medium: int


class RecordSource(Protocol):
    """A meter's data at an instant: its telegrams in order, each a sequence of records."""

    def telegrams(self, at_ms: int) -> Sequence[Sequence[bytes]]: ...


class ElectricityState(Protocol):
    """What an electricity meter measures; per-phase values are those of L1, L2 and L3."""

    def energy_import_wh(self, at_ms: int) -> int: ...

    def power_w(self, at_ms: int) -> int: ...

    def voltages_dv(self, at_ms: int) -> tuple[int, int, int]:
        """In tenths of a volt."""

    def currents_ma(self, at_ms: int) -> tuple[int, int, int]: ...


class VolumeState(Protocol):
    """What a water or gas meter measures."""

    def volume_l(self, at_ms: int) -> int: ...


class ElectricityRecords:
    """The telegram of a three-phase meter: its total has 12 digits of Wh, and rolls over."""

    def __init__(self, state: ElectricityState, identification: str) -> None:
        self._state = state
        self._serial = int(identification)
        self.error_flags = 0

    def telegrams(self, at_ms: int) -> Sequence[Sequence[bytes]]:
        state = self._state
        energy = state.energy_import_wh(at_ms)
        records = [
            encode.bcd(FABRICATION_NUMBER, self._serial, 4),
            encode.bcd(ENERGY_WH, energy % 10**12, 6),
            encode.integer(ENERGY_10_WH, energy // 10 % 2**31, 4, Place(tariff=1)),
            encode.integer(POWER_W, state.power_w(at_ms), 4),
        ]
        for phase, voltage in zip(PHASES, state.voltages_dv(at_ms), strict=True):
            records.append(encode.integer(VOLTAGE_100_MV + phase, voltage, 2))
        for phase, current in zip(PHASES, state.currents_ma(at_ms), strict=True):
            records.append(encode.integer(CURRENT_1_MA + phase, current, 4))
        return [[*records, _date_and_time(at_ms), encode.flags(ERROR_FLAGS, self.error_flags)]]


class VolumeRecords:
    """The telegram of a water meter, in litres; its total rolls over at 10^8 l."""

    def __init__(self, state: VolumeState, identification: str) -> None:
        self._state = state
        self._serial = int(identification)

    def telegrams(self, at_ms: int) -> Sequence[Sequence[bytes]]:
        volume = self._state.volume_l(at_ms) % 10**8
        serial = encode.bcd(FABRICATION_NUMBER, self._serial, 4)
        return [[serial, encode.bcd(VOLUME_L, volume, 4), _date_and_time(at_ms)]]


def _date_and_time(at_ms: int) -> bytes:
    now = to_datetime(at_ms)
    return encode.date_and_time(now.year, now.month, now.day, now.hour, now.minute)


class Slave:
    """One meter on the bus, with the frame count bit's memory (EN 13757-2, 5.5).

    The same bit as before repeats the last telegram, a toggled one gives the next; FCV = 0
    always gives the next.
    """

    def __init__(self, address: int, identity: Identity, source: RecordSource) -> None:
        self.address = address
        self.identity = identity
        self.status = 0
        self._source = source
        self._access = 0
        self._fcb: bool | None = None
        self._position = 0
        self._last = b""
        self._asked_ms: int | None = None

    def restart(self) -> None:
        """Forget the frame count; the next telegram is the first."""
        self._fcb = None
        self._position = 0
        self._last = b""

    def answer(self, frame: link.Frame, at_ms: int) -> bytes:
        """The answer to a frame for this slave; empty when it stays silent."""
        if self._asked_ms is not None and at_ms - self._asked_ms >= IDLE_MS:
            self.restart()
        self._asked_ms = at_ms
        if isinstance(frame, link.LongFrame):
            return self._reset() if frame.ci == APPLICATION_RESET else b""
        if not isinstance(frame, link.ShortFrame):
            return b""
        if frame.control == link.SND_NKE:
            return self._reset()
        request = frame.control | link.FCB | link.FCV
        if request == link.REQ_UD2 | link.FCB:
            return self._telegram(frame.control, at_ms)
        # No alarm data of class 1 is ever waiting.
        return link.Ack().to_bytes() if request == link.REQ_UD1 | link.FCB else b""

    def _reset(self) -> bytes:
        self.restart()
        return link.Ack().to_bytes()

    def _telegram(self, control: int, at_ms: int) -> bytes:
        fcb = bool(control & link.FCB)
        counted = bool(control & link.FCV)
        if counted and fcb is self._fcb and self._last:
            return self._last
        telegrams = self._source.telegrams(at_ms)
        position = self._position % len(telegrams)
        self._access = (self._access + 1) & 0xFF
        header = Header(
            access=self._access,
            status=self.status,
            identification=self.identity.identification,
            manufacturer=self.identity.manufacturer,
            version=self.identity.version,
            medium=self.identity.medium,
        )
        more_follows = position + 1 < len(telegrams)
        frame = encode.response(self.address, header, telegrams[position], more_follows)
        self._position = position + 1
        self._fcb = fcb if counted else self._fcb
        self._last = frame.to_bytes()
        return self._last
