"""A device's own counter: it follows the world, and faults make it go another way.

The count is a closed-form function of the world's total and of the counter's history, so that a
fault of the time line gives the same counts in every process and at any speed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Change(StrEnum):
    """Why a counter did not go on from where it was."""

    RESET = "reset"
    EXCHANGE = "exchange"
    ROLLOVER = "rollover"
    POWER_CUT = "power cut"


@dataclass(frozen=True, slots=True)
class Jump:
    """A change at an instant: what the counter showed right before it, and from it on."""

    at_ms: int
    change: Change
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Leg:
    """From an instant on: the world's total + ``add``, or, while it stands, ``stands``."""

    from_ms: int
    add: int
    stands: int | None = None


class Counter:
    """Counts ``total(at_ms)``, the world's; ``modulus`` counts bring it back to 0.

    Changes are told in the order of their time. Raises ValueError for a modulus below 1.
    """

    def __init__(
        self,
        total: Callable[[int], int],
        modulus: int | None = None,
        legs: Sequence[Leg] = (Leg(-(2**63), 0),),
    ) -> None:
        if modulus is not None and modulus < 1:
            raise ValueError(f"a counter cannot start again after {modulus} counts")
        self.modulus = modulus
        self._total = total
        self.legs = list(legs)
        self._jumps: list[Jump] = []

    def count(self, at_ms: int) -> int:
        """What the device shows."""
        running = self.running(at_ms)
        return running if self.modulus is None else running % self.modulus

    def running(self, at_ms: int) -> int:
        """What it would show if its range had no end."""
        leg = self._leg(at_ms)
        return self._total(at_ms) + leg.add if leg.stands is None else leg.stands

    def jumps(self, until_ms: int) -> tuple[Jump, ...]:
        """The changes up to an instant; a modulus that is simply reached is none of them."""
        return tuple(jump for jump in self._jumps if jump.at_ms <= until_ms)

    def reset(self, at_ms: int) -> None:
        """Start again from 0."""
        self._jump(at_ms, Change.RESET, 0)

    def exchange(self, at_ms: int, start: int) -> None:
        """Go on from what stands on a new device."""
        self._jump(at_ms, Change.EXCHANGE, start)

    def roll_over(self, at_ms: int, modulus: int) -> None:
        """Go over the end of the range, from the highest count to 0.

        A counter that has not begun yet begins so that it gets there by itself. One that is
        under way by hand is at the end of its range from now on, and goes over at its next count.
        Raises ValueError when there are changes before.
        """
        if len(self.legs) > 1 or modulus < 1:
            raise ValueError("a counter rolls over before all other changes, after 1 or more")
        self.modulus = modulus
        self.legs[0] = Leg(self.legs[0].from_ms, modulus - self._total(at_ms))

    def bring_to_its_end(self, at_ms: int, modulus: int) -> None:
        """By hand: show the highest count, so that the next one rolls over."""
        self.modulus = modulus
        self._jump(at_ms, Change.ROLLOVER, modulus - 1)

    def stand(self, from_ms: int, to_ms: int) -> None:
        """Count nothing while there is no power; then go on from where it stood."""
        stood = self.count(from_ms)
        self.legs.append(Leg(from_ms, 0, stood))
        self.legs.append(Leg(to_ms, stood - self._total(to_ms)))
        lost = self._total(to_ms) - self._total(from_ms)
        self._jumps.append(Jump(to_ms, Change.POWER_CUT, stood + lost, stood))

    def _jump(self, at_ms: int, change: Change, after: int) -> None:
        before = self.count(at_ms)
        self.legs.append(Leg(at_ms, after - self._total(at_ms)))
        self._jumps.append(Jump(at_ms, change, before, after))

    def _leg(self, at_ms: int) -> Leg:
        return next(leg for leg in reversed(self.legs) if leg.from_ms <= at_ms)
