"""What the routes about the books answer: ledger, rejections, quarantine, completeness."""

import base64
from typing import Annotated

from pydantic import BeforeValidator, Field

from cloud.api.models import Exact, Model, Time


def _encoded(value: object) -> object:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


Encoded = Annotated[str, BeforeValidator(_encoded)]


class Range(Model):
    """Entries ``first`` to ``last``, both included."""

    first: int
    last: int


class Missing(Range):
    """Entries that are known to exist, and did not come."""

    since: Time = Field(description="Since when that is known")
    held: bool = Field(description="Whether the gateway can still have them, as far as it said")


class Loss(Model):
    """Entries that will never come, and why."""

    first: int
    last: int | None = Field(description="null: all from `first` on")
    reason: str = Field(description="As the gateway gave it: drop_oldest, thin, journal_damaged …")
    start: Time = Field(description="They were measured between this time")
    end: Time = Field(description="and this one, as far as can be told")
    received_at: Time = Field(description="When the cloud learned of it")


class StreamBooks(Model):
    """The books of one stream."""

    stream: str
    current: bool = Field(description="Whether the gateway appends to it now")
    since: Time = Field(description="When it was met first")
    closed_at: Time | None = Field(description="When it was learned that it has ended, if it was")
    settled: list[Range] = Field(description="Committed, rejected or lost")
    missing: list[Missing]
    losses: list[Loss]
    committed: int = Field(description="Entries that came, the rejected ones among them")
    lost: int = Field(description="Entries in `losses`, but for those of an open end")
    rejected: int


class ClockSpan(Range):
    """Which clock of the gateway dated the entries that came of ``first`` to ``last``."""

    boot: int = Field(description="Which start of the agent")
    ahead_ms: int = Field(description="The wall clock without the monotonic clock, to 40 ms")
    quality: str = Field(description="What the wall clock was worth: unknown, free, cloud, synced")


class RejectedEntry(Model):
    """An entry that can never be stored."""

    stream: str
    seq: int
    reason: str
    body: str = Field(description="What it said: its first 4,096 bytes; empty if unreadable")
    size: int = Field(description="Its whole length in bytes")
    received_at: Time


class QuarantinedMessage(Model):
    """A message that could not be taken apart; the newest 2,000 are kept."""

    id: int
    topic: str
    reason: str
    size: int = Field(description="Its whole length in bytes")
    payload: Encoded = Field(description="Base64 of its first 65,536 bytes, as they came")
    text: str | None = Field(description="The same inflated and as text, where it is that")
    received_at: Time


class Completeness(Model):
    """The readings of one local day; or of a part, where it is not over."""

    start: Time
    end: Time
    expected: int = Field(description="By the interval, since it was added, until now")
    got: int = Field(description="With a value; further ones within one interval do not count")
    estimated: int = Field(description="Those of `got` that are not of good quality")
    missing: int = Field(description="`expected` without `got`")
    failing: int = Field(description="Those of `missing` for which the device gave no value")
    lost: int = Field(description="Those of `missing` that the ledger knows as lost")
    waiting: int = Field(description="Those of `missing` that the gateway may still have")


class RegisterCompleteness(Model):
    """How complete a register is, day by day."""

    register_id: int
    key: str
    name: str
    interval_s: int
    days: list[Completeness]


class DeviceCompleteness(Model):
    """How complete a device is; `days` are the sums over its registers."""

    key: str
    name: str
    days: list[Completeness]
    registers: list[RegisterCompleteness]


class GatewayDay(Model):
    """How complete a local day is at a gateway, from what is summed up."""

    gateway_id: int
    gateway: str
    site: str
    timezone: str
    start: Time
    end: Time
    registers: int = Field(description="Active ones that promise readings")
    whole: int = Field(description="Those that lack none")
    expected: int = Field(description="By their intervals, until now")
    got: int = Field(description="Readings with a value, of each register not more than expected")
    missing: int
    percent: Exact | None = Field(description="Cut off to a tenth; null: none was expected")
    behind: int = Field(description="Hours that have news which are still to be summed up")


class GatewayCompleteness(Model):
    """How complete a gateway is; `days` are the sums over its devices."""

    gateway: str
    timezone: str
    days: list[Completeness]
    devices: list[DeviceCompleteness]
