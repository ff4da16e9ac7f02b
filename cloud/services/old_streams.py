"""Streams that a gateway has ended: what is salvaged of them, and what is given up."""

import re

from cloud.services.books import StreamBook, StreamMemory
from cloud.services.losses import LossWriter
from cloud.services.parcels import OpenEntry, catalog_numbers, open_entry
from cloud.storage.ledger import StreamRow
from cloud.storage.unit_of_work import UnitOfWork
from common.errors import Undecodable
from common.logs import events
from common.messages.uplink import Catalog, Event, Readings, Salvaged

DAMAGED = "journal_damaged"
"""The code of the event that a new journal begins with when the old one's file was damaged."""

STREAM = re.compile("[0-9a-f]{32}")


class Shelf:
    """The books of one transaction, each of which is opened once."""

    def __init__(self, uow: UnitOfWork, losses: LossWriter, now_ms: int) -> None:
        self._uow = uow
        self._losses = losses
        self._now_ms = now_ms
        self._ended: dict[tuple[int, str], StreamBook] = {}
        self.books: dict[int, StreamBook] = {}

    def open(self, row: StreamRow, gateway: str, memory: StreamMemory | None) -> StreamBook:
        """The book of a stream."""
        return self.books.setdefault(row.id, StreamBook(row, gateway, memory))

    def ended(self, book: StreamBook, stream: str) -> StreamBook:
        """The book of another stream of the gateway, which ends herewith, if it has not before.

        It is made when it is new. Raises Undecodable when it cannot be one that has ended.
        """
        key = (book.row.gateway_id, stream)
        if key not in self._ended:
            if stream == book.row.stream:
                raise Undecodable("a stream that goes on was not set aside")
            ledger = self._uow.ledger
            rows = ledger.streams([key[0]], [stream])
            if not rows and ledger.owner(stream):
                raise Undecodable(f"stream {stream} is another gateway's")
            row = rows[0] if rows else ledger.add_stream(*key, self._now_ms)
            ledger.close(row.id, self._now_ms)
            self._ended[key] = self.open(row, book.gateway, None)
        return self._ended[key]

    def damaged(self, book: StreamBook, body: Event) -> None:
        """What did not come of the stream that ``body`` names is lost."""
        stream = body.data.get("stream")
        if not isinstance(stream, str) or not STREAM.fullmatch(stream):
            return
        try:
            self._losses.close(self.ended(book, stream), body.at, DAMAGED)
        except Undecodable as error:
            events.warning("%s: nothing is lost by %s: %s", book.gateway, DAMAGED, error)

    def lacks_catalog(self, book: StreamBook, entries: tuple[OpenEntry, ...]) -> bool:
        """Whether what is salvaged among ``entries`` uses numbers that no catalog defines yet."""
        for entry in entries:
            if not isinstance(entry.body, Salvaged):
                continue
            try:
                old = self.ended(book, entry.body.stream)
            except Undecodable:
                continue
            old.refresh(self._uow)
            match open_entry(entry.body.seq, bytes(entry.body.body), self._now_ms).body:
                case Catalog() as catalog:
                    old.coming |= catalog_numbers(catalog)
                case Readings() as readings:
                    if not {one.no for one in readings.r} <= old.numbers.keys() | old.coming:
                        return True
        return False
