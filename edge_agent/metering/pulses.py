"""From pulses to quantities, exactly: index = start index + pulses × weight."""

from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from common.reading import Measured, Quality, from_scaled
from common.registers import Kind, Register


class PulseMeter(Protocol):
    """A meter behind a pulse input; ``weight`` is quantity per pulse in the index's unit."""

    @property
    def registers(self) -> tuple[Register, ...]: ...

    @property
    def weight(self) -> Fraction: ...

    @property
    def start_index(self) -> Decimal: ...


class PulseRecord(Protocol):
    """A device's count: ``total`` pulses ever, ``delta`` of them in the last ``period_s``."""

    @property
    def total(self) -> int: ...

    @property
    def delta(self) -> int: ...

    @property
    def period_s(self) -> int: ...

    @property
    def output(self) -> int: ...


def cut(value: Fraction, decimals: int) -> Decimal:
    """``value`` (not negative) with the digits beyond ``decimals`` cut off, never rounded up."""
    if value < 0:
        raise ValueError(f"{value} is negative")
    return from_scaled(int(value * 10**decimals), decimals)


def index(start: Decimal, pulses: int, weight: Fraction, decimals: int) -> Decimal:
    """What stands on the meter's face after ``pulses``, cut to ``decimals``."""
    return cut(Fraction(start) + pulses * weight, decimals)


def measure(
    meter: PulseMeter, record: PulseRecord, *, time_ok: bool, total: int | None = None
) -> tuple[Measured, ...]:
    """What one record says of each of the meter's registers, in their order.

    ``time_ok``: false makes every value TIME_UNCERTAIN. ``total`` is the counter's unbroken
    total where the device's own has once gone back; ``raw`` stays the device's own count.
    A rate over a period of no length is NOT_AVAILABLE.
    """
    quality = Quality.GOOD if time_ok else Quality.TIME_UNCERTAIN
    pulses = record.total if total is None else total
    measured = []
    for register in meter.registers:
        if register.kind is Kind.OUTPUT:
            value, raw = Decimal(record.output), record.output
        elif register.counting:
            value = index(meter.start_index, pulses, meter.weight, register.decimals)
            raw = record.total
        elif record.period_s == 0:
            measured.append(Measured(register.key, None, Quality.NOT_AVAILABLE, record.delta))
            continue
        else:
            hourly = record.delta * meter.weight * 3600 / record.period_s
            value, raw = cut(hourly, register.decimals), record.delta
        measured.append(Measured(register.key, value, quality, raw))
    return tuple(measured)
