"""Virtual metering points: what they are made of, and what was consumed by that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from msgspec import structs

from cloud.domain.formulas import (
    EXACT,
    FACTOR_PLACES,
    LARGEST_FACTOR,
    MAX_DEPTH,
    MAX_TERMS,
    circle,
    depth,
    is_factor,
    unfolded,
)
from cloud.services.views import ConsumptionView
from cloud.storage.points import PointRow
from cloud.storage.unit_of_work import UnitOfWork
from common.errors import Permanent


@dataclass(frozen=True, slots=True)
class Term:
    """A metering point, by its key, times ``factor``."""

    point: str
    factor: Decimal


@dataclass(frozen=True, slots=True)
class Part:
    """A point that meters count for, and how much of it is in a virtual one."""

    key: str
    factor: Decimal


def put(uow: UnitOfWork, point: PointRow, terms: Sequence[Term]) -> str:
    """Have a point be made of these, in the place of what it was made of; in words. None: it is
    virtual no more. Raises Permanent, with what is wrong."""
    uow.points.take_turn()  # or two formulas could make a circle of which neither sees the other
    uow.points.lock(point.id, [])
    if uow.points.installed([point.id]):
        raise Permanent(f"terms: {point.key} has or had a meter, which is what it consumes")
    if len(terms) > MAX_TERMS:
        raise Permanent(f"terms: more than {MAX_TERMS}; make sums of sums")
    formula: dict[int, Decimal] = {}
    for place, term in enumerate(terms):
        of = _checked(uow, point, term, f"terms.{place}")
        if of in formula:
            raise Permanent(f"terms.{place}: {term.point} is among them already")
        formula[of] = term.factor
    formulas = uow.points.formulas() | {point.id: formula}
    if found := circle(formulas):
        keys = uow.points.keys(found)
        way = " of ".join(keys[one] for one in found)
        raise Permanent(f"terms: a point would be made of itself: {way}")
    if depth(formulas) > MAX_DEPTH:
        raise Permanent(f"terms: more than {MAX_DEPTH} formulas would stand one on another")
    uow.points.set_formula(point.id, formula)
    return ", ".join(f"{format(term.factor, 'f')} {term.point}" for term in terms)


def _checked(uow: UnitOfWork, point: PointRow, term: Term, where: str) -> int:
    """The id of the term's point."""
    if not is_factor(term.factor):
        raise Permanent(
            f"{where}.factor: from -{LARGEST_FACTOR} to {LARGEST_FACTOR} and not 0, "
            f"{FACTOR_PLACES} decimals"
        )
    found = uow.points.by_key(term.point)
    if found is None:
        raise Permanent(f"{where}.point: there is no metering point {term.point!r}")
    if found.kind is not point.kind:
        raise Permanent(f"{where}.point: {found.key} counts {found.kind}, not {point.kind}")
    return found.id


def parts(uow: UnitOfWork, points: Sequence[PointRow]) -> dict[int, dict[int, Part]]:
    """Of each point, by id, those that it is made of in the end, asked level by level; itself,
    where it is not virtual."""
    formulas: dict[int, dict[int, Decimal]] = {}
    keys = {point.id: point.key for point in points}
    asked = {point.id for point in points if point.virtual}
    while asked:
        rows = uow.points.terms(asked)
        for row in rows:
            formulas.setdefault(row.point_id, {})[row.of_point_id] = row.factor
            keys[row.of_point_id] = row.of_key
        asked = {row.of_point_id for row in rows} - formulas.keys()
    return {
        point.id: {id_: Part(keys[id_], one) for id_, one in unfolded(point.id, formulas).items()}
        for point in points
    }


def combined(
    made_of: Mapping[int, Part], consumed: Mapping[int, Sequence[ConsumptionView]]
) -> list[ConsumptionView]:
    """What a virtual point consumed in each period, exactly, by what its parts did in the same."""
    factors = [part.factor for part in made_of.values()]
    keys = [part.key for part in made_of.values()]
    with localcontext(EXACT):
        return [
            _sum(factors, keys, period)
            for period in zip(*(consumed[id_] for id_ in made_of), strict=True)
        ]


def _sum(
    factors: Sequence[Decimal], keys: Sequence[str], period: Sequence[ConsumptionView]
) -> ConsumptionView:
    missing = tuple(key for key, one in zip(keys, period, strict=True) if one.value is None)
    counted = [
        factor * one.value
        for factor, one in zip(factors, period, strict=True)
        if one.value is not None
    ]
    return structs.replace(
        period[0],
        value=None if missing else sum(counted, Decimal(0)),
        estimated=any(one.estimated for one in period),
        corrected=any(one.corrected for one in period),
        measured_percent=min(one.measured_percent for one in period),
        missing=missing,
    )
