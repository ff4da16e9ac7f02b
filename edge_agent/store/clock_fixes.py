"""Which boots of the computer there were, and what time it was in them.

Invariants: a fix, once written, never changes. When this boot of the computer gets its fix, every
earlier one with entries of unknown time gets one in the same transaction: that of its own later
entries, or else a bound, and an event says so. So whatever is sent is dated, and always the same.
"""

import sqlite3
from dataclasses import dataclass

import msgspec

from common.clock import to_datetime
from common.logs import events
from common.messages.batch import ClockQuality, Entry
from common.messages.uplink import Event
from edge_agent.store.database import Damaged, StorageError
from edge_agent.store.journal import Journal
from edge_agent.store.rebase import Fix, rebase, shift_ms
from edge_agent.store.tail import Transaction


@dataclass(slots=True)
class _Undated:
    """The entries of unknown time of one boot of the computer."""

    kernel: str
    boots: list[int]
    first: int
    last: int
    count: int
    mono: int


class ClockFixes:
    """The fixes of a journal's boots. ``kernel`` names the computer's present one."""

    def __init__(self, journal: Journal, kernel: str) -> None:
        self._journal = journal
        self._kernel = kernel
        self._kernels = {journal.boot: kernel}
        self._fixes: dict[str, Fix] = {}
        self._begun_undated: set[int] = set()
        self.newest_ms: int | None = None

    @classmethod
    async def open(cls, journal: Journal, kernel: str) -> "ClockFixes":
        """Those in the file; this boot is noted there. Raises StorageError when it is unreadable.

        On a full disk this boot is kept in memory, and written with its fix.
        """
        fixes = cls(journal, kernel)
        await journal.write(lambda transaction: fixes._load(transaction.connection))
        try:
            await journal.write(lambda transaction: fixes._note_boot(transaction.connection))
        except Damaged:
            raise
        except StorageError as error:
            events.error("clock: boot %d is not written down: %s", journal.boot, error)
        return fixes

    @property
    def current(self) -> Fix | None:
        """The present boot's."""
        return self._fixes.get(self._kernel)

    def prepare(self, entries: list[Entry]) -> list[Entry]:
        """``entries`` as they are to be sent: each by the time of its boot."""
        return [
            rebase(entry, self.of(entry.boot))
            if entry.boot in self._begun_undated or shift_ms(entry, self.of(entry.boot))
            else entry
            for entry in entries
        ]

    def of(self, boot: int) -> Fix | None:
        """The fix of a start of the agent."""
        return self._fixes.get(self._kernels.get(boot, ""))

    async def write(self, fix: Fix) -> None:
        """The time of the present boot is known. The first fix stays. Raises StorageError."""
        found: dict[str, Fix] = {}
        undated: list[_Undated] = []

        def work(transaction: Transaction) -> None:
            connection = transaction.connection
            self._note_boot(connection)
            found.update(_load_fixes(connection))
            undated.extend(self._undated(connection))
            new = {} if self._kernel in found else {self._kernel: fix}
            found.update(new)
            for one in undated:
                if one.kernel not in found:
                    new[one.kernel] = found[one.kernel] = self._date(transaction, one, found)
            connection.executemany(
                "INSERT INTO clock_fix (kernel, offset, quality, mono) VALUES (?, ?, ?, ?)",
                [(kernel, one.offset, int(one.quality), one.mono) for kernel, one in new.items()],
            )

        await self._journal.write(work)
        self._fixes = found
        self._begun_undated = {boot for one in undated for boot in one.boots}

    def _load(self, connection: sqlite3.Connection) -> None:
        self._kernels = {
            **dict(connection.execute("SELECT boot, kernel FROM boot")),
            self._journal.boot: self._kernel,
        }
        self._fixes = _load_fixes(connection)
        self._begun_undated = {
            boot
            for (boot,) in connection.execute("SELECT DISTINCT boot FROM entry WHERE clock = 0")
        }
        row = connection.execute(
            "SELECT at FROM entry WHERE clock > 0 ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        self.newest_ms = row[0] if row else None

    def _note_boot(self, connection: sqlite3.Connection) -> None:
        """Note this boot; forget those of which no entry is kept."""
        connection.execute(
            "DELETE FROM boot WHERE boot < (SELECT boot FROM entry ORDER BY seq LIMIT 1)"
        )
        connection.execute(
            "INSERT INTO boot (boot, kernel) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (self._journal.boot, self._kernel),
        )
        connection.execute("DELETE FROM clock_fix WHERE kernel NOT IN (SELECT kernel FROM boot)")

    def _undated(self, connection: sqlite3.Connection) -> list[_Undated]:
        """The computer's boots with entries of unknown time, the newest first.

        A start that could not be noted then, on a full disk, is taken for a boot of its own.
        """
        found: dict[str, _Undated] = {}
        rows = connection.execute(
            "SELECT boot, min(seq), max(seq), count(*), max(mono) FROM entry"
            " WHERE clock = 0 GROUP BY boot ORDER BY boot"
        )
        for boot, first, last, count, mono in rows:
            kernel = self._kernels.setdefault(boot, f"unnoted {boot}")
            connection.execute(
                "INSERT INTO boot (boot, kernel) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (boot, kernel),
            )
            one = found.setdefault(kernel, _Undated(kernel, [], first, last, 0, mono))
            one.boots.append(boot)
            one.last, one.count, one.mono = last, one.count + count, max(one.mono, mono)
        return list(reversed(found.values()))

    def _date(self, transaction: Transaction, undated: _Undated, fixes: dict[str, Fix]) -> Fix:
        """The time of a boot that never got a fix, by what stands around it in the journal."""
        before = _stamp(transaction, f"seq < {undated.first:d} AND clock > 0 ORDER BY seq DESC")
        after = _stamp(transaction, f"seq > {undated.last:d} AND clock > 0 ORDER BY seq")
        for entry in (after, before):
            if entry and self._kernels.get(entry.boot) == undated.kernel:
                return Fix(entry.at - entry.mono, ClockQuality.FREE, entry.mono)
        # All of it was over when the computer booted again.
        last = undated.boots[-1]
        later = [fixes[its] for boot, its in self._kernels.items() if boot > last and its in fixes]
        ends_ms = min(fix.offset for fix in later)
        if after and self._kernels.get(after.boot) not in fixes:
            ends_ms = min(ends_ms, after.at - after.mono)
        since_ms = rebase(before, self.of(before.boot)).at if before else None
        transaction.append(_never_known(transaction.at, undated, since_ms, ends_ms))
        return Fix(ends_ms - undated.mono - 1, ClockQuality.UNKNOWN, undated.mono)


def fixes_by_boot(connection: sqlite3.Connection) -> dict[int, Fix]:
    """The fix of each start of the agent that has one."""
    fixes = _load_fixes(connection)
    rows = connection.execute("SELECT boot, kernel FROM boot")
    return {boot: fixes[kernel] for boot, kernel in rows if kernel in fixes}


def _load_fixes(connection: sqlite3.Connection) -> dict[str, Fix]:
    rows = connection.execute("SELECT kernel, offset, quality, mono FROM clock_fix")
    return {kernel: Fix(offset, ClockQuality(code), mono) for kernel, offset, code, mono in rows}


def _stamp(transaction: Transaction, where: str) -> Entry | None:
    """The first entry there, without its body."""
    row = transaction.connection.execute(
        f"SELECT seq, at, boot, mono, clock FROM entry WHERE {where} LIMIT 1"  # noqa: S608
    ).fetchone()
    return Entry(row[0], msgspec.Raw(b""), *row[1:]) if row else None


def _never_known(at_ms: int, undated: _Undated, since_ms: int | None, ends_ms: int) -> Event:
    names = ", ".join(map(str, undated.boots))
    since = "" if since_ms is None else f"after {_shown(since_ms)} and "
    text = (
        f"the time was never known in boot {names}: its {undated.count} entries were made"
        f" {since}before {_shown(ends_ms)}, and are dated as if it had ended just then"
    )
    data: dict[str, str | int | None] = {"boots": names, "entries": undated.count}
    data |= {"first": undated.first, "last": undated.last, "after": since_ms, "before": ends_ms}
    return Event(at_ms, "clock_never_known", "warning", text[:2000], data=data)


def _shown(at_ms: int) -> str:
    return f"{to_datetime(max(0, at_ms)):%Y-%m-%d %H:%M:%S} UTC"
