"""What leaves the journal: what is old and settled, and what there is no room for.

When more is in use than the quota, the oldest settled entries go first. When only entries are left
that the cloud lacks, the policy of the configuration says which of them are given up, telegrams
before any readings; the deletion and the record of the loss are one transaction. Catalogs that the
cloud lacks, the newest catalogs and the reports of commands are never given up; events only when no
readings are left.
"""

from collections.abc import Sequence
from functools import partial

from common.messages.uplink import Event
from edge_agent.store.journal import Journal
from edge_agent.store.shedding import (
    Step,
    Way,
    oldest_settled,
    oldest_unsettled,
    refused,
    settled_before,
    thinned,
)
from edge_agent.store.tables import get, put, used_bytes
from edge_agent.store.tail import READINGS, TELEGRAM, Transaction

LOW = 0.98
"""Of the quota: so much is left when room was made."""

AGAIN = 0.8
"""Of the quota: when what the cloud lacks takes less, the overflow is over."""

EVENT = b'{"k":"event",'


class Retention:
    """Keeps the journal within ``journal.keeping``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._keeping = journal.keeping
        self._low = round(self._keeping.size * LOW)

    async def prune(self, before_ms: int) -> int:
        """Delete settled entries that were appended before ``before_ms``; returns how many."""
        deleted = 0
        position: int | None = 1
        while position is not None:
            step = await self._journal.shed(
                partial(settled_before, position=position, before_ms=before_ms)
            )
            deleted += step.deleted if step else 0
            position = step.next if step else None
        return deleted

    async def make_room(self) -> None:
        """Bring the journal below its quota, if it is above."""
        journal = self._journal
        journal.grown.clear()
        used = await journal.used()
        if used <= (self._low if journal.tail.full else self._keeping.size):
            journal.tail.full = False
            await self._end_overflow(used)
            return
        for way in self._ways():
            position: int | None = 1
            while position is not None:
                step = await journal.shed(partial(self._reduce, way=way, position=position))
                if step is None:
                    return
                position = step.next

    def _ways(self) -> Sequence[Way]:
        keeping = self._keeping
        reason = f"quota: {keeping.overflow}"
        first: list[Way] = [oldest_settled]
        if keeping.telegrams:
            first.append(oldest_unsettled(TELEGRAM, reason))
        if keeping.overflow == "drop_newest":
            return [*first, refused]
        oldest = [oldest_unsettled(kind, reason) for kind in (READINGS, TELEGRAM, EVENT)]
        thin = [thinned(keeping.thin, f"{reason} 1 in {keeping.thin}")] * 2
        return [*first, *(thin if keeping.overflow == "thin" else []), *oldest]

    def _reduce(self, transaction: Transaction, way: Way, position: int) -> Step | None:
        """One step; None when there is room."""
        connection = transaction.connection
        excess = used_bytes(connection) - self._low
        if excess <= 0:
            self._journal.tail.full = False
            return None
        step = way(transaction, position, excess)
        self._journal.tail.full = step.refuses
        if step.overflows and get(connection, "overflow") is None:
            put(connection, "overflow", str(self._journal.lost))
            self._tell(transaction)
        return step

    def _tell(self, transaction: Transaction) -> None:
        queued = self._journal.queued()
        size, policy = self._keeping.size, self._keeping.overflow
        text = (
            f"the journal has come to its quota of {size} bytes, and the cloud lacks {queued} "
            f"entries of it: some are given up ({policy})"
        )
        data: dict[str, str | int | None] = {"queued": queued, "quota": size, "policy": policy}
        transaction.append(Event(transaction.at, "journal_overflow", "alarm", text, data=data))

    async def _end_overflow(self, used: int) -> None:
        journal = self._journal
        share = min(1.0, journal.queued() / max(1, journal.entries))
        if not journal.overflowing or used * share > self._keeping.size * AGAIN:
            return

        def work(transaction: Transaction) -> None:
            lost = max(0, journal.lost - int(get(transaction.connection, "overflow") or 0))
            text = f"the journal has room again; {lost} entries were given up"
            put(transaction.connection, "overflow", None)
            data: dict[str, str | int | None] = {"lost": lost}
            transaction.append(Event(transaction.at, "journal_room_again", "info", text, data=data))

        await journal.write(work)
        journal.overflowing = False
