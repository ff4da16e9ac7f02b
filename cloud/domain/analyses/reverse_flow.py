"""Reverse flow: an index that falls by more than jitter.

It lasts until the index rises again by more than jitter. A fall that is larger than anything can
flow back between two readings is a reset, an exchange or a misreading. That is told as such, once
the next reading is there, and the index begins anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from cloud.domain.analyses.findings import Finding, Severity
from cloud.domain.analyses.history import History, plain
from cloud.domain.analyses.limits import not_negative, positive
from cloud.domain.consumption import Index
from common.reading import from_scaled

CODE = "reverse_flow"
ANEW = "index_fell"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ReverseFlow(Struct, frozen=True, forbid_unknown_fields=True):
    """Told when the index is more than ``jitter`` below where it was. ``largest``: what can flow
    back between two readings at most."""

    jitter: Decimal
    largest: Decimal

    def __post_init__(self) -> None:
        not_negative("jitter", self.jitter)
        positive("largest", self.largest)
        if self.jitter >= self.largest:
            raise ValueError("jitter: expected less than largest")


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of one meter's index in the history's unit, scaled by ``decimals``; in order."""

    indices: Sequence[Index]
    decimals: int


@dataclass(frozen=True, slots=True)
class _Fall:
    """From the last reading at the top to the first at the lowest."""

    top: Index
    low: Index
    over: bool = True
    anew: bool = False

    @property
    def amount(self) -> int:
        return self.top.value - self.low.value


def find(readings: Readings, history: History, settings: ReverseFlow) -> list[Finding]:
    """The falls of the index. Readings that are not sure are left out."""
    scale = Decimal(10) ** readings.decimals
    jitter, largest = settings.jitter * scale, settings.largest * scale
    found = []
    for fall in _falls([index for index in readings.indices if index.sure], jitter, largest):
        if fall.anew:
            found.append(_anew(fall, readings.decimals, history))
            continue
        if fall.amount <= jitter:
            continue
        top, low = (from_scaled(one.value, readings.decimals) for one in (fall.top, fall.low))
        since = EPOCH + timedelta(milliseconds=fall.top.at)
        fell = "fell" if fall.over else "has fallen"
        text = (
            f"{history.subject}: the index {fell} by {history.amount(top - low)} since "
            f"{history.wall(since)}: look for a missing or broken check valve, or a meter that is "
            "fitted or wired the wrong way round. If it was reset or exchanged, record a reset or "
            "an exchange."
        )
        evidence: dict[str, str | int] = {
            "amount": plain(top - low, readings.decimals),
            "index_before": plain(top, readings.decimals),
            "lowest_index": plain(low, readings.decimals),
            "jitter": plain(settings.jitter),
            "unit": history.unit,
        }
        until = EPOCH + timedelta(milliseconds=fall.low.at) if fall.over else None
        found.append(Finding(CODE, Severity.WARNING, since, until, text, evidence))
    return found


def _anew(fall: _Fall, decimals: int, history: History) -> Finding:
    before, after = (from_scaled(one.value, decimals) for one in (fall.top, fall.low))
    since, until = (EPOCH + timedelta(milliseconds=one.at) for one in (fall.top, fall.low))
    text = (
        f"{history.subject}: the index fell from {plain(before, decimals)} to "
        f"{plain(after, decimals)} {history.unit} after {history.wall(since)}. If the meter was "
        "reset or exchanged, record a reset or an exchange; if it was misread, correct the reading."
    )
    evidence: dict[str, str | int] = {
        "index_before": plain(before, decimals),
        "index_after": plain(after, decimals),
        "unit": history.unit,
    }
    return Finding(ANEW, Severity.WARNING, since, until, text, evidence)


def _falls(indices: Sequence[Index], jitter: Decimal, largest: Decimal) -> list[_Fall]:
    if not indices:
        return []
    falls = []
    top = low = last = indices[0]
    for index in indices:
        if last.value - index.value > largest:
            falls.append(_Fall(top, low))
            if index is not indices[-1]:
                falls.append(_Fall(last, index, anew=True))
            top = low = index
        elif index.value < low.value:
            low = index
        elif index.value >= top.value or index.value - low.value > jitter:
            falls.append(_Fall(top, low))
            top = low = index
        last = index
    return [*falls, _Fall(top, low, over=False)]
