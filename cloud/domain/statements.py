"""Statements: what a metering point used and what it costs in a month, and what has changed since.

Quantities are in the point's base unit, but in the cost, where they are in the tariff's.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import groupby
from zoneinfo import ZoneInfo

from msgspec import Struct

from cloud.domain.cost import EXACT, Line
from cloud.domain.gas_energy import GasUse
from cloud.domain.pricing import Priced, used
from cloud.domain.usage import ZERO, Usage


class MeterUse(Struct, frozen=True):
    """A meter of the month, and what stood on its face when its part of the month began and ended.

    An index is estimated when no reading is near. None: there is no reading to tell it.
    """

    device: str
    serial: str
    register_id: int
    multiplier: Decimal
    start: datetime
    start_index: Decimal | None
    start_estimated: bool
    end: datetime
    end_index: Decimal | None
    end_estimated: bool


class DayUse(Struct, frozen=True):
    """The sum of a local day's hours. None: all of them are missing."""

    day: date
    quantity: Decimal | None
    estimated: Decimal
    missing_s: int
    corrected: Decimal = ZERO


class Statement(Struct, frozen=True, kw_only=True):
    """The month ``start`` to before ``end`` of a metering point.

    ``quantity`` is the sum of the days, ``estimated`` and ``corrected`` how much of it is; for
    ``missing_s`` nothing is known. ``measured_percent``: how much of the time lies between
    readings that are near. ``gas``: how the volume became the energy that is priced; empty where
    none is.
    """

    point: str
    name: str
    site: str
    timezone: str
    medium: str
    kind: str
    unit: str
    month: str
    start: datetime
    end: datetime
    meters: tuple[MeterUse, ...]
    days: tuple[DayUse, ...]
    quantity: Decimal
    estimated: Decimal
    missing_s: int
    measured_percent: Decimal
    priced: Priced
    corrected: Decimal = ZERO
    gas: tuple[GasUse, ...] = ()


class Difference(Struct, frozen=True):
    """What a figure was and is; ``difference`` takes what is not there for nothing."""

    figure: str
    then: Decimal | None
    now: Decimal | None
    difference: Decimal


class LineDifference(Struct, frozen=True):
    """What has changed in a line of the cost; in all of its figures where it is new or gone."""

    tariff: str
    charge: str
    part: str
    start: date
    figures: tuple[Difference, ...]


class DayDifference(Struct, frozen=True):
    """What has changed in what was used on a day."""

    day: date
    figures: tuple[Difference, ...]


class Differences(Struct, frozen=True):
    """What has changed since: only figures that are others.

    ``meters`` and ``gas``: all of them, if one is another.
    """

    totals: tuple[Difference, ...]
    lines: tuple[LineDifference, ...]
    days: tuple[DayDifference, ...]
    meters: tuple[MeterUse, ...]
    gas: tuple[GasUse, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether there is any."""
        return bool(self.totals or self.lines or self.days or self.meters or self.gas)


def days_of(usage: Sequence[Usage], zone: ZoneInfo) -> tuple[DayUse, ...]:
    """The usage by the local day on which it begins."""
    return tuple(
        _day(day, list(hours))
        for day, hours in groupby(usage, lambda one: one.start.astimezone(zone).date())
    )


def _day(day: date, hours: Sequence[Usage]) -> DayUse:
    missing = sum((one.end - one.start for one in hours if one.quantity is None), timedelta())
    known = any(one.quantity is not None for one in hours)
    return DayUse(
        day,
        used(hours) if known else None,
        used([one for one in hours if one.estimated]),
        missing // timedelta(seconds=1),
        used([one for one in hours if one.corrected]),
    )


def differences(then: Statement, now: Statement) -> Differences:
    """What is another figure in ``now`` than in ``then``, of the same point and month."""
    with localcontext(EXACT):
        return Differences(
            totals=tuple(_between(_totals(then), _totals(now))),
            lines=tuple(_lines(then, now)),
            days=tuple(_days(then, now)),
            meters=now.meters if now.meters != then.meters else (),
            gas=now.gas if now.gas != then.gas else (),
        )


_Figures = Mapping[str, Decimal | None]


def _between(then: _Figures, now: _Figures) -> Iterator[Difference]:
    for figure in dict.fromkeys([*then, *now]):
        one, other = then.get(figure), now.get(figure)
        if one != other:
            yield Difference(figure, one, other, (other or ZERO) - (one or ZERO))


def _totals(statement: Statement) -> dict[str, Decimal | None]:
    figures: dict[str, Decimal | None] = {
        "quantity": statement.quantity,
        "estimated": statement.estimated,
        "corrected": statement.corrected,
        "missing_s": Decimal(statement.missing_s),
        "measured_percent": statement.measured_percent,
        "without_tariff": sum((one.quantity for one in statement.priced.without_tariff), ZERO),
    }
    for total in statement.priced.totals:
        figures |= {
            f"net {total.currency}": total.net,
            f"tax {total.currency}": total.tax,
            f"gross {total.currency}": total.gross,
        }
    return figures


_LineKey = tuple[str, str, str, date]


def _lines(then: Statement, now: Statement) -> Iterator[LineDifference]:
    before, after = _by_key(then), _by_key(now)
    for key in dict.fromkeys([*before, *after]):
        figures = tuple(_between(_figures(before.get(key)), _figures(after.get(key))))
        if figures:
            yield LineDifference(*key, figures)


def _by_key(statement: Statement) -> dict[_LineKey, Line]:
    return {
        (span.tariff, line.charge, line.part, line.start): line
        for span in statement.priced.spans
        for line in span.cost.lines
    }


def _figures(line: Line | None) -> _Figures:
    if line is None:
        return {}
    return {
        "quantity": line.quantity,
        "estimated": line.estimated,
        "price": line.price,
        "tax_percent": line.tax_percent,
        "net": line.net,
    }


def _days(then: Statement, now: Statement) -> Iterator[DayDifference]:
    before, after = ({one.day: one for one in which.days} for which in (then, now))
    for day in dict.fromkeys([*before, *after]):
        figures = tuple(_between(_of_day(before.get(day)), _of_day(after.get(day))))
        if figures:
            yield DayDifference(day, figures)


def _of_day(day: DayUse | None) -> _Figures:
    if day is None:
        return {}
    return {
        "quantity": day.quantity,
        "estimated": day.estimated,
        "corrected": day.corrected,
        "missing_s": Decimal(day.missing_s),
    }
