"""A reading: one register's value at one instant, exact, with its quality."""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from common.errors import Undecodable

INT64_MAX = 2**63 - 1


class Quality(IntEnum):
    """What a value is worth. Everything but GOOD says why a person should look twice."""

    GOOD = 0
    ESTIMATED = 1
    TIME_UNCERTAIN = 2
    NOT_AVAILABLE = 3
    DEVICE_ERROR = 4
    OVERFLOW = 5
    CORRECTED = 6
    """A substitute value, put in by a person at the cloud; no gateway sends it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a driver read from one register: the exact value in the register's unit.

    ``value`` is None when the device gave none; ``quality`` then says why.
    ``raw`` is the device's own count, where it has one.
    """

    key: str
    value: Decimal | None
    quality: Quality = Quality.GOOD
    raw: int | None = None


def to_scaled(value: Decimal, decimals: int) -> int:
    """The integer that stores ``value``; digits beyond ``decimals`` are cut off, never rounded up.

    An index must not run ahead of its meter, so the cut is towards zero.
    Raises Undecodable when the result does not fit 64 bits or the value is not finite.
    """
    if not value.is_finite():
        raise Undecodable(f"value {value} is not a finite number")
    sign, digits, exponent = value.as_tuple()
    coefficient = int("".join(map(str, digits)))
    shift = int(exponent) + decimals
    scaled: int
    if shift >= 0:
        scaled = coefficient * 10 ** min(shift, 40)
    else:
        scaled = coefficient // 10 ** min(-shift, len(digits))
    if scaled > INT64_MAX:
        raise Undecodable(f"value {value} does not fit 64 bits with {decimals} decimals")
    return -scaled if sign else scaled


def from_scaled(scaled: int, decimals: int) -> Decimal:
    """The exact value that a stored integer stands for."""
    return Decimal(f"{scaled}e{-decimals}")  # the quickest; arithmetic would round after 28 digits
