"""Which analyses are made of a metering point, and how.

What a point is told by default follows from its medium; each analysis can be set otherwise or
switched off.
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec
from msgspec import Struct

from cloud.domain.analyses.continuous_flow import ContinuousFlow
from cloud.domain.analyses.data_missing import DataMissing
from cloud.domain.analyses.night_flow import NightFlow
from cloud.domain.analyses.reverse_flow import ReverseFlow
from cloud.domain.analyses.standstill import Standstill
from cloud.domain.analyses.unusual_consumption import UnusualConsumption
from common.errors import ConfigError
from common.registers import Medium


class Analyses(Struct, frozen=True, forbid_unknown_fields=True):
    """The analyses by their findings' codes; None is off. Quantities are in m³ or Wh."""

    continuous_flow: ContinuousFlow | None = None
    night_flow: NightFlow | None = None
    standstill: Standstill | None = None
    reverse_flow: ReverseFlow | None = None
    unusual_consumption: UnusualConsumption | None = None
    data_missing: DataMissing | None = None


_WATER = Analyses(
    continuous_flow=ContinuousFlow(threshold=Decimal("0.001")),
    night_flow=NightFlow(least=Decimal("0.005")),
    standstill=Standstill(hours=72),
    reverse_flow=ReverseFlow(jitter=Decimal("0.02"), largest=Decimal(5)),
    unusual_consumption=UnusualConsumption(least=Decimal("0.1")),
    data_missing=DataMissing(),
)

_ELECTRICITY = Analyses(
    night_flow=NightFlow(least=Decimal(50), floor_percent=10),
    standstill=Standstill(hours=12),
    reverse_flow=ReverseFlow(jitter=Decimal(10), largest=Decimal(100_000)),
    unusual_consumption=UnusualConsumption(least=Decimal(1000)),
    data_missing=DataMissing(),
)

# Heating runs all night in a frost and stops in May: what is alarming of water is weather here.
_GAS = Analyses(
    reverse_flow=ReverseFlow(jitter=Decimal("0.02"), largest=Decimal(10)),
    unusual_consumption=UnusualConsumption(least=Decimal(1), floor_percent=20),
    data_missing=DataMissing(),
)
_HEAT = Analyses(
    reverse_flow=ReverseFlow(jitter=Decimal(1000), largest=Decimal(100_000)),
    unusual_consumption=UnusualConsumption(least=Decimal(10_000), floor_percent=20),
    data_missing=DataMissing(),
)

DEFAULTS: dict[tuple[Medium, str], Analyses] = {
    (Medium.WATER, "m³"): _WATER,
    (Medium.COLD_WATER, "m³"): _WATER,
    (Medium.HOT_WATER, "m³"): _WATER,
    (Medium.HOT_WATER_90, "m³"): _WATER,
    (Medium.DUAL_WATER, "m³"): _WATER,
    (Medium.ELECTRICITY, "Wh"): _ELECTRICITY,
    (Medium.GAS, "m³"): _GAS,
    (Medium.GAS, "Wh"): _HEAT,
    (Medium.HEAT, "Wh"): _HEAT,
    (Medium.HEAT_INLET, "Wh"): _HEAT,
}
"""By medium and unit. Of anything else only missing data is told: nothing is known of it."""


def defaults(medium: Medium, unit: str) -> Analyses:
    """The analyses of a medium that is counted in ``unit``, m³ or Wh."""
    return DEFAULTS.get((medium, unit), Analyses(data_missing=DataMissing()))


def configure(medium: Medium, unit: str, given: Mapping[str, object]) -> Analyses:
    """The defaults with what is ``given`` by code: None is off, a table has what differs.

    Quantities are text or whole numbers. Raises ConfigError that names the analysis and the
    setting.
    """
    wanted: dict[str, object] = msgspec.to_builtins(defaults(medium, unit))
    for code, table in given.items():
        default = wanted.get(code)
        if isinstance(default, Mapping) and isinstance(table, Mapping):
            wanted[code] = {**default, **table}
        else:
            wanted[code] = table
    try:
        return msgspec.convert(wanted, Analyses)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        where = place.rstrip("`").lstrip(".")
        raise ConfigError(f"{where}: {text}" if where else text) from error
