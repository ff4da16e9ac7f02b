"""From pulses to quantities, exactly: index = start index + pulses × weight."""

from collections import deque
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple, Protocol

from common.reading import Measured, Quality, from_scaled
from common.registers import Kind, Register
from edge_agent.metering.gas import ENERGY


class PulseMeter(Protocol):
    """A meter behind a pulse input; ``weight`` is quantity per pulse in the index's unit.

    Its face showed ``start_index`` when the device's total was ``start_total``.
    """

    @property
    def registers(self) -> tuple[Register, ...]: ...

    @property
    def weight(self) -> Fraction: ...

    @property
    def start_index(self) -> Decimal: ...

    @property
    def start_total(self) -> int: ...


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


class Stretch(NamedTuple):
    """So many pulses in so many milliseconds: what a rate is the mean of."""

    pulses: int
    ms: int


class RateWindow:
    """The stretch over which a meter's rate is told: the newest one with ENOUGH pulses.

    Between two records seconds apart there may be one pulse or none, which would show a steady
    flow as jumps between nothing and far too much. A stretch of n pulses is right to one in n. It
    grows no longer than LONGEST_MS, so that a standstill becomes visible.
    """

    ENOUGH = 10
    LONGEST_MS = 900_000
    MOST = 1000
    """Records within it, so that no clock that hardly moves makes it grow for ever."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int]] = deque(maxlen=self.MOST)

    def advance(self, at_ms: int, total: int, own: Stretch) -> Stretch:
        """The stretch that ends with a record of ``total`` pulses at ``at_ms``.

        ``own`` is the record's own; it is what is given for a record that is late, or first, or
        has enough pulses by itself.
        """
        seen = self._seen
        if seen and (at_ms <= seen[-1][0] or total < seen[-1][1]):
            if total < seen[-1][1] and at_ms > seen[-1][0]:
                seen.clear()
            return own
        while len(seen) > 1 and at_ms - seen[1][0] >= self.LONGEST_MS:
            seen.popleft()
        while len(seen) > 1 and total - seen[1][1] >= self.ENOUGH:
            seen.popleft()
        seen.append((at_ms, total))
        since_ms, since = seen[0]
        wide = Stretch(total - since, at_ms - since_ms)
        return wide if own.pulses < self.ENOUGH and own.ms < wide.ms else own


def cut(value: Fraction, decimals: int) -> Decimal:
    """``value`` (not negative) with the digits beyond ``decimals`` cut off, never rounded up."""
    if value < 0:
        raise ValueError(f"{value} is negative")
    return from_scaled(int(value * 10**decimals), decimals)


def index(meter: PulseMeter, total: int) -> Fraction:
    """What stands on the meter's face at a pulse total, never below 0."""
    pulses = total - meter.start_total
    return max(Fraction(0), Fraction(meter.start_index) + pulses * meter.weight)


def measure(
    meter: PulseMeter,
    record: PulseRecord,
    *,
    time_ok: bool,
    reached: Fraction | None = None,
    energy: Fraction | None = None,
    stretch: Stretch | None = None,
) -> tuple[Measured, ...]:
    """What one record says of each of the meter's registers, in their order.

    ``time_ok``: false makes every value TIME_UNCERTAIN. ``reached`` is the index where the
    device's own total has once gone back, or another meter counted it; ``raw`` stays the device's
    own count. ``energy`` (Wh) is what is derived from it; without it there is no such value.
    Indices are cut to their decimals, never rounded up.
    A rate is the mean over ``stretch``, by default the record's own period; over a period of no
    length it is NOT_AVAILABLE.
    """
    rated = stretch or Stretch(record.delta, record.period_s * 1000)
    quality = Quality.GOOD if time_ok else Quality.TIME_UNCERTAIN
    exact = index(meter, record.total) if reached is None else reached
    measured = []
    for register in meter.registers:
        raw: int | None
        if register.kind is Kind.OUTPUT:
            value, raw = Decimal(record.output), record.output
        elif register.key == ENERGY:
            if energy is None:
                continue
            value, raw = cut(energy, register.decimals), None
        elif register.counting:
            value, raw = cut(exact, register.decimals), record.total
        elif rated.ms == 0:
            measured.append(Measured(register.key, None, Quality.NOT_AVAILABLE, record.delta))
            continue
        else:
            hourly = rated.pulses * meter.weight * 3_600_000 / rated.ms
            value, raw = cut(hourly, register.decimals), record.delta
        measured.append(Measured(register.key, value, quality, raw))
    return tuple(measured)
