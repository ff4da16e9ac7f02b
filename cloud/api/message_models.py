"""What the routes about the logs of messages and of telegrams answer."""

from pydantic import Field

from cloud.api.models import Exact, Model, Time


class Message(Model):
    """A message of a gateway, as it was taken."""

    id: str = Field(description="When it was received, in ms, and a number")
    received_at: Time
    kind: str = Field(description="The end of its topic: journal, hello")
    stream: str
    first: int | None = Field(description="Of a batch: its first entry")
    last: int | None = Field(description="and its last")
    outcome: str = Field(
        description="Of a batch: stored, duplicate (all of it had come before), rejected and how"
        " many of its entries, not taken (something was asked for that comes first). Of a hello:"
        " taken, refused"
    )
    size: int = Field(description="Bytes, as they came")


class SaidReading(Model):
    """One value of an entry."""

    no: int = Field(description="By which number the stream names the register")
    device: str = Field(description="Empty: nothing says what the number names")
    register_: str = Field(validation_alias="register", serialization_alias="register")
    value: Exact | None = Field(description="In the base unit")
    quality: str
    raw: int | None = Field(description="The device's own count")


class MessageEntry(Model):
    """An entry of a batch: readings, or what else it says."""

    seq: int
    at: Time | None = Field(description="When its readings were measured")
    readings: list[SaidReading]
    body: str | None = Field(description="What is no readings, as JSON text")
    problem: str = Field(description="Why it cannot be read; empty: it can")


class OpenedMessage(Model):
    """A message, taken apart by the parser of today."""

    message: Message
    count: int = Field(description="How many entries it has")
    entries: list[MessageEntry] = Field(description="The first 1,000 of them")
    body: str | None = Field(description="What a hello says, as JSON text")
    problem: str = Field(description="Why the message cannot be read; empty: it can")


class Telegram(Model):
    """A frame that a device answered with, as it came."""

    at: Time = Field(description="As of the readings that were made of it")
    protocol: str = Field(description="mbus")
    frame: str = Field(description="Hex digits; what is encrypted stays so")
    received_at: Time
