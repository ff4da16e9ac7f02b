"""What an analysis finds, and how what was told is known again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

RECENT = timedelta(days=7)
"""What was over before this is not told any more: it has been, or it is too late."""


class Severity(StrEnum):
    """As of events."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should know of a metering point's consumption.

    It began at ``since`` and was over at ``until``; None while it lasts, or is not known to be
    over. ``evidence`` has what was seen, what was expected and from how much history: numbers,
    and quantities as exact decimals in the history's unit.
    """

    code: str
    severity: Severity
    since: datetime
    until: datetime | None
    text: str
    evidence: Mapping[str, str | int]

    @property
    def key(self) -> str:
        """Its identity: what it is and when it began. The same state has the same key for good."""
        return f"{self.code}@{self.since:%Y-%m-%dT%H:%M:%S.%f}"

    def overlaps(self, other: "Finding") -> bool:
        """Whether both are about the same thing, and at least an instant of it."""
        return (
            self.code == other.code
            and (other.until is None or self.since < other.until)
            and (self.until is None or other.since < self.until)
        )


@dataclass(frozen=True, slots=True)
class Changes:
    """What findings mean beside those that are known.

    ``opened``: to be told; may be over already, but not for longer than ``RECENT``. ``lasting``:
    known, and still so, with what is seen now. ``closed``: known as lasting, and over.
    """

    opened: list[Finding]
    lasting: list[Finding]
    closed: list[Finding]


def follow(known: Iterable[Finding], found: Iterable[Finding], now: datetime) -> Changes:
    """What is new, what goes on and what is over, each told once.

    ``known`` are those told so far that last or were over less than twice ``RECENT`` ago. What is
    found is the same as a known one when they overlap, and keeps the key of that: its own
    beginning may have moved, when late readings came or the history no longer reaches back to it.
    A known one that lasted and is not found any more is closed as of ``now``.
    """
    changes = Changes([], [], [])
    left = sorted(known, key=lambda one: one.since)
    kept = set()
    for one in sorted(found, key=lambda one: one.since):
        same = next((old for old in left if old.overlaps(one) and old.key not in kept), None)
        if same is None:
            if one.until is None or one.until >= now - RECENT:
                changes.opened.append(one)
            continue
        kept.add(same.key)
        again = replace(one, since=same.since)
        if again.until is None:
            changes.lasting.append(again)
        elif same.until is None:
            changes.closed.append(again)
    changes.closed.extend(
        replace(old, until=now) for old in left if old.until is None and old.key not in kept
    )
    return changes
