"""The clock facts of a stream while its gateway is locked, and what is remembered of them.

Invariants:
- a batch whose clock is what is remembered already costs no statement;
- what is remembered is the database's, or is not believed: whoever changes a stream's clocks counts
  that in the stream's row, which is read with the lock;
- saying the same again, in whatever order, changes nothing.
"""

from dataclasses import dataclass

from cloud.domain.clocks import ClockSetting, alike, changed, in_force, placed
from cloud.services.parcels import BatchParcel
from cloud.storage.ledger import StreamRow
from cloud.storage.unit_of_work import UnitOfWork
from common.ranges import RangeSet

MAX_KNOWN = 4
"""A stream is dated in few places at a time: at its end, and where its backlog comes."""


@dataclass(frozen=True, slots=True)
class _Known:
    """In the database ``setting`` is in force for first..last (None: and all after it)."""

    first: int
    last: int | None
    setting: ClockSetting | None


@dataclass(frozen=True, slots=True)
class ClockMemory:
    """What is known of a stream's clocks, as of so many changes of them."""

    changes: int = -1
    known: tuple[_Known, ...] = ()


NOTHING_KNOWN = ClockMemory()


class ClockBook:
    """By which clock a stream's entries were dated."""

    def __init__(self, row: StreamRow, memory: ClockMemory) -> None:
        self._stream_id = row.id
        self._changes = row.clock_changes
        self._known = memory.known if memory.changes == row.clock_changes else ()

    def remembered(self) -> ClockMemory:
        """What to remember when the transaction is committed."""
        return ClockMemory(self._changes, self._known)

    def take(self, uow: UnitOfWork, batch: BatchParcel, committed: RangeSet) -> None:
        """Note by which clock the entries of ``batch`` were dated; ``committed`` is the ledger."""
        if batch.count:
            for first, last, setting in placed(
                batch.first, batch.last, batch.batch.clock, batch.count, lambda: _numbers(batch)
            ):
                self.put(uow, first, last, setting, committed)

    def put(
        self,
        uow: UnitOfWork,
        first: int,
        last: int,
        setting: ClockSetting | None,
        committed: RangeSet,
    ) -> None:
        """Note that first..last were dated by ``setting``; None: nobody knows by which."""
        for one in self._known:
            if (
                one.first <= first
                and (one.last is None or last <= one.last)
                and alike(one.setting, setting)
            ):
                return
        later = committed.present(last + 1, max(last + 1, committed.last()))
        following = later[0][0] if later else None
        before = uow.clocks.around(self._stream_id, first, following)
        after = changed(before, first, last, setting, following)
        if after != before:
            uow.clocks.change(self._stream_id, before, after)
            self._changes += 1
            self._known = ()
        begin = max((seq for seq, _ in after if seq <= last), default=0)
        end = min((seq - 1 for seq, _ in after if seq > last), default=following)
        known = _Known(begin, end, in_force(after, last))
        self._known = (known, *self._known)[:MAX_KNOWN]


def _numbers(batch: BatchParcel) -> list[int]:
    return sorted([*(entry.seq for entry in batch.entries), *batch.batch.seqs])
