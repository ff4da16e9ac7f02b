"""Tariffs: what a unit costs and since when, with exact prices and local dates.

A tariff has versions, each in force from a local date on; a version has charges. Weekdays, months
and times of day of a band are those of the instant on the site's wall: 22:00 to 06:00 on Fridays
is the early morning and the late evening of Fridays. Between versions there may be gaps.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple

from msgspec import Struct

DAY_S = 86_400


class PricedUnit(NamedTuple):
    """So many of a register's ``base`` unit are one: 10 to the power of ``shift``."""

    base: str
    shift: int


UNITS = {
    "m³": PricedUnit("m³", 0),
    "Wh": PricedUnit("Wh", 0),
    "kWh": PricedUnit("Wh", 3),
    "MWh": PricedUnit("Wh", 6),
}

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = tuple(range(1, 13))


class _Charge(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """``tax_percent`` is the version's where it is None."""

    name: str
    tax_percent: Decimal | None = None


class Standing(_Charge, frozen=True, kw_only=True, tag="standing"):
    """An amount for each day, month or year; of a month or year, by the days that are touched."""

    amount: Decimal
    per: Literal["day", "month", "year"]


class Fixed(_Charge, frozen=True, kw_only=True, tag="fixed"):
    """An amount for each calendar month, whole even where only a part of it is touched."""

    amount: Decimal


class PerUnit(_Charge, frozen=True, kw_only=True, tag="per_unit"):
    """One price for each unit."""

    price: Decimal


class Block(Struct, frozen=True, forbid_unknown_fields=True):
    """What lies above the block before and up to this quantity; None: all that is left."""

    price: Decimal
    up_to: Decimal | None = None


class Blocks(_Charge, frozen=True, kw_only=True, tag="blocks"):
    """Prices by the quantity of a calendar month or of a day, the lowest block first.

    Where a part of a month is touched, its blocks are as much smaller, by days.
    """

    blocks: tuple[Block, ...]
    per: Literal["month", "day"] = "month"


class Band(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A price from ``start`` to before ``end``: ``22:00``, local; over midnight if end < start."""

    name: str
    price: Decimal
    start: str = "00:00"
    end: str = "24:00"
    weekdays: tuple[Weekday, ...] = WEEKDAYS
    months: tuple[int, ...] = MONTHS


class TimeOfUse(_Charge, frozen=True, kw_only=True, tag="time_of_use"):
    """Prices by the time on the wall; ``price`` is for all that is in no band."""

    bands: tuple[Band, ...]
    price: Decimal | None = None


Charge = Standing | Fixed | PerUnit | Blocks | TimeOfUse


class Version(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Charges in force from the local date ``valid_from`` to before ``valid_until``."""

    valid_from: date
    valid_until: date | None = None
    charges: tuple[Charge, ...]
    tax_percent: Decimal = Decimal(0)


class Tariff(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``currency`` as in ISO 4217, with ``decimals`` of its own; ``unit`` is one of UNITS."""

    key: str
    name: str
    currency: str
    unit: str
    versions: tuple[Version, ...]
    decimals: int = 2


def day_spans(charge: TimeOfUse, month: int, weekday: int) -> list[tuple[int, int, Band]]:
    """From which second to before which one each band of such a day is, in order.

    ``weekday`` counts from Monday, which is 0.
    """
    found = [
        (start, end, band)
        for band in charge.bands
        if month in band.months and WEEKDAYS[weekday] in band.weekdays
        for start, end in _times(band)
    ]
    return sorted(found, key=lambda span: span[:2])


def day_plan(charge: TimeOfUse, month: int, weekday: int) -> list[tuple[int, Band | None]]:
    """Which band begins at which second of such a day, in order, from 0 on; None: no band."""
    plan: list[tuple[int, Band | None]] = []
    position = 0
    for start, end, band in day_spans(charge, month, weekday):
        if start > position:
            plan.append((position, None))
        plan.append((start, band))
        position = end
    if position < DAY_S:
        plan.append((position, None))
    return plan


def _times(band: Band) -> Iterator[tuple[int, int]]:
    start, end = _second(band.start), _second(band.end)
    if start < end:
        yield start, end
        return
    yield start, DAY_S
    if end:
        yield 0, end


def _second(clock: str) -> int:
    return int(clock[:2]) * 3600 + int(clock[3:]) * 60
