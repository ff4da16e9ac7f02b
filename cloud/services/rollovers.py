"""A register that rolls over counts on: the cloud records it as a link of the chain, by itself.

The installation ends at the first reading after it, with what that would be on a longer face, and
the next begins there with what it says. It is worked out from the readings under the point's lock,
so that it is done once. A reading that comes late moves it to where it belongs, and one that is
corrected takes it away.
"""

from itertools import pairwise

from cloud.domain.analyses import SPAN
from cloud.services.installing import time_of
from cloud.services.points import Change, note
from cloud.storage.indexes import Fall
from cloud.storage.points import InstalledRow
from cloud.storage.unit_of_work import UnitOfWork
from common.reading import INT64_MAX, from_scaled

BY = "inMetter"
LOOK_BACK_MS = int(SPAN.total_seconds() * 1000)


def record(uow: UnitOfWork, *, point_id: int, now_ms: int) -> None:
    """Have the point's links be as the readings of the last ten weeks say."""
    uow.points.lock(point_id, [])
    installed = uow.points.installed([point_id])
    for row, following in reversed(list(pairwise(installed))):
        if _is_link(row, following) and _is_stale(uow, following, row.installation.rollover or 0):
            uow.points.join(row, following.installation.id)
            change = Change(BY, now_ms, "What counts of the readings beside it is another now")
            note(
                uow, point_id, "rollover_moved", change, at=time_of(following.installation.start_at)
            )
    for row in uow.points.installed([point_id]):
        _split(uow, row, now_ms)


def _split(uow: UnitOfWork, row: InstalledRow, now_ms: int) -> None:
    one = row.installation
    if one.rollover is None:
        return
    since, until = max(one.start_at, now_ms - LOOK_BACK_MS), one.end_at or INT64_MAX
    falls = uow.indexes.falls(one.register_id, since, until, one.rollover // 2)
    found = [fall for fall in falls if _is_rollover(fall, one.rollover)]
    for fall in found:
        last, first = (
            f"{from_scaled(index.value, one.decimals):f} at {time_of(index.at)}"
            for index in (fall.before, fall.after)
        )
        # The last one that began before it: those that were split off are of the same meter.
        counting = [
            each
            for each in uow.points.installed([row.point_id])
            if each.installation.start_at < fall.after.at
        ][-1]
        final = one.rollover + fall.after.value
        uow.points.split(counting, fall.after.at, final, fall.after.value)
        change = Change(BY, now_ms, f"The index went from {last} to {first}")
        note(
            uow,
            row.point_id,
            "rolled_over",
            change,
            at=time_of(fall.after.at),
            final_index=f"{from_scaled(final, one.decimals):f}",
            start_index=f"{from_scaled(fall.after.value, one.decimals):f}",
        )


def _is_rollover(fall: Fall, rollover: int) -> bool:
    """Whether what is next to it bears it out: a misreading comes or goes with as large a rise."""
    half = rollover // 2
    if fall.before.value >= rollover or fall.following is None:
        return False
    rose = 0 if fall.preceding is None else fall.before.value - fall.preceding
    return rose <= half and fall.following - fall.after.value <= half


def _is_link(row: InstalledRow, following: InstalledRow) -> bool:
    one, other = row.installation, following.installation
    return (
        one.rollover is not None
        and (one.register_id, one.end_at, one.final_index)
        == (other.register_id, other.start_at, one.rollover + other.start_index)
        and one.multiplier == other.multiplier
    )


def _is_stale(uow: UnitOfWork, following: InstalledRow, rollover: int) -> bool:
    """Whether its first reading does not count any more, or that before is of its round, too."""
    one = following.installation
    corrected = uow.corrections.by_register([one.register_id]).get(one.register_id)
    if corrected and corrected.covering(one.start_at):
        return True
    [mark] = uow.indexes.boundaries(one.register_id, [one.start_at - 1])
    return mark.before is not None and mark.before.value - one.start_index <= rollover // 2
