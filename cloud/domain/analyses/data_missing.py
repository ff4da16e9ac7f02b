"""Data missing: hours that should have been measured and were not, though later ones may have been.

An hour that is only estimated counts: its readings are missing, whatever is known around them.
Hours that have not come yet are missing when they are over for longer than the grace.
"""

from datetime import timedelta
from typing import Annotated

from msgspec import Meta, Struct

from cloud.domain.analyses.evidence import runs
from cloud.domain.analyses.findings import Finding, Severity
from cloud.domain.analyses.history import History

CODE = "data_missing"


class DataMissing(Struct, frozen=True, forbid_unknown_fields=True):
    """Told when ``hours`` hours in a row were not measured; data may be ``grace_hours`` late."""

    hours: Annotated[int, Meta(ge=1, le=720)] = 3
    grace_hours: Annotated[int, Meta(ge=0, le=168)] = 1


def find(history: History, settings: DataMissing) -> list[Finding]:
    """The gaps."""
    due = history.now - timedelta(hours=settings.grace_hours)
    hours = history.over
    missing = [hour.measured is None for hour in hours]
    proofs = (
        None if gap and hour.end > due else gap for gap, hour in zip(missing, hours, strict=True)
    )
    found = []
    for run in runs(proofs, settings.hours, 0):
        first, last = hours[run.first], hours[run.last]
        until = last.end if run.over else None
        inside = hours[run.first : run.last + 1]
        estimated = sum(hour.quantity is not None for hour in inside)
        span = f"since {history.wall(first.start)}"
        if until:
            span = f"from {history.wall(first.start)} to {history.wall(until)}"
        text = (
            f"{history.subject}: {run.count} hours were not measured {span}, "
            f"{estimated} of them could be estimated: see how meter, gateway and network are doing."
        )
        evidence: dict[str, str | int] = {
            "hours": run.count,
            "estimated_hours": estimated,
            "expected_hours": len(hours),
            "unit": history.unit,
        }
        found.append(Finding(CODE, Severity.WARNING, first.start, until, text, evidence))
    return found
