"""What usage costs where the tariff changes from one local day to another."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal, localcontext
from itertools import groupby
from zoneinfo import ZoneInfo

from msgspec import Struct

from cloud.domain.cost import EXACT, Cost, NotPriced, cost
from cloud.domain.tariffs import UNITS, Tariff
from cloud.domain.usage import ZERO, Usage


class Assignment(Struct, frozen=True):
    """The tariff from the local day ``start`` on, and its revision; None: none."""

    start: date
    tariff: Tariff | None
    revision: int = 0


NONE = Assignment(date.min, None)


class PricedSpan(Struct, frozen=True):
    """What the local days ``start`` to before ``end`` cost by one tariff."""

    tariff: str
    name: str
    revision: int
    start: date
    end: date
    cost: Cost


class Total(Struct, frozen=True):
    """The exact sums of what is in one currency."""

    currency: str
    net: Decimal
    tax: Decimal
    gross: Decimal


class Priced(Struct, frozen=True):
    """``without_tariff`` is in the base unit."""

    spans: tuple[PricedSpan, ...]
    totals: tuple[Total, ...]
    without_tariff: tuple[NotPriced, ...]


def price(
    assignments: Sequence[Assignment],
    usage: Sequence[Usage],
    zone: ZoneInfo,
    energy: Sequence[Usage] | None = None,
) -> Priced:
    """The cost of ``usage`` by the tariffs that are assigned; each for its own days.

    A tariff that is assigned again where it is in force changes nothing: its month is one.
    ``energy`` is the same usage, of gas, in Wh: tariffs by energy price that.

    Raises as ``cost``.
    """
    ordered = sorted(assignments, key=_start)
    starts = [one.start for one in ordered]

    def assigned(one: Usage) -> Assignment:
        place = bisect_right(starts, one.start.astimezone(zone).date())
        return ordered[place - 1] if place else NONE

    spans, bare = [], []
    position = 0
    for _, group in groupby(usage, lambda one: _key(assigned(one))):
        part = list(group)
        first, position = position, position + len(part)
        start, end = _days(part, zone)
        tariff, revision = assigned(part[0]).tariff, assigned(part[0]).revision
        if tariff is None:
            length = part[-1].end - part[0].start
            bare.append(NotPriced(start, end, length // timedelta(seconds=1), used(part)))
            continue
        if energy is not None and by_energy(tariff):
            part = list(energy[first:position])
        found = cost(tariff, part, zone)
        spans.append(PricedSpan(tariff.key, tariff.name, revision, start, end, found))
    return Priced(tuple(spans), _totals(spans), tuple(bare))


def by_energy(tariff: Tariff) -> bool:
    """Whether what it prices is energy."""
    return UNITS[tariff.unit].base == "Wh"


def used(usage: Sequence[Usage]) -> Decimal:
    """All of it, as far as it is known."""
    with localcontext(EXACT):
        return sum((one.quantity for one in usage if one.quantity is not None), ZERO)


def _totals(spans: Sequence[PricedSpan]) -> tuple[Total, ...]:
    of_currency: dict[str, list[Cost]] = defaultdict(list)
    for span in spans:
        of_currency[span.cost.currency].append(span.cost)
    with localcontext(EXACT):
        return tuple(
            Total(
                currency,
                sum((one.net for one in costs), ZERO),
                sum((one.tax for one in costs), ZERO),
                sum((one.gross for one in costs), ZERO),
            )
            for currency, costs in sorted(of_currency.items())
        )


def _days(usage: Sequence[Usage], zone: ZoneInfo) -> tuple[date, date]:
    last = usage[-1].end - timedelta(microseconds=1)
    return usage[0].start.astimezone(zone).date(), last.astimezone(zone).date() + timedelta(days=1)


def _start(one: Assignment) -> date:
    return one.start


def _key(one: Assignment) -> str:
    return one.tariff.key if one.tariff else ""
