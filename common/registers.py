"""What a device exposes: registers, with their medium, kind, unit and decimals."""

from enum import IntEnum, StrEnum
from typing import NamedTuple

from msgspec import Struct


class Medium(IntEnum):
    """Medium of a meter; the numbers are EN 13757-3's device type codes."""

    OTHER = 0x00
    OIL = 0x01
    ELECTRICITY = 0x02
    GAS = 0x03
    HEAT = 0x04
    STEAM = 0x05
    HOT_WATER = 0x06
    WATER = 0x07
    HEAT_COST = 0x08
    COMPRESSED_AIR = 0x09
    COOLING = 0x0A
    COOLING_INLET = 0x0B
    HEAT_INLET = 0x0C
    HEAT_COOLING = 0x0D
    HOT_WATER_90 = 0x15
    COLD_WATER = 0x16
    DUAL_WATER = 0x17
    WASTE_WATER = 0x28

    @property
    def label(self) -> str:
        """The medium as people read it: ``cold water``."""
        return self.name.lower().replace("_", " ")


class Kind(StrEnum):
    """The physical quantity of a register."""

    VOLUME = "volume"
    ENERGY_IMPORT = "energy_import"
    ENERGY_EXPORT = "energy_export"
    POWER = "power"
    FLOW = "flow"
    PULSES = "pulses"
    OUTPUT = "output"
    INPUT = "input"
    VOLTAGE = "voltage"
    CURRENT = "current"
    FREQUENCY = "frequency"
    POWER_FACTOR = "power_factor"
    TEMPERATURE = "temperature"


class KindInfo(NamedTuple):
    """``unit`` is the base unit; ``counting`` says that the value is an index, which only grows."""

    unit: str
    counting: bool = False


KINDS: dict[Kind, KindInfo] = {
    Kind.VOLUME: KindInfo("m³", counting=True),
    Kind.ENERGY_IMPORT: KindInfo("Wh", counting=True),
    Kind.ENERGY_EXPORT: KindInfo("Wh", counting=True),
    Kind.POWER: KindInfo("W"),
    Kind.FLOW: KindInfo("m³/h"),
    Kind.PULSES: KindInfo("", counting=True),
    Kind.OUTPUT: KindInfo(""),
    Kind.INPUT: KindInfo(""),
    Kind.VOLTAGE: KindInfo("V"),
    Kind.CURRENT: KindInfo("A"),
    Kind.FREQUENCY: KindInfo("Hz"),
    Kind.POWER_FACTOR: KindInfo(""),
    Kind.TEMPERATURE: KindInfo("°C"),
}


class Register(Struct, frozen=True, omit_defaults=True):
    """The definition of one register of a device.

    ``decimals`` (0..9): a stored integer is the value in the kind's unit times 10^decimals.
    ``interval_s``: how often a reading is expected; 0 when none is promised.
    ``states``: names of 0 and 1 for a two-state register; ``writable`` when commands may set it.
    """

    key: str
    name: str
    medium: Medium
    kind: Kind
    decimals: int
    interval_s: int = 0
    obis: str | None = None
    states: tuple[str, str] | None = None
    writable: bool = False

    @property
    def unit(self) -> str:
        """The base unit in which the value is expressed."""
        return KINDS[self.kind].unit

    @property
    def counting(self) -> bool:
        """Whether the value is an index that only grows."""
        return KINDS[self.kind].counting
