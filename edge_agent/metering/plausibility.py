"""Which values a meter can show at all. What is beyond is read wrong: a warning, never a filter."""

from decimal import Decimal

from common.registers import KINDS, Kind

LIMITS: dict[Kind, tuple[Decimal, Decimal]] = {
    Kind.VOLTAGE: (Decimal(0), Decimal(1000)),
    Kind.FREQUENCY: (Decimal(40), Decimal(70)),
    Kind.POWER_FACTOR: (Decimal(-1), Decimal(1)),
    Kind.CURRENT: (Decimal(-(10**7)), Decimal(10**7)),
    Kind.POWER: (Decimal(-(10**7)), Decimal(10**7)),
    Kind.FLOW: (Decimal(-(10**5)), Decimal(10**5)),
    Kind.TEMPERATURE: (Decimal(-100), Decimal(1000)),
    Kind.VOLUME: (Decimal(-(10**9)), Decimal(10**10)),
    Kind.ENERGY_IMPORT: (Decimal(-(10**12)), Decimal(10**13)),
    Kind.ENERGY_EXPORT: (Decimal(-(10**12)), Decimal(10**13)),
}
"""Lowest and highest value, in the kind's unit; both can be. Assumed: low-voltage networks of 50 or
60 Hz, and meters of ten digits at most. An index may be a little below 0."""

SMALLEST = Decimal("1e-6")
"""No meter has so fine a step; a float whose halves are swapped is often far below it."""


def doubt(kind: Kind, value: Decimal) -> str | None:
    """Why no meter shows ``value`` (in the kind's unit): ``2400 V: expected 0 to 1,000``.

    0 is never in doubt: that phase may not be connected. None when there is nothing to say.
    """
    shown = f"{value:.5g} {KINDS[kind].unit}".rstrip()
    if not value.is_finite():
        return f"{shown}: expected a number"
    if not value or kind not in LIMITS:
        return None
    low, high = LIMITS[kind]
    if not low <= value <= high:
        return f"{shown}: expected {low:,f} to {high:,f}"
    if abs(value) < SMALLEST:
        return f"{shown}: too small for a meter"
    return None
