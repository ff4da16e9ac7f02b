"""The simulated world: what each meter has counted, as a closed-form function of time.

Nothing is stepped and nothing is stored: the total at an instant follows from the scenario alone,
so that a restart, another process or a time-lapse see one and the same meter. All arithmetic is on
integers. Quantities are in a medium's *small unit*: mWh for electricity, ml for everything else;
rates in small units an hour, which makes them mW and ml/h.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import accumulate, pairwise
from typing import ClassVar, Protocol

from common.registers import Medium

HOUR_MS = 3_600_000
FINE = 2 * HOUR_MS
"""Integrals are kept in small-unit·ms/h/FINE, so that half a square of milliseconds is whole."""


@dataclass(frozen=True)
class Curve:
    """A rate that goes in straight lines through ``points``, ``step_ms`` apart, round and round.

    ``points`` are small units an hour, none negative; ``step_ms`` must divide an hour.
    """

    points: tuple[int, ...]
    step_ms: int
    back: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.step_ms <= 0 or HOUR_MS % self.step_ms:
            raise ValueError(f"a step of {self.step_ms} ms does not divide an hour")
        if not self.points or min(self.points) < 0:
            raise ValueError("a curve needs points, none of them negative")

    @cached_property
    def _sums(self) -> list[int]:
        """The integral from the first point to each point, the first again at the end."""
        ring = (*self.points, self.points[0])
        half = FINE // 2 * self.step_ms
        steps = ((a + b) * half for a, b in pairwise(ring))
        return [0, *accumulate(steps)]

    def _place(self, elapsed_ms: int) -> tuple[int, int, int, int]:
        """Rounds gone, number of the step, ms into it, rise of the rate over it."""
        rounds, rest = divmod(elapsed_ms, self.step_ms * len(self.points))
        step, into = divmod(rest, self.step_ms)
        rise = self.points[(step + 1) % len(self.points)] - self.points[step]
        return rounds, step, into, rise

    def integral(self, elapsed_ms: int) -> int:
        """What has flowed since the origin, exactly, in small-unit·ms/h/FINE."""
        rounds, step, into, rise = self._place(elapsed_ms)
        begun = FINE * self.points[step] * into + FINE // (2 * self.step_ms) * rise * into * into
        return rounds * self._sums[-1] + self._sums[step] + begun

    def rate(self, elapsed_ms: int) -> int:
        """Small units an hour at this instant."""
        _, step, into, rise = self._place(elapsed_ms)
        return self.points[step] + rise * into // self.step_ms


@dataclass(frozen=True, slots=True)
class Flow:
    """A curve that flows only within ``spans`` of the world's time, in ms since its origin.

    Spans do not overlap and are in order; the last one may have no end. The curve's own time
    runs on outside of them, ``shift_ms`` ahead of the world's. ``back``: it flows the other way.
    """

    curve: Curve
    spans: tuple[tuple[int, int | None], ...] = ((0, None),)
    shift_ms: int = 0
    back: bool = False

    def integral(self, elapsed_ms: int) -> int:
        """What has flowed since the origin, exactly, in small-unit·ms/h/FINE."""
        return sum(
            self._until(elapsed_ms if end is None else min(elapsed_ms, end)) - self._until(begin)
            for begin, end in self.spans
            if begin < elapsed_ms
        )

    def rate(self, elapsed_ms: int) -> int:
        """Small units an hour at this instant, whichever way."""
        if any(
            begin <= elapsed_ms and (end is None or elapsed_ms < end) for begin, end in self.spans
        ):
            return self.curve.rate(self.shift_ms + elapsed_ms)
        return 0

    def _until(self, elapsed_ms: int) -> int:
        return self.curve.integral(self.shift_ms + elapsed_ms)


@dataclass(frozen=True, slots=True)
class Timeline:
    """How the world's time follows the clock's: from ``origin_ms``, ``speed`` times as fast.

    From ``until_ms`` on nothing is consumed any more.
    """

    origin_ms: int
    speed: int = 1
    until_ms: int | None = None

    def elapsed_ms(self, at_ms: int) -> int:
        end = at_ms if self.until_ms is None else min(at_ms, self.until_ms)
        return max(0, end - self.origin_ms) * self.speed

    def runs(self, at_ms: int) -> bool:
        return self.origin_ms <= at_ms and (self.until_ms is None or at_ms < self.until_ms)


class MeterFace(Protocol):
    """What a simulated device shows of a meter: indexes in Wh or m³, power in W or flow in m³/h."""

    def index(self, at_ms: int) -> Decimal: ...

    def exported(self, at_ms: int) -> Decimal: ...

    def present(self, at_ms: int) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter in the world. ``start`` is what stood on its face at the origin, in small units.

    What flows back stands in a register of its own on an electricity meter; all others turn back.
    """

    key: str
    medium: Medium
    start: int
    curves: tuple[Curve | Flow, ...]
    timeline: Timeline

    @property
    def small_unit(self) -> str:
        return "mWh" if self.medium is Medium.ELECTRICITY else "ml"

    @property
    def small_decimals(self) -> int:
        """Digits by which the small unit lies below the register's unit (Wh, m³)."""
        return 3 if self.medium is Medium.ELECTRICITY else 6

    def consumed(self, at_ms: int) -> int:
        """Small units since the origin; grows, never falls."""
        return self._flowed(at_ms, back=False)

    def returned(self, at_ms: int) -> int:
        """Small units that have flowed back since the origin; grows, never falls."""
        return self._flowed(at_ms, back=True)

    def turned(self, at_ms: int) -> int:
        """Small units by which the face has turned since the origin."""
        if self.medium is Medium.ELECTRICITY:
            return self.consumed(at_ms)
        return self.consumed(at_ms) - self.returned(at_ms)

    def rate(self, at_ms: int) -> int:
        """Small units an hour of the clock (the world's speed included); 0 outside its time.

        Below 0 when more flows back.
        """
        if not self.timeline.runs(at_ms):
            return 0
        elapsed_ms = self.timeline.elapsed_ms(at_ms)
        rates = (-c.rate(elapsed_ms) if c.back else c.rate(elapsed_ms) for c in self.curves)
        return self.timeline.speed * sum(rates)

    def pulses(self, at_ms: int, weight: int) -> int:
        """Pulses given since the origin by a transmitter of ``weight`` small units a pulse.

        Ours, an assumption, gives none for what flows back.
        """
        return self.consumed(at_ms) // weight

    def index(self, at_ms: int) -> Decimal:
        """What stands on the meter's face, in Wh or m³."""
        return Decimal(self.start + self.turned(at_ms)).scaleb(-self.small_decimals)

    def exported(self, at_ms: int) -> Decimal:
        """What stands in an electricity meter's register of what flowed back, in Wh; or m³."""
        return Decimal(self.returned(at_ms)).scaleb(-self.small_decimals)

    def present(self, at_ms: int) -> Decimal:
        """Power in W, or flow in m³/h."""
        return Decimal(self.rate(at_ms)).scaleb(-self.small_decimals)

    def _flowed(self, at_ms: int, *, back: bool) -> int:
        elapsed_ms = self.timeline.elapsed_ms(at_ms)
        integrals = (c.integral(elapsed_ms) for c in self.curves if c.back is back)
        return sum(integrals) // (FINE * HOUR_MS)


@dataclass(frozen=True, slots=True)
class World:
    """The meters of a site, by key."""

    meters: dict[str, Meter]
