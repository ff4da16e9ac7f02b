"""The data information block (DIF and DIFEs) of a record: EN 13757-3, 6.3."""

from enum import StrEnum
from functools import lru_cache
from typing import Final

from msgspec import Struct

MAX_DIFE: Final = 10

IDLE_FILLER: Final = 0x2F
MANUFACTURER_DATA: Final = 0x0F
MORE_FOLLOWS: Final = 0x1F


class Function(StrEnum):
    """What kind of value a record holds (bits 4 and 5 of the DIF); ERROR: during an error."""

    INSTANTANEOUS = "instantaneous"
    MAXIMUM = "maximum"
    MINIMUM = "minimum"
    ERROR = "error"


class Coding(StrEnum):
    """How the data of a record is coded (bits 0 to 3 of the DIF)."""

    NONE = "none"
    INTEGER = "integer"
    REAL = "real"
    BCD = "bcd"
    VARIABLE = "variable"


FUNCTIONS: Final = tuple(Function)

DATA_FIELDS: Final[tuple[tuple[Coding, int], ...]] = (
    (Coding.NONE, 0),
    (Coding.INTEGER, 1),
    (Coding.INTEGER, 2),
    (Coding.INTEGER, 3),
    (Coding.INTEGER, 4),
    (Coding.REAL, 4),
    (Coding.INTEGER, 6),
    (Coding.INTEGER, 8),
    (Coding.NONE, 0),
    (Coding.BCD, 1),
    (Coding.BCD, 2),
    (Coding.BCD, 3),
    (Coding.BCD, 4),
    (Coding.VARIABLE, 0),
    (Coding.BCD, 6),
    (Coding.NONE, 0),
)
"""Coding and length in bytes by data field; 8 is "selection for readout", 15 is not a record."""


class DataInformation(Struct, frozen=True):
    """What a DIB says. ``length`` is in bytes; the data's own first byte tells it for VARIABLE."""

    function: Function
    storage: int
    tariff: int
    subunit: int
    coding: Coding
    length: int


@lru_cache(maxsize=4096)
def interpret(dib: bytes) -> DataInformation:
    """What the bytes of a whole DIB say: one DIF and at most ten DIFEs."""
    first = dib[0]
    storage = (first >> 6) & 1
    tariff = subunit = 0
    for index, dife in enumerate(dib[1:]):
        storage |= (dife & 0x0F) << (1 + 4 * index)
        tariff |= ((dife >> 4) & 3) << (2 * index)
        subunit |= ((dife >> 6) & 1) << index
    coding, length = DATA_FIELDS[first & 0x0F]
    return DataInformation(FUNCTIONS[(first >> 4) & 3], storage, tariff, subunit, coding, length)
