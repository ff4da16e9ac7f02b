"""A stream's book while its gateway is locked, and what is remembered of it afterwards."""

from dataclasses import dataclass

from cloud.services.clock_book import NOTHING_KNOWN, ClockBook, ClockMemory
from cloud.services.parcels import BatchParcel
from cloud.storage.inventory import Numbered
from cloud.storage.ledger import StreamRow
from cloud.storage.unit_of_work import UnitOfWork

MAX_ASKED = 1_000


@dataclass(frozen=True, slots=True)
class StreamMemory:
    """What an ingest worker remembers of a stream after a commit.

    ``asked`` are the batches, by their first entry, that were answered with a resume for want of a
    catalog while no hello had said what the gateway holds.
    ``numbers`` are those as of the catalog at ``catalog_seq``. Another worker may take a catalog
    meanwhile, and a database that is restored may give the row's id to another stream.
    ``committed`` is how many entries were: a ledger that has fewer is one of a backup.
    """

    stream: str
    catalog_seq: int
    numbers: dict[int, Numbered]
    committed: int
    asked: frozenset[int] = frozenset()
    clocks: ClockMemory = NOTHING_KNOWN

    def may_be_of(self, row: StreamRow) -> bool:
        """Whether ``row`` is the same stream at the same time or later, and not an older copy."""
        return (
            self.stream == row.stream
            and self.catalog_seq <= row.catalog_seq
            and self.committed <= row.committed.count()
        )


class StreamBook:
    """A stream while its gateway is locked. ``committed`` grows as batches are taken.

    What is remembered of the stream serves as long as it is of the locked row, and suffices.
    """

    def __init__(self, row: StreamRow, gateway: str, memory: StreamMemory | None) -> None:
        self.row = row
        self.gateway = gateway
        self.committed = row.committed.copy()
        self.lossy = row.lossy
        self.catalog_seq = row.catalog_seq
        if memory and not memory.may_be_of(row):
            memory = None
        self.is_new_here = memory is None
        current = memory is not None and memory.catalog_seq == row.catalog_seq
        self.numbers = dict(memory.numbers) if memory and current else {}
        self.clocks = ClockBook(row, memory.clocks if memory else NOTHING_KNOWN)
        self.coming: set[int] = set()  # numbers that a catalog defines which is being salvaged
        self._fresh = False
        self._asked = memory.asked if memory and row.first_kept == 0 else frozenset()
        self._asked_now: set[int] = set()

    def refresh(self, uow: UnitOfWork) -> None:
        """Have the numbers as they stand in the database."""
        if not self._fresh:
            self.numbers = {row.no: row for row in uow.inventory.numbered(self.row.id)}
            self._fresh = True

    def remembered(self) -> StreamMemory:
        """What to remember when the transaction is committed."""
        asked = self._asked | self._asked_now if len(self._asked) < MAX_ASKED else frozenset()
        committed = self.committed.count()
        clocks = self.clocks.remembered()
        return StreamMemory(
            self.row.stream, self.catalog_seq, self.numbers, committed, asked, clocks
        )

    def may_ask_for_catalog_of(self, batch: BatchParcel) -> bool:
        """Whether a catalog that ``batch`` lacks may still come.

        Without a hello nobody knows, and the gateway is asked only once for each batch.
        """
        if batch.first in self._asked or not self.may_fill_gap_before(batch.first):
            return False
        if self.row.first_kept == 0:
            self._asked_now.add(batch.first)
        return True

    def may_fill_gap_before(self, seq: int) -> bool:
        """Whether the gateway may still hold entries before ``seq`` that are not committed."""
        first = max(1, self.row.first_kept)
        return seq > first and bool(self.committed.missing(first, seq - 1))

    @property
    def has_gap(self) -> bool:
        """Whether something is missing that the gateway may still hold."""
        return self.may_fill_gap_before(self.committed.last())
