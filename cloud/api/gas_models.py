"""What the routes about the energy of gas take and answer."""

from datetime import date
from decimal import Decimal

from pydantic import ConfigDict, Field

from cloud.api.models import Exact, Model, Time


class _Exactly(Model):
    model_config = ConfigDict(extra="forbid")


class CalorificValue(_Exactly):
    """Hs from a local day on."""

    valid_from: date
    valid_until: date | None = Field(
        default=None,
        description="The first day on which it is no more in force; null: until the next one",
    )
    hs: Exact = Field(description="kWh/m³ at 0 °C and 1013.25 mbar, as published")
    preliminary: bool = Field(default=False, description="What is made of it is estimated")


class NewGasArea(_Exactly):
    """The gas of a supply area, as its operator publishes it."""

    name: str = Field(min_length=1, max_length=200)
    values: list[CalorificValue]
    reason: str = Field(default="", max_length=2000)


class GasArea(Model):
    """The gas of a supply area, as its operator publishes it."""

    key: str
    name: str
    values: list[CalorificValue]
    revision: int = Field(description="1, and one more with every change")
    changed_at: Time


class GasState(_Exactly):
    """From a local day on, until the next, a point has gas of an area in a state."""

    valid_from: date
    z: Exact = Field(description="State number: the standard volume of 1 m³ in the meter")
    area: str = Field(max_length=48, description="The key of the gas area")


class NewGasPoint(_Exactly):
    """How the volume of a metering point becomes energy."""

    states: list[GasState]
    reason: str = Field(default="", max_length=2000)


class GasPoint(Model):
    """How the volume of a metering point becomes energy."""

    states: list[GasState]
    revision: int = Field(description="One more with every change; 0: nothing was ever put")
    changed_at: Time | None


class GasUse(Model):
    """What was used by one pair of factors; null, all four of them: none is in force."""

    start: date
    end: date = Field(description="The first day that does not count")
    volume: Exact
    z: Exact | None
    hs: Exact | None
    area: str | None
    preliminary: bool
    energy: Exact | None = Field(description="kWh: volume * z * hs")


class Energy(Model):
    """Volume and energy of one local period."""

    start: Time
    end: Time
    volume: Exact | None = Field(description="m³; null: readings do not tell")
    energy: Exact | None = Field(
        description="kWh; null: no volume, or a part of it without z and Hs, as uses tell"
    )
    estimated: bool = Field(description="The volume is, or an Hs is preliminary")
    corrected: bool = Field(description="The volume is")
    measured_percent: Exact = Field(
        description="How much of the time lies between readings that are near each other"
    )
    uses: list[GasUse] = Field(description="By the factors; they add up to volume and energy")


class StateNumber(Model):
    """The state number of dry gas at a meter, by DVGW G 685."""

    z: Exact
    altitude_m: Exact
    pressure_mbar: Exact
    temperature_c: Exact
    compressibility: Exact = Decimal(1)
