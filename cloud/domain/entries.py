"""What a journal's entries must be, beyond their shape, to be stored and shown."""

from msgspec import Struct, structs

from common.errors import Undecodable
from common.ids import check_key
from common.messages.envelope import VERSION, decode
from common.messages.uplink import (
    Body,
    CommandReport,
    Event,
    HexId,
    Millis,
    Readings,
    Seq,
    Status,
    Telegram,
)

EARLIEST_MS = 1_420_070_400_000
"""2015-01-01: no gateway is older, so that a time before is a clock that was never set."""

HOUR_MS = 3_600_000
AHEAD_MS = 24 * HOUR_MS
"""How far a gateway's clock may be ahead of ours."""

MAX_REJECTED_AT_ONCE = 1_000
"""Entries of a malformed batch that are rejected by their numbers alone."""

_INT64 = 2**63 - 1


class BatchHeader(Struct, frozen=True):
    """What can be told of a batch whose entries cannot be read."""

    stream: HexId
    first: Seq
    last: Seq
    v: int = VERSION


def plausible(at: Millis, now_ms: int) -> bool:
    """Whether something can have been measured at ``at``."""
    return EARLIEST_MS <= at <= now_ms + AHEAD_MS


def open_header(payload: bytes) -> BatchHeader | None:
    """The header of a batch that ``unpack`` refused, if its entries can be named by it."""
    try:
        header = decode(payload, BatchHeader)
    except Undecodable:
        return None
    return header if 0 <= header.last - header.first < MAX_REJECTED_AT_ONCE else None


def why_impossible(at: int, now_ms: int) -> str:
    """The reason why a reading is rejected that is not ``plausible``."""
    if at < EARLIEST_MS:
        return f"measured at {at} ms, which cannot be true"
    hours = (at - now_ms) // HOUR_MS
    return (
        f"measured at {at} ms, {hours} hours from now by the cloud's clock;"
        f" {AHEAD_MS // HOUR_MS} are taken: set the clock of the gateway, or that of the cloud"
    )


def check(body: Body, now_ms: int) -> None:
    """Raises Undecodable, with the reason, when an entry has the right shape but no sense.

    Catalogs are checked register by register: ``cloud.domain.catalogs``.
    """
    match body:
        case Readings() | Telegram():
            if isinstance(body, Telegram):
                check_key(body.device, "device")
            if not plausible(body.at, now_ms):
                raise Undecodable(why_impossible(body.at, now_ms))
        case Event():
            _printable(body.code, "event code")
            if body.device:
                check_key(body.device, "device")
        case CommandReport():
            _printable(body.state, "command state")
            if body.value is not None and not -(2**15) <= body.value < 2**15:
                raise Undecodable(f"value {body.value} of a command is out of range")


def _printable(text: str, what: str) -> None:
    if not (text.isascii() and text.isprintable()):
        raise Undecodable(f"{what} {text[:60]!r} is not plain text")


def check_session(boot: int, session: int) -> None:
    """Raises Undecodable for counters that no gateway can have reached."""
    if max(boot, session) > _INT64:
        raise Undecodable("boot or session is out of range")


def tame(status: Status, now_ms: int) -> Status:
    """The status, without times that cannot be true."""

    def true(at: int | None) -> int | None:
        return at if at is not None and plausible(at, now_ms) else None

    return structs.replace(
        status,
        at=true(status.at) or now_ms,
        oldest_at=true(status.oldest_at),
        devices=[structs.replace(d, last_ok_at=true(d.last_ok_at)) for d in status.devices],
    )
