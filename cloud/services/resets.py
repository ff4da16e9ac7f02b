"""A meter that counts on from another index: its device was reset, or its index was set.

The readings before were of the old count, those at that time and after it are of the new one; the
point's index runs on. It may be said long afterwards, also of a meter that is gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from cloud.domain.consumption import Index, tolerance_ms
from cloud.services.boundaries import neighbours
from cloud.services.installing import locked, scaled, time_of
from cloud.services.point_views import PointView
from cloud.services.points import Change, note, view_of
from cloud.storage.points import InstalledRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.errors import Permanent
from common.reading import INT64_MAX, from_scaled


@dataclass(frozen=True, slots=True)
class Reset:
    """What stood on the meter's face just before and just after, in the register's base unit.

    None: as the reading next to it says, so that what was counted between the two readings next to
    the reset is left out. None of it is guessed: the count may have begun with 0, or anywhere.
    """

    final_index: Decimal | None = None
    start_index: Decimal | None = None


def reset(store: Store, point_id: int, wanted: Reset, at: int, change: Change) -> PointView:
    """Have the point's meter count on from another index since ``at`` (ms).

    Raises NotFound, or Permanent with what is wrong.
    """

    def work(uow: UnitOfWork) -> PointView:
        row = _counting(locked(uow, point_id, [], at, change), at)
        last, following = _around(uow, row, at)
        final = _final(row, wanted.final_index, last, at)
        start = _start(row, wanted.start_index, following, at)
        uow.points.split(row, at, final, start)
        decimals = row.installation.decimals
        indexes = {
            "final_index": format(from_scaled(final, decimals), "f"),
            "start_index": format(from_scaled(start, decimals), "f"),
        }
        note(uow, point_id, "reset", change, at=time_of(at), **indexes)
        return view_of(uow, point_id)

    return store.run(work)


def _counting(installed: Sequence[InstalledRow], at: int) -> InstalledRow:
    for row in installed:
        if row.installation.start_at < at < (row.installation.end_at or INT64_MAX):
            return row
    raise Permanent("at: no meter counted then for this metering point")


def _around(uow: UnitOfWork, row: InstalledRow, at: int) -> tuple[Index | None, Index | None]:
    """The last reading before, and the first at ``at`` or later, while the meter was there."""
    one = row.installation
    earlier, later = neighbours(uow, one.register_id, at - 1, at)
    last, following = earlier.before, later.after
    if following and following.at == at:
        _, beyond = neighbours(uow, one.register_id, at, at + 1)
        if beyond.after and beyond.after.value < following.value:
            raise Permanent("at: the reading of that time is of before the reset; say a later time")
    if last and last.at < one.start_at:
        last = None
    if following and following.at >= (one.end_at or INT64_MAX):
        following = None
    return last, following


def _final(row: InstalledRow, said: Decimal | None, last: Index | None, at: int) -> int:
    one = row.installation
    if said is None:
        return _near(row, last, at, "final_index").value
    index = scaled(said, one.decimals, "final_index")
    least = last or Index(one.start_at, one.start_index)
    if index < least.value:
        stood = from_scaled(least.value, one.decimals)
        raise Permanent(f"final_index: the meter read more at {time_of(least.at)}: {stood}")
    return index


def _start(row: InstalledRow, said: Decimal | None, following: Index | None, at: int) -> int:
    one = row.installation
    if said is None:
        return _near(row, following, at, "start_index").value
    index = scaled(said, one.decimals, "start_index")
    most = following
    if most is None and one.end_at is not None and one.final_index is not None:
        most = Index(one.end_at, one.final_index)
    if most and most.value < index:
        stood = from_scaled(most.value, one.decimals)
        raise Permanent(f"start_index: the meter read less at {time_of(most.at)}: {stood}")
    return index


def _near(row: InstalledRow, index: Index | None, at: int, what: str) -> Index:
    if index is None or abs(index.at - at) > tolerance_ms(row.interval_s):
        side = "before" if what == "final_index" else "after"
        raise Permanent(f"{what}: no reading shortly {side} {time_of(at)} tells it; say it")
    return index
