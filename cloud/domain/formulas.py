"""Virtual metering points: sums, differences and shares of other points. Pure and exact.

A formula has a factor by the id of each point that it is made of: 1 adds it, -1 takes it away, and
what is between is a share.
"""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Context, Decimal, Inexact, localcontext
from graphlib import CycleError, TopologicalSorter

Formula = Mapping[int, Decimal]
Formulas = Mapping[int, Formula]
"""By the id of the virtual point."""

LARGEST_FACTOR = 1000
FACTOR_PLACES = 6
MAX_TERMS = 200
MAX_DEPTH = 5
"""How many formulas may stand one on another."""

EXACT = Context(prec=200, traps=[Inexact])
"""Has room for any value through MAX_DEPTH factors: what did not fit would not pass unseen."""


def is_factor(factor: Decimal) -> bool:
    """Whether a formula can be made with it."""
    exponent = factor.as_tuple().exponent
    fits = isinstance(exponent, int) and exponent >= -FACTOR_PLACES
    return fits and factor != 0 and abs(factor) <= LARGEST_FACTOR


def circle(formulas: Formulas) -> list[int]:
    """Points of which each is made of the next, the first again at the end; none, if none is made
    of itself."""
    try:
        TopologicalSorter(formulas).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def depth(formulas: Formulas) -> int:
    """How many formulas stand one on another, at the most. There is no circle."""
    depths: dict[int, int] = defaultdict(int)
    for point_id in TopologicalSorter(formulas).static_order():
        if formula := formulas.get(point_id):
            depths[point_id] = 1 + max(depths[of] for of in formula)
    return max(depths.values(), default=0)


def unfolded(point_id: int, formulas: Formulas) -> dict[int, Decimal]:
    """How much of each point that has no formula is in this one, through all formulas."""
    factors = {point_id: Decimal(1)}
    with localcontext(EXACT):
        for one in reversed(list(TopologicalSorter(formulas).static_order())):
            if one in formulas and one in factors:
                whole = factors.pop(one)
                for of, factor in formulas[one].items():
                    factors[of] = factors.get(of, Decimal(0)) + whole * factor
    return factors
