"""Standstill: nothing is consumed for longer than is usual here.

A pause is not measured by its hours, but by how many of them usually have consumption: an office's
weekend counts nothing, two working days count much. That is how pauses of the same point compare.

A measured hour without consumption is evidence. An estimated one is none, but with consumption it
ends the pause: somewhere in the gap the index moved.
"""

from collections import Counter
from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct

from cloud.domain.analyses.evidence import Run, runs
from cloud.domain.analyses.findings import RECENT, Finding, Severity
from cloud.domain.analyses.history import History, Hour, plain
from cloud.domain.analyses.limits import not_negative

CODE = "standstill"
BRIDGE_HOURS = 24
"""So many hours in a row of a pause may be unmeasured."""


class Standstill(Struct, frozen=True, forbid_unknown_fields=True):
    """Told after ``hours`` measured hours with at most ``threshold`` each, if the pause has missed
    more than ``percent`` of what any pause before it did.

    With less than ``least_days`` of measured hours before the pause nothing is told.
    """

    hours: Annotated[int, Meta(ge=2, le=2160)]
    threshold: Decimal = Decimal(0)
    percent: Annotated[int, Meta(ge=100, le=1000)] = 150
    least_days: Annotated[int, Meta(ge=7, le=70)] = 14

    def __post_init__(self) -> None:
        not_negative("threshold", self.threshold)


def find(history: History, settings: Standstill) -> list[Finding]:
    """The pauses that are too long."""
    still = [_still(hour, settings) for hour in history.over]
    found = []
    for run in runs(still, settings.hours, BRIDGE_HOURS):
        if run.over and history.over[run.last].end < history.now - RECENT:
            continue
        finding = _judge(history, settings, still, run)
        if finding is not None:
            found.append(finding)
    return found


def _still(hour: Hour, settings: Standstill) -> bool | None:
    if hour.quantity is None:
        return None
    if hour.quantity > settings.threshold:
        return False
    return None if hour.estimated else True


def _judge(
    history: History, settings: Standstill, still: list[bool | None], run: Run
) -> Finding | None:
    slots = [(wall.weekday(), wall.hour) for wall in history.walls]
    known = [place for place in range(run.first) if history.over[place].measured is not None]
    if len(known) < settings.least_days * 24:
        return None
    seen = Counter(slots[place] for place in known)
    busy = Counter(slots[place] for place in known if not still[place])

    def missed(pause: Run) -> Decimal:
        """How many of the pause's hours usually have consumption."""
        places = (place for place in range(pause.first, pause.last + 1) if still[place])
        counted = Counter(slots[place] for place in places if slots[place] in seen)
        shares = (Decimal(busy[slot]) / seen[slot] * times for slot, times in counted.items())
        return sum(shares, Decimal())

    before = runs([*still[: run.first], False], 1, BRIDGE_HOURS)
    most = max(map(missed, before), default=Decimal())
    now_missed = missed(run)
    if now_missed < 1 or now_missed * 100 <= most * settings.percent:
        return None
    first, last = history.over[run.first], history.over[run.last]
    consumed = "was consumed" if run.over else "has been consumed"
    text = (
        f"No {history.subject.lower()} {consumed} for {run.count} measured hours since "
        f"{history.wall(first.start)}; {plain(now_missed, 0)} of them usually have some, and no "
        f"pause before missed more than {plain(most, 0)}: see whether the meter or its transmitter "
        "is stuck, the supply is shut or nobody is there."
    )
    evidence: dict[str, str | int] = {
        "measured_hours": run.count,
        "missed_hours": plain(now_missed, 1),
        "most_missed_before": plain(most, 1),
        "longest_before_hours": max((pause.count for pause in before), default=0),
        "history_hours": len(known),
        "unit": history.unit,
    }
    until = last.end if run.over else None
    return Finding(CODE, Severity.WARNING, first.start, until, text, evidence)
