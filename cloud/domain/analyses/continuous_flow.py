"""Continuous flow: what never stops is a leak, or an open tap.

Its least hour says how much it loses; of the last hours, since the first may be before the leak.

Only measured hours are evidence. An estimated hour proves nothing: a gap is spread evenly over its
hours, and hides every pause. Nor does it disprove anything, and a missing one does neither. A few
of them are borne; but when many lie between, what flows on both sides of them need not be the same
flow, unless there was proof enough before. Then only a measured pause ends it: that nothing was
heard for a while closes no leak.

A hotel or a workshop may never stop for days, week after week. Two such flows are told; after them
one that is about as long is usual, and a leak shows in the night flow.

What leaks less in an hour than the meter resolves makes pauses on paper, and is not seen here.
"""

from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct

from cloud.domain.analyses.evidence import runs
from cloud.domain.analyses.findings import Finding, Severity
from cloud.domain.analyses.history import History, plain
from cloud.domain.analyses.limits import positive

CODE = "continuous_flow"
TOLD = 2
"""So many long flows are told before they are taken for usual."""


class ContinuousFlow(Struct, frozen=True, forbid_unknown_fields=True):
    """Told after ``hours`` measured hours, none of which had a flow below ``threshold`` an hour.

    Where there were two such flows before, it must be more than ``percent`` as long as the second
    longest of them. ``bridge_hours``: so many hours in a row may be unmeasured.
    """

    threshold: Decimal
    hours: Annotated[int, Meta(ge=2, le=720)] = 24
    percent: Annotated[int, Meta(ge=100, le=1000)] = 150
    bridge_hours: Annotated[int, Meta(ge=0, le=72)] = 6

    def __post_init__(self) -> None:
        positive("threshold", self.threshold)


def find(history: History, settings: ContinuousFlow) -> list[Finding]:
    """The flows that did not stop."""
    flows = [hour.flow for hour in history.over]
    proofs = (None if flow is None else flow >= settings.threshold for flow in flows)
    found = []
    before: list[int] = []
    for run in runs(proofs, settings.hours, settings.bridge_hours):
        longest = sorted(before, reverse=True)[:TOLD]
        before.append(run.count)
        if len(longest) == TOLD and run.count * 100 <= longest[-1] * settings.percent:
            continue
        first, last = history.over[run.first], history.over[run.last]
        inside = [flow for flow in flows[run.first : run.last + 1] if flow is not None]
        least = min(inside[-settings.hours :])
        flowed = "flowed" if run.over else "has flowed"
        text = (
            f"{history.subject} {flowed} for {run.count} measured hours without a pause, at least "
            f"{history.amount(least)} in each of the last {settings.hours}: look for a leak or an "
            f"open tap, which would lose about {history.amount(least * 24)} a day."
        )
        evidence: dict[str, str | int] = {
            "measured_hours": run.count,
            "unmeasured_hours": run.last - run.first + 1 - run.count,
            "least_hour": plain(least),
            "threshold": plain(settings.threshold),
            "loss_a_day": plain(least * 24),
            "unit": history.unit,
        }
        until = last.end if run.over else None
        found.append(Finding(CODE, Severity.ALARM, first.start, until, text, evidence))
    return found
