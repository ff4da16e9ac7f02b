"""Which meter counted a pulse, and what stood on its face then: meters come and go."""

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

KEPT = 16
"""Meters that are remembered, for records that come later than the exchange."""


@lru_cache(maxsize=4096)
def exact(text: str) -> Fraction:
    """A fraction as it was written down."""
    return Fraction(text)


class Installed(Struct, frozen=True, array_like=True):
    """A meter behind a pulse input, from the unbroken total ``since`` on.

    ``start_total`` is the device's own total at which its face showed ``start``, as the operator
    has it; ``start`` and ``weight`` (quantity per pulse) are exact, ``numerator/denominator``.
    """

    meter: str
    start_total: int
    since: int
    start: str
    weight: str

    def index(self, total: int) -> Fraction:
        """What stands on its face at an unbroken total."""
        return max(Fraction(0), exact(self.start) + (total - self.since) * exact(self.weight))


def installed(meter: str, start_total: int, start_index: Decimal, weight: Fraction) -> Installed:
    """The meter that is there now, as the operator has it."""
    start = str(Fraction(start_index))
    return Installed(meter, start_total, start_total, start, str(weight))


def install(meters: list[Installed], now: Installed, offset: int) -> list[Installed]:
    """The meters with the one that is there now.

    The same meter with the same ``start_total`` stays, and takes a corrected start or weight.
    ``offset`` is what the unbroken total is above the device's own.
    """
    newest = meters[-1] if meters else None
    since = now.start_total + offset
    if newest and (newest.meter, newest.start_total) == (now.meter, now.start_total):
        since = newest.since
        if (newest.start, newest.weight) == (now.start, now.weight):
            return meters
    one = replace(now, since=since)
    return [*(old for old in meters if old.since < since), one][-KEPT:]


def index_at(meters: list[Installed], total: int) -> Fraction:
    """What stood on the face of the meter that counted up to ``total``."""
    fitting = [one for one in meters if one.since <= total]
    return (fitting[-1] if fitting else meters[0]).index(total)
