"""What the routes about metering points take and answer."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field
from pydantic import WithJsonSchema as JsonSchema

from cloud.api.models import Consumption, Exact, KindName, MediumName, Model, Time
from common.registers import Kind, Medium

_MEDIA = {medium.label: medium for medium in Medium}


def _to_medium(value: object) -> object:
    return _MEDIA.get(value, value) if isinstance(value, str) else value


MediumWanted = Annotated[
    Medium,
    BeforeValidator(_to_medium),
    JsonSchema({"type": "string", "enum": list(_MEDIA)}),
]
Setting = (
    Annotated[int, Field(strict=True, ge=0, le=10**15)]
    | Annotated[str, Field(pattern=r"^\d{1,15}(\.\d{1,9})?$")]
)
Settings = dict[str, dict[str, Setting] | None]
IndexWanted = Annotated[
    Decimal,
    Field(max_digits=18, ge=0),
    JsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?$", "examples": ["1234.567"]}),
]


class Installation(Model):
    """A meter under a metering point; indexes stand on its face, in the base unit."""

    id: int
    register_id: int
    device_id: int
    device: str
    serial: str
    multiplier: Exact = Field(description="What the meter counts times this was consumed")
    start: Time
    start_index: Exact
    end: Time | None = Field(description="null: it is installed")
    final_index: Exact | None
    rollover: Exact | None = Field(description="In its place the face shows 0; null: not known")


class Term(Model):
    """A metering point that a virtual one is made of."""

    point_id: int
    point: str = Field(description="Its key")
    factor: Exact


class NewTerm(Model):
    """A metering point that a virtual one is to be made of."""

    model_config = ConfigDict(extra="forbid")

    point: str = Field(max_length=48, description="Its key")
    factor: Annotated[
        Decimal,
        Field(max_digits=18),
        JsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$", "examples": ["0.35"]}),
    ] = Field(default=Decimal(1), description="1 adds it, -1 takes it away, 0.35 is a share")


class MeteringPoint(Model):
    """What is billed: a place of consumption, under which meters come and go, or virtual."""

    id: int
    key: str
    name: str
    site: str
    timezone: str
    medium: MediumName
    kind: KindName
    unit: str
    parent_id: int | None
    installations: list[Installation]
    terms: list[Term] = Field(description="What it is made of: a virtual one, without meters")


class Uncounted(Model):
    """Readings of a meter while it was installed nowhere: they count for no metering point."""

    installation_id: int
    device: str
    when: str = Field(description="before it was installed, after it was removed")
    readings: int = Field(description="At most 1,000 are counted")
    first: Time
    last: Time
    first_index: Exact
    last_index: Exact
    text: str = Field(description="For a person, with what to do when the index grew")


class NewMeteringPoint(Model):
    """A metering point that is wanted."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=48)
    name: str = Field(min_length=1, max_length=200)
    site: str = Field(max_length=48, description="The site's key")
    medium: MediumWanted
    kind: Kind = Field(description="What its meters count")
    parent: str | None = Field(
        default=None, max_length=48, description="The key of the point that this one is a part of"
    )
    terms: list[NewTerm] = Field(
        default=[], max_length=200, description="For a virtual one: what it is made of"
    )


class NewTerms(Model):
    """What a virtual metering point is to be made of, in the place of what it was made of."""

    model_config = ConfigDict(extra="forbid")

    terms: list[NewTerm] = Field(max_length=200, description="None: it is virtual no more")
    reason: str = Field(default="", max_length=2000)


class Billing(Model):
    """A metering point's billing periods: by a day of the month, or between dates."""

    day: int | None = Field(ge=1, le=28, description="On which a period begins")
    months: int = Field(description="How long it is: 1, 2, 3, 6 or 12")
    first_month: int = Field(ge=1, le=12, description="In which one begins")
    dates: list[date] = Field(description="Each the first day of a period; the last ends it")


class NewBilling(Model):
    """How a metering point is billed, in the place of what was set; by neither: not of its own."""

    model_config = ConfigDict(extra="forbid")

    day: int | None = Field(default=None, ge=1, le=28, description="On which a period begins")
    months: Literal[1, 2, 3, 6, 12] = Field(default=1, description="How long it is")
    first_month: int = Field(default=1, ge=1, le=12, description="In which one begins")
    dates: list[date] = Field(
        default=[], max_length=1501, description="In order: a period is from one to the next"
    )
    reason: str = Field(default="", max_length=2000)


class PointConsumption(Consumption):
    """What was consumed at a metering point in one period by the calendar of its site."""

    missing: list[str] = Field(
        description="Of a virtual point: the keys of those whose readings do not tell"
    )


class Removing(Model):
    """The meter that counts no more."""

    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime
    final_index: IndexWanted | None = Field(
        default=None, description="null: as the readings around that time say"
    )
    reason: str = Field(default="", max_length=2000)


class Installing(Model):
    """The meter that begins to count."""

    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime
    register_id: int = Field(ge=1, le=2**31 - 1)
    start_index: IndexWanted | None = Field(
        default=None, description="null: as the readings around that time say"
    )
    serial: str = Field(default="", max_length=64)
    multiplier: Annotated[
        Decimal, Field(gt=0, max_digits=18), JsonSchema({"type": "string", "examples": ["1"]})
    ] = Decimal(1)
    rollover: IndexWanted | None = Field(
        default=None, description="In the place of this index the face shows 0 again"
    )
    reason: str = Field(default="", max_length=2000)


class Exchange(Installing):
    """One meter counts no more, another begins to."""

    final_index: IndexWanted | None = Field(
        default=None, description="Of the old meter; null: as the readings around that time say"
    )


class Resetting(Model):
    """The meter that counts on from another index."""

    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime = Field(description="A reading of that very time is of the new count")
    final_index: IndexWanted | None = Field(
        default=None, description="Just before; null: as the last reading, if it is near"
    )
    start_index: IndexWanted | None = Field(
        default=None, description="Just after; null: as the next reading, if it is near"
    )
    reason: str = Field(default="", max_length=2000)


class SiteConsumption(Model):
    """A metering point of a site, and what it consumed in each period."""

    point_id: int
    key: str
    name: str
    periods: list[PointConsumption]


class Change(Model):
    """Something that somebody did to a metering point."""

    at: Time
    by: str
    action: str
    reason: str
    detail: dict[str, str]


class Finding(Model):
    """Something that a person should know of a metering point's consumption."""

    code: str
    severity: str = Field(description="info, warning or alarm")
    since: Time
    until: Time | None = Field(description="null: it lasts")
    text: str
    evidence: dict[str, str | int] = Field(
        description="What was seen, what was expected, and from how much history"
    )
    told_at: Time = Field(description="When it was told as an event")
    closed_at: Time | None = Field(description="When it was found to be over")


class Analyses(Model):
    """How a metering point is analysed, by analysis; null is off."""

    own: Settings = Field(description="What was set, where it is not the default")
    effective: Settings = Field(description="What is done")


class NewAnalyses(Model):
    """How a metering point is to be analysed, in the place of what was set before."""

    model_config = ConfigDict(extra="forbid")

    analyses: Settings = Field(
        description="Settings by analysis, where they are not the default; null: off"
    )
    reason: str = Field(default="", max_length=2000)
