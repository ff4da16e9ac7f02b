"""What the routes about tariffs take and answer."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic import WithJsonSchema as JsonSchema

from cloud.api.models import Exact, Model, Time
from cloud.domain.tariffs import MONTHS, UNITS, WEEKDAYS, Weekday

Unit = Annotated[str, JsonSchema({"type": "string", "enum": list(UNITS)})]
Clock = Annotated[str, Field(description="Local, as 06:30")]


class _Exactly(Model):
    model_config = ConfigDict(extra="forbid")


class _Charge(_Exactly):
    name: str
    tax_percent: Exact | None = Field(default=None, description="null: that of the version")


class Standing(_Charge):
    """An amount for each day, month or year; of a month or year, by the days that are touched."""

    kind: Literal["standing"]
    amount: Exact
    per: Literal["day", "month", "year"]


class Fixed(_Charge):
    """An amount for each calendar month, whole even where only a part of it is touched."""

    kind: Literal["fixed"]
    amount: Exact


class PerUnit(_Charge):
    """One price for each unit."""

    kind: Literal["per_unit"]
    price: Exact


class Block(_Exactly):
    """What lies above the block before."""

    price: Exact
    up_to: Exact | None = Field(default=None, description="null, of the last: all that is left")


class Blocks(_Charge):
    """Exacts by the quantity of a calendar month or of a day, the lowest block first."""

    kind: Literal["blocks"]
    blocks: list[Block]
    per: Literal["month", "day"] = "month"


class Band(_Exactly):
    """A price from `start` to before `end`; over midnight if `end` is earlier."""

    name: str
    price: Exact
    start: Clock = "00:00"
    end: Clock = "24:00"
    weekdays: list[Weekday] = Field(default=list(WEEKDAYS))
    months: list[int] = Field(default=list(MONTHS))


class TimeOfUse(_Charge):
    """Exacts by the time on the site's wall."""

    kind: Literal["time_of_use"]
    bands: list[Band]
    price: Exact | None = Field(default=None, description="For all that is in no band")


Charge = Annotated[Standing | Fixed | PerUnit | Blocks | TimeOfUse, Field(discriminator="kind")]


class Version(_Exactly):
    """Charges in force on local days."""

    valid_from: date
    valid_until: date | None = Field(
        default=None, description="The first day on which it is no more in force; null: no end"
    )
    charges: list[Charge]
    tax_percent: Exact = Decimal(0)


class _Definition(_Exactly):
    name: str
    currency: str = Field(description="As in ISO 4217")
    unit: Unit = Field(description="What prices are for")
    decimals: int = Field(default=2, description="To which amounts are rounded")
    versions: list[Version] = Field(description="They do not overlap; between them may be gaps")


class NewTariff(_Definition):
    """A tariff that is wanted."""

    reason: str = Field(default="", max_length=2000)


class Tariff(_Definition):
    """What a unit costs and since when."""

    key: str
    revision: int = Field(description="1, and one more with every change")
    changed_at: Time


class NewAssignment(_Exactly):
    """The tariff of a metering point from a day on."""

    start: date = Field(description="The first local day; until the next assignment")
    tariff: str | None = Field(max_length=48, description="Its key; null: none from then on")
    reason: str = Field(default="", max_length=2000)


class Assignment(Model):
    """By which tariff a metering point is priced from a local day on, until the next."""

    start: date
    tariff: str | None = Field(description="Its key; null: none")
    name: str | None
