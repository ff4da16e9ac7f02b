"""The index at boundaries: from hours and days that are summed up, where those have it all."""

from collections.abc import Sequence
from dataclasses import dataclass

from cloud.domain.consumption import HOUR_MS, Boundary, Step
from cloud.domain.spans import doubtful, marks, unmeasured
from cloud.storage.unit_of_work import UnitOfWork
from common.reading import INT64_MAX

LONGEST_DAY_MS = 25 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Instants with the readings next to them.

    ``unmeasured``: how much of each period between two of them (ms) no two readings enclose that
    are near each other.
    """

    marks: list[Boundary]
    unmeasured: list[int]


def look_up(
    uow: UnitOfWork, register_id: int, instants: Sequence[int], step: Step, tolerance: int
) -> Boundaries:
    """The readings with a value next to the boundaries of periods of one ``step`` (ms, in order).

    Looked up one by one are those next to hours that have changed since they were summed up, and
    hours of a clock that is not whole hours away from UTC.
    """
    if not instants:
        return Boundaries([], [])
    if step is Step.HOUR:
        width, around = HOUR_MS, uow.rollups.hours_around
    else:
        width, around = LONGEST_DAY_MS, uow.rollups.days_around
    spans = around(register_id, instants[0], instants[-1])
    start = spans[0].at if spans and spans[0].at < instants[0] else 0
    end = spans[-1].at + width if spans and spans[-1].at >= instants[-1] else INT64_MAX
    changed = [at for _, at in uow.rollups.marked([register_id], start, end)]
    if step is Step.HOUR and any(instant % HOUR_MS for instant in instants):
        unsure: Sequence[int] = instants
    else:
        unsure = doubtful(instants, spans, changed, width)
    found = {mark.at: mark for mark in marks(instants, spans)}
    found |= {mark.at: mark for mark in uow.meters.boundaries(register_id, unsure)}
    return Boundaries(
        [found[instant] for instant in instants], unmeasured(instants, spans, tolerance)
    )
