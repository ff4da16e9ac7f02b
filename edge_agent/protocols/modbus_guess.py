"""What registers may mean when nobody knows their type and order. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from edge_agent.protocols.modbus import Order, Type, decode

SMALLEST, LARGEST, LARGEST_64 = Decimal("0.001"), Decimal(10) ** 9, Decimal(10) ** 15
"""What a meter shows in its own unit lies between the first two, whole numbers of 64 bits up to
the third (energy in mWh). Our own choice."""

FARTHEST = 9
"""The largest power of ten between a register and a display that is believed. Our own choice."""

TOLERANCE = Fraction(5, 100)
"""How far a value may be from what was seen on the display, which goes on counting."""


@dataclass(frozen=True, slots=True)
class Guess:
    """Registers read as one type in one order; ``value`` None: no number.

    ``plausible``: a meter may well mean this. ``power``: times ten to this it is what was
    expected.
    """

    type: Type
    order: Order
    value: Decimal | None
    plausible: bool
    power: int | None = None


def guesses(words: Sequence[int], expected: Decimal | None = None) -> Iterator[Guess]:
    """Every type that takes as many registers, in every order.

    Without ``expected`` a value is plausible when the registers are neither all 0 nor one of the
    usual codes for "not available", and its size is a meter's; else when it is ``expected``, times
    a power of ten, within TOLERANCE.
    """
    for kind in Type:
        if kind.words != len(words):
            continue
        for order in Order:
            number = decode(words, kind, order)
            value = None if number is None else Decimal(number)
            if expected is None:
                plausible = value is not None and _is_plausible(value, kind, order, words)
                yield Guess(kind, order, value, plausible)
            else:
                power = None if value is None else power_of_ten(value, expected)
                yield Guess(kind, order, value, power is not None, power)


def power_of_ten(value: Decimal, expected: Decimal) -> int | None:
    """The n for which value × 10^n is within TOLERANCE of ``expected``; None: there is none."""
    if not value or not expected:
        return 0 if value == expected else None
    ratio = Fraction(expected) / Fraction(value)
    if ratio < 0:
        return None
    middle = expected.adjusted() - value.adjusted()
    for power in (middle, middle - 1, middle + 1):
        if abs(power) <= FARTHEST and abs(Fraction(10) ** power / ratio - 1) <= TOLERANCE:
            return power
    return None


def text(words: Sequence[int], order: Order) -> str | None:
    """The registers as ASCII, two characters each; None when they are no text.

    Texts are padded at their end with 0 or blanks; a text has at least two characters.
    """
    swapped = order in (Order.BADC, Order.DCBA)
    if order in (Order.CDAB, Order.DCBA):
        words = words[::-1]
    data = b"".join(word.to_bytes(2, "little" if swapped else "big") for word in words)
    data = data.rstrip(b"\0 ")
    if len(data) < 2 or not data.isascii() or not data.decode("ascii").isprintable():
        return None
    return data.decode("ascii")


def _is_plausible(value: Decimal, kind: Type, order: Order, words: Sequence[int]) -> bool:
    bits = kind.bits
    unsigned = decode(words, Type(f"u{bits}"), order)
    if unsigned in (0, 2**bits - 1, 2 ** (bits - 1) - 1, 2 ** (bits - 1)):
        return False
    largest = LARGEST_64 if bits == 64 and not kind.is_float else LARGEST
    return SMALLEST <= abs(value) <= largest


def shown(value: Decimal | None) -> str:
    """``value`` for a table: as it is, or in powers of ten when that is too long."""
    if value is None:
        return "no number"
    size = value.adjusted() if value else 0
    if value == value.to_integral_value() and size <= 20:
        return f"{int(value)}"
    return f"{value:.7g}" if not -5 < size < 15 else f"{value.normalize():f}"
