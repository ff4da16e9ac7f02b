"""The energy of gas that was metered as volume: volume times z times Hs, exact, by local days.

The state number z makes of a volume in the meter that at standard conditions (0 °C, 1013.25 mbar).
It goes by where the meter is: its altitude, pressure and temperature. The calorific value Hs, in
kWh/m³ at standard conditions, goes by the gas, and is one for all of a supply area. So it is done
in the thermal billing of gas by DVGW G 685.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import cache
from itertools import groupby, pairwise
from typing import TypeVar
from zoneinfo import ZoneInfo

from msgspec import Struct

from cloud.domain.cost import EXACT
from cloud.domain.usage import ZERO, Usage
from common.errors import ConfigError
from common.ids import check_key

MAX_VALUES = 500
MAX_Z = 200
MAX_HS = 40
"""kWh/m³; butane has 37."""

_DAY = timedelta(days=1)
_TO_WH = 3

_STANDARD_K = Decimal("273.15")
_STANDARD_MBAR = Decimal("1013.25")
_SEA_LEVEL_MBAR = Decimal(1016)
_MBAR_PER_M = Decimal("0.12")
_FOUR = Decimal("0.0001")


class CalorificValue(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hs (kWh/m³) from a local day to before ``valid_until``, or until the next; None: no end.

    ``preliminary``: it will be replaced by a final one, and what is made of it is estimated.
    """

    valid_from: date
    valid_until: date | None = None
    hs: Decimal
    preliminary: bool = False


class GasArea(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The gas of a supply area, as its operator publishes it."""

    key: str
    name: str
    values: tuple[CalorificValue, ...]


class GasState(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From a local day on a point has gas of ``area`` (a key) in the state ``z``."""

    valid_from: date
    z: Decimal
    area: str


class GasPoint(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the volume of a metering point becomes energy."""

    states: tuple[GasState, ...] = ()


class Factors(Struct, frozen=True):
    """What a volume is multiplied with."""

    z: Decimal
    hs: Decimal
    area: str
    preliminary: bool


class GasUse(Struct, frozen=True):
    """What was used by one pair of factors from local day ``start`` to before ``end``.

    ``volume`` in m³, ``energy`` in kWh: volume * z * hs. None, all four: none is in force.
    """

    start: date
    end: date
    volume: Decimal
    z: Decimal | None
    hs: Decimal | None
    area: str | None
    preliminary: bool
    energy: Decimal | None


T = TypeVar("T", CalorificValue, GasState)

FactorsOf = Callable[[date], Factors | None]


def check_area(area: GasArea) -> None:
    """Raises ConfigError when the area cannot be used, with what is wrong and what to do."""
    check_key(area.key, "gas area")
    where = f"gas area {area.key}"
    _check_count(area.values, "values", where)
    for one in area.values:
        _check_number(one.hs, MAX_HS, f"{where}: hs of {one.valid_from}", "in kWh/m³")
        if one.valid_until is not None and one.valid_until <= one.valid_from:
            raise ConfigError(
                f"{where}: valid_until {one.valid_until} is not after valid_from; it is the first "
                "day on which the value is no more in force"
            )
    for one, after in pairwise(sorted(area.values, key=_valid_from)):
        _check_different(one, after, where)
        if one.valid_until is not None and one.valid_until > after.valid_from:
            raise ConfigError(
                f"{where}: the value of {one.valid_from} overlaps that of {after.valid_from}; let "
                f"it end: valid_until {after.valid_from} or before"
            )


def check_point(point: GasPoint) -> None:
    """Raises ConfigError when the states cannot be used, with what is wrong and what to do."""
    if len(point.states) > MAX_VALUES:
        _check_count(point.states, "states", "gas")
    for one in point.states:
        _check_number(one.z, MAX_Z, f"gas: z of {one.valid_from}", "as 0.9674")
    for one, after in pairwise(sorted(point.states, key=_valid_from)):
        _check_different(one, after, "gas")


def factors_by_day(point: GasPoint, areas: Mapping[str, GasArea]) -> FactorsOf:
    """Tells the factors that are in force on a local day; None: there are none."""
    states = sorted(point.states, key=_valid_from)
    values = {key: sorted(area.values, key=_valid_from) for key, area in areas.items()}

    @cache
    def found(day: date) -> Factors | None:
        state = _in_force(states, day)
        if state is None:
            return None
        value = _in_force(values[state.area], day)
        if value is None or (value.valid_until is not None and value.valid_until <= day):
            return None
        return Factors(state.z, value.hs, state.area, value.preliminary)

    return found


def gas_uses(usage: Iterable[Usage], factors_of: FactorsOf, zone: ZoneInfo) -> tuple[GasUse, ...]:
    """The usage (m³, each within a local day) by the factors of its day; only what is known."""
    known = [
        (one.start.astimezone(zone).date(), one.quantity)
        for one in usage
        if one.quantity is not None
    ]
    found = []
    with localcontext(EXACT):
        for factors, group in groupby(known, lambda one: factors_of(one[0])):
            part = list(group)
            volume = sum((quantity for _, quantity in part), ZERO)
            found.append(_use(part[0][0], part[-1][0] + _DAY, volume, factors))
    return tuple(found)


def energy_of(uses: Iterable[GasUse]) -> Decimal | None:
    """The sum (kWh); None when there is none, or a part of it is missing."""
    energies = [one.energy for one in uses]
    known = [one for one in energies if one is not None]
    with localcontext(EXACT):
        return sum(known, ZERO) if known and len(known) == len(energies) else None


def energy_usage(usage: Sequence[Usage], factors_of: FactorsOf, zone: ZoneInfo) -> list[Usage]:
    """The same usage, in Wh; missing where no factors are in force."""
    return [_energy(one, factors_of(one.start.astimezone(zone).date())) for one in usage]


def state_number(
    altitude_m: Decimal,
    pressure_mbar: Decimal,
    temperature_c: Decimal = Decimal(15),
    compressibility: Decimal = Decimal(1),
) -> Decimal:
    """z by DVGW G 685 of dry gas, rounded half up to four decimals.

    ``pressure_mbar`` is that above the air's. The air has 1016 mbar - 0.12 mbar/m * altitude. Gas
    at a meter without temperature conversion counts as of 15 °C; up to 1 bar its compressibility
    counts as 1.
    """
    if not -500 <= altitude_m <= 5000:
        raise ConfigError(f"altitude_m: {altitude_m}; -500 to 5000 are possible")
    if not 0 <= pressure_mbar <= 100_000:
        raise ConfigError(f"pressure_mbar: {pressure_mbar}; 0 to 100000 are possible")
    if not -50 <= temperature_c <= 100:
        raise ConfigError(f"temperature_c: {temperature_c}; -50 to 100 are possible")
    if not Decimal("0.1") <= compressibility <= 2:
        raise ConfigError(f"compressibility: {compressibility}; 0.1 to 2 are possible")
    with localcontext(EXACT):
        pressure = _SEA_LEVEL_MBAR - _MBAR_PER_M * altitude_m + pressure_mbar
        of_temperature = _STANDARD_K / (_STANDARD_K + temperature_c)
        z = of_temperature * pressure / _STANDARD_MBAR / compressibility
        return z.quantize(_FOUR, ROUND_HALF_UP)


def _use(start: date, end: date, volume: Decimal, factors: Factors | None) -> GasUse:
    if factors is None:
        return GasUse(start, end, volume, None, None, None, preliminary=False, energy=None)
    energy = volume * factors.z * factors.hs
    return GasUse(
        start,
        end,
        volume,
        factors.z,
        factors.hs,
        factors.area,
        preliminary=factors.preliminary,
        energy=energy,
    )


def _energy(one: Usage, factors: Factors | None) -> Usage:
    if one.quantity is None or factors is None:
        return Usage(one.start, one.end, None)
    with localcontext(EXACT):
        energy = (one.quantity * factors.z * factors.hs).scaleb(_TO_WH)
    estimated = one.estimated or factors.preliminary
    return Usage(one.start, one.end, energy, estimated, one.corrected)


def _in_force(ordered: Sequence[T], day: date) -> T | None:
    place = bisect_right(ordered, day, key=_valid_from)
    return ordered[place - 1] if place else None


def _valid_from(one: CalorificValue | GasState) -> date:
    return one.valid_from


def _check_different(
    one: CalorificValue | GasState, after: CalorificValue | GasState, where: str
) -> None:
    if one.valid_from == after.valid_from:
        raise ConfigError(f"{where}: two of {one.valid_from}; take one of them out")


def _check_count(items: Sequence[Struct], what: str, where: str) -> None:
    if not 1 <= len(items) <= MAX_VALUES:
        raise ConfigError(f"{where}: {len(items)} {what}; 1 to {MAX_VALUES} are possible")


def _check_number(value: Decimal, most: int, what: str, hint: str) -> None:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -8 or not 0 < value <= most:
        raise ConfigError(
            f"{what} is {str(value)[:40]}; write it {hint}: above 0, at most {most}, with at most "
            "8 decimals"
        )
