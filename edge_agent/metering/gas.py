"""Gas: energy from volume, exactly, by factors that change with time (field.md §4, "Gas").

kWh = m³ × z × Hs. The volume is what is measured and stored; the energy is derived from it. The
energy index grows piece by piece: each pulse by the factor that held when it came, so that a new
factor bends the line and never breaks it.
"""

from dataclasses import dataclass
from fractions import Fraction

from msgspec import Struct

from edge_agent.metering.amounts import parse_amount
from edge_agent.metering.meters import exact

ENERGY = "energy"
"""The key of the derived register."""

KEPT = 64
"""Pieces that are remembered, for records that come later than newer ones."""

CALORIFIC = {
    "kWh/m³": Fraction(1000),
    "kWh/m3": Fraction(1000),
    "MJ/m³": Fraction(10_000, 36),
    "MJ/m3": Fraction(10_000, 36),
}
"""Units of a calorific value, in Wh/m³; 1 kWh is 3.6 MJ."""


@dataclass(frozen=True, slots=True)
class Factor:
    """From ``since_ms`` (UTC, epoch ms) on, a m³ of gas is worth ``wh`` Wh."""

    since_ms: int
    wh: Fraction


@dataclass(frozen=True, slots=True)
class Conversion:
    """Factors in the order of their time, at least one; the first holds for all before it, too."""

    factors: tuple[Factor, ...]

    def at(self, at_ms: int) -> Fraction:
        """Wh per m³ at an instant."""
        fitting = [factor.wh for factor in self.factors if factor.since_ms <= at_ms]
        return fitting[-1] if fitting else self.factors[0].wh

    def between(self, after_ms: int, until_ms: int) -> list[Factor]:
        """The factors that begin to hold after ``after_ms`` and not after ``until_ms``."""
        return [one for one in self.factors[1:] if after_ms < one.since_ms <= until_ms]


class Piece(Struct, frozen=True, array_like=True):
    """From the pulse ``total`` on: ``energy`` Wh there, ``wh`` more for each pulse; exact."""

    total: int
    energy: str
    wh: str


class Energy(Struct, omit_defaults=True):
    """The energy index of a pulse counter, as pieces of straight line over its unbroken total.

    ``at`` (epoch ms) and ``total`` are of the newest record.
    """

    at: int
    total: int
    pieces: list[Piece]

    @classmethod
    def begin(
        cls, conversion: Conversion, at: int, total: int, volume: Fraction, weight: Fraction
    ) -> "Energy":
        """The index of all that the meter shows, its ``volume``, at the first record's factor."""
        wh = conversion.at(at)
        return cls(at, total, [Piece(total, str(volume * wh), str(weight * wh))])

    def advance(self, conversion: Conversion, at: int, total: int, weight: Fraction) -> None:
        """A newer record, of a meter of ``weight`` m³ a pulse.

        A factor that began since the last record begins at the pulse that came then, by straight
        interpolation between the two records. One that was changed by hand, or another weight,
        begins at the last record.
        """
        at = max(at, self.at)
        changes = conversion.between(self.at, at)
        held = conversion.at(changes[0].since_ms - 1 if changes else at)
        self._bend(self.total, weight * held)
        for factor in changes:
            share = Fraction(factor.since_ms - self.at, at - self.at)
            self._bend(self.total + int((total - self.total) * share), weight * factor.wh)
        self.at, self.total = at, total

    def index(self, total: int) -> Fraction:
        """Wh at a pulse total, never below 0."""
        fitting = [piece for piece in self.pieces if piece.total <= total]
        piece = fitting[-1] if fitting else self.pieces[0]
        return max(Fraction(0), Fraction(piece.energy) + (total - piece.total) * Fraction(piece.wh))

    def _bend(self, total: int, wh: Fraction) -> None:
        if exact(self.pieces[-1].wh) == wh:
            return
        energy = str(self.index(total))
        self.pieces = [*self.pieces, Piece(total, energy, str(wh))][-KEPT:]


def parse_factor(z: str, correction: str, calorific_value: str) -> Fraction:
    """Wh per m³ of ``z`` × ``correction`` × a calorific value such as ``11.2 kWh/m³``.

    Raises Undecodable.
    """
    numbers = Fraction(1)
    for text in (z, correction):
        numbers *= parse_amount(text, {"": Fraction(1)})
    return numbers * parse_amount(calorific_value, CALORIFIC)
