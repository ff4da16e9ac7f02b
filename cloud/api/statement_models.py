"""What the routes about cost and statements take and answer."""

from datetime import date

from pydantic import ConfigDict, Field

from cloud.api.gas_models import GasUse
from cloud.api.models import Exact, KindName, MediumName, Model, Time

_Then = Field(description="null: it was not there")
_Now = Field(description="null: it is not there any more")


class CostLine(Model):
    """What one charge, or a band or block of it, costs on days."""

    charge: str
    part: str = Field(description="The band or block; empty: all of it")
    start: date
    end: date = Field(description="The first day that does not count")
    quantity: Exact
    unit: str
    price: Exact
    per: str = Field(description="What the price is for one of")
    net: Exact = Field(description="Rounded half up to the decimals of the currency")
    tax_percent: Exact
    estimated: Exact = Field(description="Share of the quantity, 0 to 1, rounded up")


class CostTax(Model):
    """The tax at one rate, on the sum of the lines that have it; rounded once."""

    percent: Exact
    net: Exact
    tax: Exact


class NotPriced(Model):
    """What was used on days that have no price."""

    start: date
    end: date
    length_s: int
    quantity: Exact


class Cost(Model):
    """Lines and their exact sums; quantities are in `unit`."""

    currency: str
    unit: str
    lines: list[CostLine]
    taxes: list[CostTax]
    net: Exact
    tax: Exact
    gross: Exact
    quantity: Exact
    estimated: Exact = Field(description="How much of the quantity is")
    missing_s: int = Field(description="Seconds of which nothing is known, and nothing priced")
    not_priced: list[NotPriced] = Field(description="On days that no version covers")


class PricedSpan(Model):
    """What days cost by one tariff."""

    tariff: str
    name: str
    revision: int = Field(description="Of the tariff, when this was computed")
    start: date
    end: date
    cost: Cost


class Total(Model):
    """The exact sums of what is in one currency."""

    currency: str
    net: Exact
    tax: Exact
    gross: Exact


class Priced(Model):
    """What usage costs, each tariff for its own days."""

    spans: list[PricedSpan]
    totals: list[Total]
    without_tariff: list[NotPriced] = Field(description="In the metering point's base unit")


class PointCost(Model):
    """What a metering point costs on local days, as known now."""

    start: date
    end: date
    priced: Priced


class MeterUse(Model):
    """A meter of the month; what stood on its face when its part of the month began and ended."""

    device: str
    serial: str
    register_id: int
    multiplier: Exact
    start: Time
    start_index: Exact | None
    start_estimated: bool = Field(description="No reading is near")
    end: Time
    end_index: Exact | None
    end_estimated: bool


class DayUse(Model):
    """What was used on a local day: the sum of its hours."""

    day: date
    quantity: Exact | None = Field(description="null: nothing is known")
    estimated: Exact
    corrected: Exact
    missing_s: int


class StatementContent(Model):
    """What was frozen."""

    point: str
    name: str
    site: str
    timezone: str
    medium: MediumName
    kind: KindName
    unit: str
    month: str
    start: Time
    end: Time
    meters: list[MeterUse]
    days: list[DayUse]
    quantity: Exact = Field(description="The sum of the days, in `unit`")
    estimated: Exact = Field(description="How much of the quantity is")
    corrected: Exact = Field(description="How much of it lies where somebody corrected readings")
    missing_s: int = Field(description="Seconds of which nothing is known")
    measured_percent: Exact = Field(description="Time between readings that are near each other")
    priced: Priced
    gas: list[GasUse] = Field(description="How gas became the energy that was priced")


class Difference(Model):
    """A figure that is another one now."""

    figure: str = Field(description="quantity, net RON, price …")
    then: Exact | None = _Then
    now: Exact | None = _Now
    difference: Exact


class LineDifference(Model):
    """A line of the cost that is another one now, is new, or is gone."""

    tariff: str
    charge: str
    part: str
    start: date
    figures: list[Difference]


class DayDifference(Model):
    """A day whose figures are others now."""

    day: date
    figures: list[Difference]


class Differences(Model):
    """What would be another figure if the month were issued now."""

    changed: bool = Field(description="Whether there is any")
    totals: list[Difference]
    lines: list[LineDifference]
    days: list[DayDifference]
    meters: list[MeterUse] = Field(description="As they would be now, if one is another; else none")
    gas: list[GasUse] = Field(description="As it would be now, if a part is another; else none")


class Issued(Model):
    """A statement, without what it says."""

    id: int
    point_id: int
    month: str
    issued_at: Time
    issued_by: str
    hash: str = Field(description="SHA-256 of what was frozen, also among the point's changes")


class Statement(Model):
    """A statement as it was issued; beside it, what has changed since."""

    issued: Issued
    content: StatementContent
    since: Differences


class Issuing(Model):
    """The month to be issued."""

    model_config = ConfigDict(extra="forbid")

    month: str = Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", description="It has to be over")
    reason: str = Field(default="", max_length=2000)
