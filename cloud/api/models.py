"""What the routes answer: the services' views, described for programs.

Values are exact decimals as JSON strings, in the register's base unit; times are ISO 8601, UTC.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic import WithJsonSchema as JsonSchema

from common.reading import Quality
from common.registers import Kind, Medium


def _medium(value: object) -> object:
    return value.label if isinstance(value, Medium) else value


def _quality(value: object) -> object:
    return value.name.lower() if isinstance(value, Quality) else value


def _name_of(value: object) -> object:
    return str(value) if isinstance(value, Kind) else value


Exact = Annotated[
    Decimal,
    PlainSerializer(lambda value: format(value, "f"), return_type=str),
    JsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$", "examples": ["1234.567"]}),
]
Time = Annotated[datetime, AfterValidator(lambda at: at.astimezone(UTC))]
MediumName = Annotated[
    str,
    BeforeValidator(_medium),
    JsonSchema({"type": "string", "enum": [medium.label for medium in Medium]}),
]
KindName = Annotated[
    str,
    BeforeValidator(_name_of),
    JsonSchema({"type": "string", "enum": [kind.value for kind in Kind]}),
]
QualityName = Annotated[
    str,
    BeforeValidator(_quality),
    JsonSchema({"type": "string", "enum": [quality.name.lower() for quality in Quality]}),
]


class Model(BaseModel):
    """Made from a view of the services."""

    model_config = ConfigDict(from_attributes=True)


class Site(Model):
    """A place with meters."""

    id: int
    key: str
    name: str
    timezone: str = Field(description="IANA name, by which its days and hours go")
    gateways: int
    gateways_online: int
    meters: int


class DeviceHealth(Model):
    """A device, as its gateway reports it."""

    key: str
    name: str
    driver: str
    state: str = Field(description="unknown, ok or failing")
    last_ok_at: Time | None
    failures: int = Field(description="Failed polls since the last good one")
    error: str


class Gateway(Model):
    """A gateway: its connection, and how complete its journal is here."""

    id: int
    key: str
    name: str
    site: str = Field(description="The site's key")
    site_name: str
    agent: str = Field(description="Name and version of its software")
    online: bool
    seen_at: Time | None = Field(description="When anything came from it last")
    status_at: Time | None
    queued: int = Field(description="Entries that wait on the gateway")
    oldest_at: Time | None = Field(description="When the oldest of these was written")
    journal_bytes: int
    committed: int = Field(description="Entries that came")
    missing: int = Field(description="Entries that are known to exist and did not come yet")
    lost: int = Field(description="Entries that will never come, and are explained")
    rejected: int = Field(description="Entries that can never be stored")
    devices: list[DeviceHealth]


class Register(Model):
    """One value that a device exposes."""

    id: int
    key: str
    name: str
    medium: MediumName
    kind: KindName
    unit: str = Field(description="Base unit of all values: m³, Wh, W, m³/h, °C …")
    decimals: int
    obis: str | None = Field(description="OBIS code (IEC 62056-61), where it is known")
    interval_s: int = Field(description="Seconds between readings; 0: none promised")
    counting: bool = Field(description="Whether it is an index, which only grows")
    states: tuple[str, str] | None = Field(description="What 0 and 1 mean")
    writable: bool = Field(description="Whether it takes commands")


class Reading(Model):
    """A register's value at one instant."""

    at: Time = Field(description="When it was measured")
    value: Exact | None = Field(description="In the base unit; null: the device gave none")
    quality: QualityName
    raw: int | None = Field(description="The device's own count")


class Latest(Model):
    """A register with its newest reading."""

    register_: Register = Field(validation_alias="register", serialization_alias="register")
    reading: Reading | None
    stale: bool = Field(description="Whether a newer one should have come")


class Meter(Model):
    """A device that counts."""

    id: int
    key: str
    name: str
    driver: str
    model: str
    gateway: str = Field(description="The gateway's key")
    site: str = Field(description="The site's key")
    site_name: str
    timezone: str
    medium: MediumName
    online: bool = Field(description="Gateway online and device not failing")
    index: Latest | None = Field(description="Its index")
    rate: Latest | None = Field(description="Its power or flow")
    registers: list[Latest]


class RateSlice(Model):
    """What an index gained in a span of time, and how fast."""

    start: Time
    end: Time
    amount: Exact | None = Field(description="Gained, exactly; null: fell, or a gap")
    rate: Exact | None = Field(description="The amount by the time")
    greatest: Exact | None = Field(description="Of its hours or days; null: it has no parts")


class Rate(Model):
    """How fast an index grew."""

    register_id: int
    unit: str = Field(description="Of the rates: m³/h, W, or 1/h for pulses")
    slices: list[RateSlice]


class Consumption(Model):
    """What was consumed in one period by the clock and the calendar of the site."""

    start: Time
    end: Time
    value: Exact | None = Field(description="In the base unit; null: readings do not tell")
    estimated: bool = Field(
        description="Interpolated over a gap, only partly covered by readings, not over yet,"
        " or the index went back"
    )
    corrected: bool = Field(description="A person has taken out readings of it, or put in values")
    quality: str = Field(description="measured, estimated, corrected or missing")
    measured_percent: Exact = Field(
        description="How much of the time lies between readings that are near each other"
    )


class Event(Model):
    """Something that happened on a gateway or device."""

    stream_id: int
    seq: int = Field(description="With stream_id, its identity")
    gateway: str
    device: str
    at: Time = Field(description="When it happened, by the device's clock or the gateway's")
    appended_at: Time | None = Field(
        description="When the gateway wrote it down; null for events of the cloud's own"
    )
    received_at: Time = Field(description="When the cloud stored it")
    code: str
    severity: str = Field(description="info, warning or alarm")
    text: str
    acknowledged_at: Time | None
    acknowledged_by: str | None


class Step(Model):
    """A command came to a state."""

    state: str
    at: Time
    detail: str


class Command(Model):
    """One order to an output, and its life."""

    id: str
    register_id: int
    gateway: str
    device: str
    register_: str = Field(validation_alias="register", serialization_alias="register")
    value: int = Field(description="0 or 1")
    wanted: str = Field(description="The value's name: closed, open …")
    state: str = Field(
        description="pending, sent, accepted, succeeded, failed, rejected, expired, cancelled,"
        " unconfirmed"
    )
    final: bool = Field(description="Whether nothing more will happen to it")
    issued_by: str
    reason: str
    issued_at: Time
    expires_at: Time = Field(description="It is not carried out after this")
    done_at: Time | None
    readback: int | None = Field(description="The output's state read back")
    detail: str
    steps: list[Step]


class ConfigVersion(Model):
    """A configuration that was wanted of a gateway."""

    version: int
    set_by: str
    reason: str
    set_at: Time
    state: str = Field(
        description="What was last heard of it: pending, sent, trial, applied, refused, replaced"
    )
    detail: str = Field(description="Why the gateway refused it or took it back")
    state_at: Time
    sent_at: Time | None = Field(description="When it was last published")


class ConfigVersionText(ConfigVersion):
    """A configuration that was wanted of a gateway, with its text."""

    toml: str


class Configuration(Model):
    """What is desired of a gateway, and what it reports."""

    gateway_id: int
    gateway: str
    desired: ConfigVersionText | None = Field(description="The newest version; null: none yet")
    running: int | None = Field(
        description="The version that runs, 0 for the gateway's own file; null: not known"
    )
    trial: bool = Field(description="What runs has yet to prove itself")
    refused: int | None = Field(description="The newest version that the gateway does not run")
    refused_reason: str


class NewConfiguration(BaseModel):
    """What a gateway is to run by: the text of its own file, with all that stays as it is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    toml: str = Field(max_length=500_000, description="At most 500,000 bytes of UTF-8")
    reason: str = Field(default="", max_length=500, description="Why, for people")


class NewCommand(BaseModel):
    """An order: an absolute state, never a toggle."""

    model_config = ConfigDict(extra="forbid", strict=True)

    register_id: int = Field(ge=1, le=2**31 - 1)
    value: int = Field(ge=0, le=1)
    reason: str = Field(default="", max_length=500, description="Why, for people")
    ttl_s: int = Field(
        default=60, ge=1, le=3600, description="Seconds for which it may still be carried out"
    )


class Output(Model):
    """An output: its state as read back, and the newest command to it."""

    register_: Register = Field(validation_alias="register", serialization_alias="register")
    device: str
    device_name: str
    gateway: str
    site_name: str
    timezone: str = Field(description="The site's, such as Europe/Bucharest")
    online: bool
    reading: Reading | None
    stale: bool
    last_command: Command | None


class Rule(Model):
    """A threshold that switches an output."""

    id: int
    name: str
    enabled: bool
    source: str = Field(description="The register that is watched: gateway/device/register")
    above: Exact = Field(description="Above it the output is set to 1; in the source's base unit")
    below: Exact = Field(description="Below it the output is set to 0")
    unit: str
    output: str
    output_register_id: int | None
    hold_s: int = Field(description="For how long the threshold must be passed")
    max_age_s: int = Field(description="Older readings switch nothing")
    set_to: int | None = Field(description="What it set last")
    changed_at: Time
