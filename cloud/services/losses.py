"""What a gateway says is lost, and what comes after all: inside an ingest's transaction.

Invariants:
- what is in the database is never called lost: only what the ledger lacks is;
- what comes after it was called lost is stored, and is lost no more;
- saying anything of this again changes nothing.
"""

from bisect import bisect_left

from cloud.domain.entries import plausible
from cloud.domain.gaps import Known
from cloud.services.books import StreamBook
from cloud.storage.losses import LossRow
from cloud.storage.unit_of_work import UnitOfWork
from common.messages.batch import Batch
from common.ranges import RangeSet


class LossWriter:
    """The losses of the streams of one transaction."""

    def __init__(self, uow: UnitOfWork, now_ms: int) -> None:
        self._uow = uow
        self._now_ms = now_ms
        self._returned: dict[int, tuple[StreamBook, RangeSet]] = {}
        self.lost = 0

    def among(self, book: StreamBook, first: int, last: int) -> RangeSet:
        """Which of first..last the ledger has as lost."""
        found = RangeSet()
        if book.lossy:
            for row in self._uow.losses.within(book.row.id, first, last):
                end = last if row.last is None else min(row.last, last)
                found.add(max(row.first, first), end)
            if book.row.id in self._returned:
                found = _without(found, self._returned[book.row.id][1])
        return found

    def give_back(self, book: StreamBook, seq: int) -> None:
        """The entry came, whether it was called lost or not."""
        if book.lossy:
            self._returned.setdefault(book.row.id, (book, RangeSet()))[1].add(seq, seq)

    def take(self, book: StreamBook, batch: Batch) -> None:
        """Note what ``batch`` says is lost, before its range goes into the ledger."""
        for lost in batch.lost:
            for first, last in book.committed.missing(lost.first, lost.last):
                start_at, end_at = self._measured(book, batch, first, last)
                self._add(book, first, last, lost.reason, (start_at, end_at))
                book.committed.add(first, last)

    def close(self, book: StreamBook, at: int, reason: str) -> None:
        """All of the stream that did not come until ``at`` (ms) is lost, whatever it was."""
        uow, end_at = self._uow, at if plausible(at, self._now_ms) else self._now_ms
        for gap in _known(book).gaps():
            span = self._before(book, min(gap.since or end_at, end_at))
            self._add(book, gap.first, gap.last, reason, span)
            book.committed.add(gap.first, gap.last)
        first = max(book.committed.last() + 1, book.row.next_seq)
        if not uow.losses.within(book.row.id, first, None):
            self._add(book, first, None, reason, self._before(book, end_at))

    def write(self) -> None:
        """Take what came out of the losses. May add to the ledgers of the books."""
        losses = self._uow.losses
        for book, returned in self._returned.values():
            for first, last in returned:
                for row in losses.within(book.row.id, first, last):
                    losses.remove(row)
                    left = row.without(first, last)
                    losses.add(left)
                    for part in left:
                        if row.last is None and part.last is not None:
                            book.committed.add(part.first, part.last)
        self._returned.clear()

    def _add(
        self,
        book: StreamBook,
        first: int,
        last: int | None,
        reason: str,
        span: tuple[int, int],
    ) -> None:
        self._uow.losses.add([LossRow(book.row.id, first, last, reason, *span, self._now_ms)])
        book.lossy = True
        if last is not None:
            self.lost += last - first + 1

    def _measured(self, book: StreamBook, batch: Batch, first: int, last: int) -> tuple[int, int]:
        """Between which times first..last were measured: by their neighbours in the batch, else
        by what is known since when to be missing, and by what had come before that."""
        position = bisect_left(batch.seqs, first)
        before, after = batch.at[:position][-1:], batch.at[bisect_left(batch.seqs, last) :][:1]
        known = [
            gap.since for gap in _known(book).gaps() if gap.first <= first and gap.last >= last
        ]
        ends = [at for at in (*after, *known) if plausible(at, self._now_ms)]
        start_at, end_at = self._before(book, ends[0] if ends else self._now_ms)
        if before and plausible(before[0], self._now_ms):
            start_at = min(before[0], end_at)
        return start_at, end_at

    def _before(self, book: StreamBook, end_at: int) -> tuple[int, int]:
        """From the newest reading of the gateway before ``end_at`` until then."""
        newest = self._uow.losses.newest_reading(book.row.gateway_id, end_at)
        return (end_at if newest is None else newest, end_at)


def _known(book: StreamBook) -> Known:
    """What is known of the stream now, in the midst of the transaction."""
    row = book.row
    return Known(book.committed, row.since, row.next_seq, row.tail_since)


def _without(ranges: RangeSet, gone: RangeSet) -> RangeSet:
    return RangeSet(part for first, last in ranges for part in gone.missing(first, last))
