"""Readings that a gateway dates ahead of the cloud's clock, and that are taken all the same."""

from cloud.services.books import StreamBook
from cloud.services.own_events import tell
from cloud.storage.readings import AHEAD_MS
from cloud.storage.unit_of_work import UnitOfWork
from common.messages.uplink import Event

CODE = "readings-ahead"
SILENT_MS = 24 * 3_600_000
"""As long as it lasts, it is told of a stream no more often than this."""


class AheadWriter:
    """What one transaction takes of them."""

    def __init__(self, uow: UnitOfWork, now_ms: int) -> None:
        self._uow = uow
        self._now_ms = now_ms
        self._newest: dict[int, tuple[StreamBook, int]] = {}

    def note(self, book: StreamBook, at: int) -> None:
        """The newest reading of a batch was measured at ``at``."""
        if at > self._now_ms + AHEAD_MS:
            _, before = self._newest.get(book.row.id, (book, 0))
            self._newest[book.row.id] = book, max(at, before)

    def write(self) -> None:
        """Tell people. The gateways are locked, so that nobody else tells meanwhile."""
        for book, at in self._newest.values():
            row = book.row
            if self._uow.events.told_since(row.id, CODE, self._now_ms - SILENT_MS):
                continue
            minutes = (at - self._now_ms) // 60_000
            text = (
                f"readings of {book.gateway} are dated up to {minutes} minutes ahead of the cloud's"
                " clock: they are kept as they are dated, and are the latest only when their time"
                " has come; set the clock of the gateway or of its meters, or that of the cloud"
            )
            event = Event(self._now_ms, CODE, "warning", text, data={"measured_at": at})
            tell(self._uow, row.gateway_id, row.id, event)
