"""Heating degree days of local days, and consumption as it would have been in a usual year.

On a day whose mean temperature is below ``limit`` there are ``base`` less the mean; on others none.
Base 20 and limit 15 are the Gradtagzahl G20/15 of VDI 3807 and VDI 2067; where both are one
temperature, as 15.5, they are the degree days that are usual elsewhere.
"""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext
from enum import StrEnum
from fractions import Fraction
from itertools import groupby, pairwise

from msgspec import Struct

from cloud.domain.consumption import HOUR_MS, Index
from cloud.domain.cost import EXACT
from cloud.domain.usage import ZERO
from common.errors import ConfigError

HOLE_MS = 3 * HOUR_MS
"""Between readings that are further apart the temperature is not known."""

ESTIMATED_MS = HOUR_MS
"""A mean is estimated where more of the day is not known."""

_HUNDREDTH = Decimal("0.01")
_SIX = Decimal("0.000001")
_MONTHS = 12


class Heating(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """By what the consumption of a metering point is normalised; temperatures in °C.

    ``reference``: the degree days of January to December in a usual year, of this base and limit;
    empty: they are not known, and nothing is normalised.
    """

    register_id: int
    base: Decimal = Decimal(20)
    limit: Decimal = Decimal(15)
    reference: tuple[Decimal, ...] = ()


class Status(StrEnum):
    """Whether there is a normalised consumption, and why not."""

    GOOD = "good"
    ESTIMATED = "estimated"
    NO_TEMPERATURE = "no_temperature"
    NO_CONSUMPTION = "no_consumption"
    NO_REFERENCE = "no_reference"
    NO_HEATING = "no_heating"


class DayMean(Struct, frozen=True):
    """The mean temperature of a day (°C); None where less than half of the day is known."""

    mean: Decimal | None
    known_ms: int
    estimated: bool


class Normal(Struct, frozen=True):
    """What becomes of a consumption; None where ``status`` says why."""

    per_degree_day: Decimal | None
    normalised: Decimal | None
    status: Status


def check_heating(heating: Heating) -> None:
    """Raises ConfigError when it cannot be used, with what is wrong and what to do."""
    for name, value in (("base", heating.base), ("limit", heating.limit)):
        if not (value.is_finite() and -20 <= value <= 40 and value == round(value, 2)):
            raise ConfigError(
                f"{name}: {str(value)[:40]}; -20 to 40 °C are possible, with at most 2 decimals"
            )
    if heating.limit > heating.base:
        raise ConfigError(
            f"limit: {heating.limit} is above the base, {heating.base}; degree days would be "
            "negative"
        )
    if len(heating.reference) not in {0, _MONTHS}:
        raise ConfigError(f"reference: {len(heating.reference)} months; give all 12, or none")
    for month, value in enumerate(heating.reference, 1):
        if not (value.is_finite() and 0 <= value <= 2000 and value == round(value, 2)):
            raise ConfigError(
                f"reference: {str(value)[:40]} of month {month}; 0 to 2000 are possible, with at "
                "most 2 decimals"
            )


def day_means(readings: Sequence[Index], midnights: Sequence[int], decimals: int) -> list[DayMean]:
    """The mean of each day between two of ``midnights`` (ms), of readings in order of time.

    Weighted by time, along straight lines between readings; rounded half up to 0.01 °C. Of hours
    that are summed up the first and the last reading do: a line between them and the hour's true
    mean both lie between the hour's extremes, so that the error is at most their difference.
    """
    days = len(midnights) - 1
    areas, known, unsure = [Fraction(0)] * days, [0] * days, [False] * days
    for one, other in pairwise(readings):
        if other.at - one.at > HOLE_MS or other.at == one.at:
            continue
        day = max(bisect_right(midnights, one.at) - 1, 0)
        while day < days and midnights[day] < other.at:
            start, end = max(one.at, midnights[day]), min(other.at, midnights[day + 1])
            if start < end:
                areas[day] += (end - start) * _middle(one, other, start, end)
                known[day] += end - start
                unsure[day] |= not (one.sure and other.sure)
            day += 1
    return [
        _mean(areas[day], known[day], end - start, decimals, unsure=unsure[day])
        for day, (start, end) in enumerate(pairwise(midnights))
    ]


def degree_days(mean: Decimal, heating: Heating) -> Decimal:
    """Those of a day of that mean temperature."""
    return heating.base - mean if mean < heating.limit else ZERO


def reference_of(days: Sequence[date], heating: Heating) -> Decimal | None:
    """The degree days of these days in a usual year; those of a part of a month go by its days."""
    if not heating.reference:
        return None
    found = ZERO
    with localcontext(EXACT):
        for (year, month), group in groupby(days, lambda day: (day.year, day.month)):
            whole, part = monthrange(year, month)[1], len(list(group))
            of_month = heating.reference[month - 1]
            found += of_month if part == whole else _rounded(of_month * part / whole)
    return found


def normal(
    consumption: Decimal | None,
    actual: Decimal | None,
    reference: Decimal | None,
    *,
    estimated: bool,
) -> Normal:
    """Consumption for each degree day, and as it would have been with those of ``reference``.

    Rounded half up to six decimals. Where there were no degree days there is neither.
    """
    if actual is None:
        return Normal(None, None, Status.NO_TEMPERATURE)
    if consumption is None:
        return Normal(None, None, Status.NO_CONSUMPTION)
    if actual == 0:
        return Normal(None, None, Status.NO_HEATING)
    with localcontext(EXACT):
        each = _rounded(consumption / actual)
        if reference is None:
            return Normal(each, None, Status.NO_REFERENCE)
        normalised = _rounded(consumption * reference / actual)
    return Normal(each, normalised, Status.ESTIMATED if estimated else Status.GOOD)


def _middle(one: Index, other: Index, start: int, end: int) -> Fraction:
    """The mean from ``start`` to ``end`` of the line from one reading to another."""
    slope = Fraction(other.value - one.value, other.at - one.at)
    return one.value + slope * (Fraction(start + end, 2) - one.at)


def _mean(area: Fraction, known: int, whole: int, decimals: int, *, unsure: bool) -> DayMean:
    if 2 * known < whole:
        return DayMean(None, known, estimated=False)
    exact = area / known
    with localcontext(EXACT):
        mean = Decimal(exact.numerator) / exact.denominator / 10**decimals
        mean = mean.quantize(_HUNDREDTH, ROUND_HALF_UP)
    return DayMean(mean, known, estimated=unsure or whole - known > ESTIMATED_MS)


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(_SIX, ROUND_HALF_UP)
