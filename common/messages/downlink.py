"""What a gateway is told: acks, resume, commands, configuration. Normative: docs/protocol.md."""

from typing import Annotated

from msgspec import Meta, Struct

from common.messages.envelope import VERSION
from common.messages.uplink import HexId, Millis, Seq, Text, Version, Word

MAX_TOML_BYTES = 500_000
"""A configuration's text in UTF-8: as JSON at most twice as much, which a message can carry."""


class Rejection(Struct, frozen=True, array_like=True):
    """An entry that the cloud can never store, and why."""

    seq: Seq
    reason: Text


class Ack(Struct, frozen=True):
    """Exactly the entries first..last of the stream are dealt with, durably.

    All of them are in the database, but for those in ``rejected``.
    """

    stream: HexId
    first: Seq
    last: Seq
    rejected: list[Rejection] = []
    v: int = VERSION


class Resume(Struct, frozen=True):
    """The answer to hello: exactly these ranges of the stream are dealt with; send all else.

    ``at``: the cloud's time when it said so, 0 when it does not say. ``spread_ms``: begin with the
    backlog after a random part of it, since many gateways came at the same time. ``machine``: the
    computer whose hello this answers, empty for whoever has the stream. ``refused``: why that one
    may not send at all.
    """

    stream: HexId
    committed: list[tuple[int, int]]
    at: Millis = 0
    spread_ms: Annotated[int, Meta(ge=0, le=600_000)] = 0
    machine: Annotated[str, Meta(max_length=64)] = ""
    refused: Text = ""
    v: int = VERSION


class Command(Struct, frozen=True):
    """Set an output register to ``value`` (0 or 1), once, not after ``expires_at``."""

    id: HexId
    device: Word
    register: Word
    value: Annotated[int, Meta(ge=0, le=1)]
    issued_at: Millis
    expires_at: Millis
    v: int = VERSION


class Configuration(Struct, frozen=True):
    """Run by this configuration: the text of the gateway's own file, TOML. Versions grow."""

    version: Version
    toml: Annotated[str, Meta(max_length=MAX_TOML_BYTES)]
    v: int = VERSION
