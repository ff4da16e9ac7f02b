"""From what a driver measured to what the journal stores: scaled integers, numbers, plain times."""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

from common.errors import Undecodable
from common.messages.uplink import Value
from common.reading import INT64_MAX, Measured, Quality, to_scaled
from common.registers import Register

EARLIEST_MS = 1_577_836_800_000
"""2020-01-01T00:00Z. No meter of ours measured before; a clock that says so is not set."""

DAY_MS = 86_400_000


def known(now_ms: int) -> int:
    """The gateway's time as one tells it to others: 0 while its clock is not set."""
    return now_ms if now_ms >= EARLIEST_MS else 0


def is_plausible(at_ms: int, now_ms: int) -> bool:
    """Whether something can have been measured at ``at_ms``: since 2020, a day ahead at most.

    While the gateway's own clock is not set, any time since 2020 is.
    """
    return at_ms >= EARLIEST_MS and (now_ms < EARLIEST_MS or at_ms <= now_ms + DAY_MS)


def scale(no: int, register: Register, measured: Measured, *, time_ok: bool = True) -> Value:
    """The journal's form of one measurement.

    A value that does not fit 64 bits becomes none, with DEVICE_ERROR. ``time_ok`` false marks an
    otherwise good value TIME_UNCERTAIN.
    """
    quality = measured.quality
    value: int | None = None
    if measured.value is not None:
        try:
            value = to_scaled(measured.value, register.decimals)
        except Undecodable:
            quality = Quality.DEVICE_ERROR
    if quality is Quality.GOOD and not time_ok:
        quality = Quality.TIME_UNCERTAIN
    raw = measured.raw
    if raw is not None and not -INT64_MAX <= raw <= INT64_MAX:
        raw = None
    return Value(no, value, int(quality), raw)


def scale_all(
    registers: Sequence[Register],
    numbers: Mapping[str, int],
    measured: Sequence[Measured],
    *,
    time_ok: bool = True,
) -> list[Value]:
    """As ``scale``, for what one sample gave; what no register stands for is left out."""
    by_key = {register.key: register for register in registers}
    return [
        scale(numbers[one.key], by_key[one.key], one, time_ok=time_ok)
        for one in measured
        if one.key in by_key and one.key in numbers
    ]


UNITS: dict[str, tuple[str, Fraction]] = {
    "l": ("m³", Fraction(1, 1000)),
    "m3": ("m³", Fraction(1)),
    "m³": ("m³", Fraction(1)),
    "Wh": ("Wh", Fraction(1)),
    "kWh": ("Wh", Fraction(1000)),
    "MWh": ("Wh", Fraction(1_000_000)),
}
"""Units that people write, as base units."""

_QUANTITY = re.compile(r"(\d{1,18}(?:\.\d{1,12})?|\d{1,18}/[1-9]\d{0,17})\s*(\S+)", re.ASCII)


def parse_quantity(text: str, base_unit: str) -> Fraction:
    """``10 l``, ``0.01 m³``, ``1/1000 kWh`` in the base unit, exactly. Raises Undecodable."""
    matched = _QUANTITY.fullmatch(text.strip())
    base, factor = UNITS.get(matched[2], ("", Fraction(0))) if matched else ("", Fraction(0))
    if not matched or base != base_unit:
        fitting = " or ".join(unit for unit, (of, _) in UNITS.items() if of == base_unit)
        raise Undecodable(f"{text[:60]!r} is not a number and a unit ({fitting})")
    return Fraction(matched[1]) * factor


def parse_weight(text: str, base_unit: str) -> Fraction:
    """A pulse weight in base units a pulse: ``10 l``, ``10 l/imp`` or ``1000 imp/kWh``.

    Raises Undecodable, also for a weight of zero.
    """
    amount, slash, unit = text.strip().partition("imp/")
    if slash:
        per_unit = parse_quantity(f"{amount.strip()} {unit}", base_unit)
        count = per_unit / UNITS[unit.strip()][1]
        weight = UNITS[unit.strip()][1] / count if count else Fraction(0)
    else:
        weight = parse_quantity(text.strip().removesuffix("/imp"), base_unit)
    if not weight:
        raise Undecodable(f"{text[:60]!r}: a pulse weight cannot be zero")
    return weight
