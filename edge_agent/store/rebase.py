"""Entries that were appended before the time was known, dated when it is.

What the journal keeps is never altered: entries are moved on their way to the cloud, always in the
same way, so that one that is sent again is the same.
"""

from dataclasses import dataclass

import msgspec

from common.errors import Undecodable
from common.messages.batch import ClockQuality, Entry
from common.messages.envelope import encode
from common.messages.uplink import Body, Readings, decode_body
from common.reading import Quality
from edge_agent.metering.scaling import known

CLOSE_MS = 2000
"""A clock that ran by itself and was no further off is left as it was."""

DRIFT = 1e-4
"""By so much of its uptime a clock that ran by itself may have gone wrong little by little: then
its first entries are right, and moving all by the same would not make them better."""

OWN_MS = 60_000
"""A time so near the stamp was given by the same clock."""


@dataclass(frozen=True, slots=True)
class Fix:
    """The time of a boot: the wall clock's is ``offset`` ms ahead of the monotonic one's.

    ``quality`` is who said so, ``mono`` when it was learnt, by the monotonic clock in ms.
    """

    offset: int
    quality: ClockQuality
    mono: int


def rebase(entry: Entry, fix: Fix | None) -> Entry:
    """``entry`` by the time of its boot, ``fix``; unchanged where there is none, or no need.

    An UNKNOWN stamp, and a FREE one that was off, is moved; so is what was dated by the same
    clock. What a device dated itself stays. Of readings that are moved, the good ones become
    TIME_UNCERTAIN. Keeps the order that one setting of the clock gave.
    """
    if fix is None:
        return entry
    shift = shift_ms(entry, fix)
    moved = msgspec.structs.replace(entry, at=max(0, entry.at + shift)) if shift else entry
    try:
        body = decode_body(entry.body)
    except Undecodable:
        return moved
    if not known(body.at):
        shift = fix.offset
    elif not shift or entry.clock != ClockQuality.FREE or abs(body.at - entry.at) > OWN_MS:
        return moved
    body = _mark(msgspec.structs.replace(body, at=max(0, body.at + shift)))
    return msgspec.structs.replace(moved, body=msgspec.Raw(encode(body)))


def shift_ms(entry: Entry, fix: Fix | None) -> int:
    """By how much the stamp is to be moved."""
    if fix is None or entry.clock >= ClockQuality.CLOUD:
        return 0
    shift = fix.offset - (entry.at - entry.mono)
    near = abs(shift) <= CLOSE_MS + fix.mono * DRIFT
    return 0 if entry.clock == ClockQuality.FREE and near else shift


def _mark(body: Body) -> Body:
    if not isinstance(body, Readings):
        return body
    values = [
        msgspec.structs.replace(value, quality=int(Quality.TIME_UNCERTAIN))
        if value.quality == Quality.GOOD
        else value
        for value in body.r
    ]
    return Readings(body.at, values)
