"""What simulated M-Bus meters have to say: records, in one telegram or in several."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Protocol

from common.clock import to_datetime
from edge_agent.protocols.mbus import encode
from edge_agent.protocols.mbus.encode import Place

ENERGY_WH: Final = b"\x03"
ENERGY_10_WH: Final = b"\x04"
POWER_W: Final = b"\x2b"
VOLUME_L: Final = b"\x13"
FABRICATION_NUMBER: Final = b"\x78"
ERROR_FLAGS: Final = b"\xfd\x17"
VOLTAGE_100_MV: Final = b"\xfd\xc8"
CURRENT_1_MA: Final = b"\xfd\xd9"
PHASES: Final = (b"\xfc\x01", b"\xfc\x02", b"\xfc\x03")


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


class Divided:
    """A source whose records come in so many telegrams, in order, one after another."""

    def __init__(self, source: RecordSource, telegrams: int) -> None:
        self._source = source
        self._count = telegrams

    def telegrams(self, at_ms: int) -> Sequence[Sequence[bytes]]:
        records = [record for one in self._source.telegrams(at_ms) for record in one]
        ends = [len(records) * number // self._count for number in range(self._count + 1)]
        return [records[start:end] for start, end in pairwise(ends)]


def _date_and_time(at_ms: int) -> bytes:
    now = to_datetime(at_ms)
    return encode.date_and_time(now.year, now.month, now.day, now.hour, now.minute)
