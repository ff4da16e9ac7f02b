"""Lets go of what is older than it is to be kept.

Invariants:
- no reading goes before its hour and its day are summed up;
- it is said from when on something is kept before anything goes, and it never goes back: who finds
  nothing from before knows that it was there;
- a log is made shorter by few rows in a transaction.
"""

from functools import partial

from cloud.domain.retention import DAY_MS, Retention, Since
from cloud.storage.partitions import PARTITIONED
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime
from common.logs import events

ROWS = 1_000
"""That are deleted in one transaction."""


class Keeper:
    """Keeps what is to be kept, and no more. One instance a process; any number may run."""

    def __init__(self, store: Store, retention: Retention) -> None:
        self._store = store
        self._retention = retention
        self._told = False

    def let_go(self, now_ms: int) -> None:
        """Of everything that is old enough. What was interrupted goes on."""
        since = self._move(now_ms)
        for table, until in zip(PARTITIONED, since, strict=True):
            if until:
                self._drop(table, until)
        days = self._retention
        self._shorten("events", days.events_days, now_ms)
        self._shorten("rejected", days.rejected_days, now_ms)
        self._shorten("quarantine", days.quarantine_days, now_ms)
        self._drop_days("message", "messages", now_ms - days.messages_days * DAY_MS)
        self._drop_days("telegram", "telegrams", now_ms - days.telegrams_days * DAY_MS)

    def _move(self, now_ms: int) -> Since:
        """Say from when on readings and hours are kept, as far as all before is summed up."""
        wanted = self._retention.months_kept(now_ms)
        with self._store.read() as uow:
            before = uow.kept.since()
        if wanted.later(before) == before:
            self._told = False
            return before
        since = self._store.run(partial(_move, wanted=wanted))
        if since.later(wanted) != since:
            if not self._told:
                events.info("readings from before %s wait to be summed up", _day(wanted.readings))
            self._told = True
        else:
            self._told = False
        for what, old, new in zip(("readings", "hours"), before, since, strict=True):
            if new > old:
                events.info("%s from before %s are no longer kept", what, _day(new))
        return since

    def _drop(self, table: str, until: int) -> None:
        self._drop_parts(table, until)
        with self._store.read() as uow:
            registers = uow.kept.registers_before(table, until)
        rows = sum(self._delete(table, register_id, until) for register_id in registers)
        if rows:
            events.info("deleted: %d rows of %s from before %s", rows, table, _day(until))

    def _drop_days(self, table: str, log: str, before: int) -> None:
        self._drop_parts(table, before)
        if self._store.file is not None:  # where there are no parts
            self._shorten_to(log, before)

    def _drop_parts(self, table: str, until: int) -> None:
        with self._store.read() as uow:
            parts = uow.partitions.before(table, until)
        for part in parts:
            with self._store.begin() as uow:
                uow.partitions.drop(table, part)
            events.info("dropped: %s.%s", table, part)

    def _delete(self, table: str, register_id: int, until: int) -> int:
        rows, last = 0, ROWS
        while last == ROWS:
            last = self._store.run(
                lambda uow: uow.kept.delete_before(table, register_id, until, ROWS)
            )
            rows += last
        return rows

    def _shorten(self, log: str, days: int, now_ms: int) -> None:
        if days:
            self._shorten_to(log, now_ms - days * DAY_MS)

    def _shorten_to(self, log: str, before: int) -> None:
        rows, last = 0, ROWS
        while last == ROWS:
            last = self._store.run(lambda uow: uow.kept.shorten(log, before, ROWS))
            rows += last
        if rows:
            events.info("deleted: %d rows of %s from before %s", rows, log, _day(before))


def _move(uow: UnitOfWork, wanted: Since) -> Since:
    uow.rollups.take_turn()
    before = uow.kept.claim()
    # From here on nobody stores what is that old, and whoever did has set its mark.
    since = wanted.waiting_for(uow.kept.first_mark()).later(before)
    uow.kept.move(since)
    return since


def _day(at: int) -> str:
    return f"{to_datetime(at):%Y-%m-%d}"
