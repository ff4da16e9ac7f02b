"""Numbers with units as people write them, read exactly."""

import re
from collections.abc import Mapping
from fractions import Fraction

from common.errors import Undecodable

RATES: dict[str, tuple[str, Fraction]] = {
    "l/h": ("m³", Fraction(1, 1000)),
    "m³/h": ("m³", Fraction(1)),
    "m3/h": ("m³", Fraction(1)),
    "W": ("Wh", Fraction(1)),
    "kW": ("Wh", Fraction(1000)),
    "MW": ("Wh", Fraction(1_000_000)),
}
"""Units of a rate → the index's unit, and how much of that an hour they are."""

_AMOUNT = re.compile(r"(\d{1,18}(?:\.\d{1,12})?|\d{1,18}/[1-9]\d{0,17})\s*(\S*)", re.ASCII)


def parse_amount(text: str, units: Mapping[str, Fraction]) -> Fraction:
    """``11.2 kWh/m³`` as a number of base units, above 0; a unit "" is a bare number.

    Raises Undecodable.
    """
    matched = _AMOUNT.fullmatch(text.strip())
    if not matched or matched[2] not in units or not Fraction(matched[1]):
        fitting = " or ".join(unit for unit in units if unit)
        wanted = f"a number above 0 and a unit ({fitting})" if fitting else "a number above 0"
        raise Undecodable(f"{text[:60]!r} is not {wanted}")
    return Fraction(matched[1]) * units[matched[2]]


def parse_rate(text: str, base_unit: str) -> Fraction:
    """``2.5 m³/h``, ``2500 l/h``, ``11 kW`` in base units an hour, exactly. Raises Undecodable."""
    units = {unit: factor for unit, (of, factor) in RATES.items() if of == base_unit}
    return parse_amount(text, units)
