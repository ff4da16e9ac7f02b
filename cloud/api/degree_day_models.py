"""What the routes about degree days take and answer."""

from decimal import Decimal

from pydantic import ConfigDict, Field

from cloud.api.models import Exact, Model, Time
from cloud.domain.degree_days import Status


class _Heating(Model):
    register_id: int = Field(ge=1, le=2**31 - 1, description="Of kind temperature, outside")
    base: Exact = Field(default=Decimal(20), description="°C; less the mean: a day's degree days")
    limit: Exact = Field(default=Decimal(15), description="°C; days whose mean is below it count")
    reference: list[Exact] = Field(
        default=[],
        description="Degree days of January to December in a usual year; empty: not known",
    )


class NewHeating(_Heating):
    """By what the consumption of a metering point is to be normalised."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="", max_length=2000)


class Heating(_Heating):
    """By what the consumption of a metering point is normalised."""

    revision: int = Field(description="1, and one more with every change")
    changed_at: Time


class DegreeDays(Model):
    """A period of local days: how cold it was, what was consumed, and that normalised."""

    start: Time
    end: Time
    degree_days: Exact | None = Field(description="null: a day has no mean temperature")
    heating_days: int = Field(description="Days whose mean was below the limit")
    temperature_percent: Exact = Field(description="How much of the time it is known")
    consumption: Exact | None = Field(description="In the metering point's base unit")
    estimated: bool = Field(description="The consumption is, or a mean temperature")
    corrected: bool = Field(description="The consumption is")
    measured_percent: Exact = Field(description="Of the consumption")
    reference: Exact | None = Field(description="Degree days of a usual year; null: not known")
    per_degree_day: Exact | None = Field(description="Consumption / degree days")
    normalised: Exact | None = Field(description="Consumption * reference / degree days")
    status: Status = Field(description="Whether there is a normalised consumption, or why not")
