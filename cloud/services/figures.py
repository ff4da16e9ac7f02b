"""Figures for Prometheus that are in the database, or about it: asked for at a scrape."""

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Impatient
from pathlib import Path
from threading import Lock

from cloud.domain.lifecycle import OPEN
from cloud.services.gateways import SEEN_WITHIN_MS, status_of
from cloud.services.metering import STALE_AFTER_MS
from cloud.services.metrics import Family, gauge
from cloud.storage.figures import RegisterFigures
from cloud.storage.overview import GatewayRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import Clock
from common.errors import Retryable
from common.messages.uplink import Status

FRESH_S = 5.0
"""So long the same figures are given to whoever asks."""

SIZES_FRESH_S = 60.0
PATIENCE_S = 5.0
"""A database that has not answered after this is said to be away: a scrape has ten seconds."""

H = 3600


class DatabaseFigures:
    """Asks the database, one question at a time however many ask, and remembers for a while."""

    def __init__(self, store: Store, clock: Clock, *, patience_s: float = PATIENCE_S) -> None:
        self._store = store
        self._clock = clock
        self._patience_s = patience_s
        self._thread = ThreadPoolExecutor(1, "figures")
        self._lock = Lock()
        self._asked: Future[list[Family]] | None = None
        self._asked_at = 0.0
        self._sizes: list[Family] = []
        self._sized_at: float | None = None

    def families(self) -> list[Family]:
        """What is known; of a database that is away, that it is. Raises nothing."""
        try:
            found = self._asking().result(self._patience_s)
        except (Retryable, Impatient):
            return [_up(0)]
        return [_up(1), *found]

    def _asking(self) -> Future[list[Family]]:
        with self._lock:
            now, asked = self._clock.monotonic(), self._asked
            if asked is None or (asked.done() and now - self._asked_at >= FRESH_S):
                self._asked_at = now
                asked = self._asked = self._thread.submit(self._ask)
            return asked

    def _ask(self) -> list[Family]:
        now, now_ms = self._clock.monotonic(), self._clock.now_ms()
        with self._store.read() as uow:
            found = [*_of_gateways(uow, now_ms), *_waiting(uow)]
            if self._sized_at is None or now - self._sized_at >= SIZES_FRESH_S:
                self._sizes, self._sized_at = _sizes(uow, self._store.file), now
        return found + self._sizes


def connections(stores: Mapping[str, Store]) -> list[Family]:
    """How many connections to the database are in use, by whose they are."""
    found = {name: store.connections for name, store in stores.items()}
    return [
        Family(
            "inmetter_database_connections",
            "Connections to the database that are in use",
            [((name,), used) for name, (used, _) in found.items()],
            ("pool",),
        ),
        Family(
            "inmetter_database_connections_limit",
            "How many connections to the database there may be",
            [((name,), limit) for name, (_, limit) in found.items()],
            ("pool",),
        ),
    ]


def _up(value: int) -> Family:
    return gauge("inmetter_database_up", "1 when the database answers", value)


def _of_gateways(uow: UnitOfWork, now_ms: int) -> list[Family]:
    rows = uow.overview.gateways()
    registers = uow.figures.registers(now_ms, STALE_AFTER_MS)
    none = RegisterFigures(0, 0, None)
    gateways = [(row, registers.get(row.id, none)) for row in rows]
    online = Counter(_online(row, now_ms) for row in rows)
    newest: dict[str, list[int]] = defaultdict(list)
    for row, figures in gateways:
        newest[row.site] += [] if figures.newest_at is None else [figures.newest_at]
    return [
        Family(
            "inmetter_gateways",
            "How many gateways are online, and offline",
            [(("online",), online[True]), (("offline",), online[False])],
            ("state",),
        ),
        Family(
            "inmetter_site_newest_reading_timestamp_seconds",
            "When the newest reading of the site was measured, Unix time",
            [((site,), max(times) / 1000) for site, times in newest.items() if times],
            ("site",),
        ),
        *_books(rows, now_ms),
        _by_gateway(
            "registers",
            "Active registers of the gateway",
            ((row, found.count) for row, found in gateways),
        ),
        _by_gateway(
            "registers_stale",
            "Registers with an interval and no reading for three of it",
            ((row, found.stale) for row, found in gateways),
        ),
        *_said([(row, status) for row in rows if (status := status_of(row))]),
    ]


def _books(rows: list[GatewayRow], now_ms: int) -> Iterable[Family]:
    """What the cloud knows of each gateway."""
    seen = [(row, row.seen_at / 1000) for row in rows if row.seen_at is not None]
    return (
        _by_gateway(
            "online",
            "1 when the gateway is connected, and was heard of in the last 90 s",
            ((row, _online(row, now_ms)) for row in rows),
        ),
        _by_gateway(
            "last_seen_timestamp_seconds", "When the gateway was last heard of, Unix time", seen
        ),
        _by_gateway(
            "missing_entries",
            "Entries that are known to exist and did not come",
            ((row, row.missing) for row in rows),
        ),
        _by_gateway(
            "lost_entries",
            "Entries that will never come, explained",
            ((row, row.lost) for row in rows),
        ),
        _by_gateway(
            "rejected_entries",
            "Entries that can never be stored, wholly or in part",
            ((row, row.rejected) for row in rows),
        ),
    )


def _said(said: list[tuple[GatewayRow, Status]]) -> Iterable[Family]:
    """What each gateway said of itself in its last status."""
    oldest = ((row, s.oldest_at / 1000) for row, s in said if s.queued and s.oldest_at)
    left = ((row, s.hours_left * H) for row, s in said if s.hours_left is not None)
    return (
        _by_gateway(
            "queued_entries", "Entries that wait on the gateway", ((r, s.queued) for r, s in said)
        ),
        _by_gateway(
            "oldest_entry_timestamp_seconds",
            "When the oldest entry that waits there was appended, Unix time; absent when none",
            oldest,
        ),
        _by_gateway(
            "journal_bytes",
            "Bytes that the gateway's journal takes on its disk",
            ((row, s.journal_bytes) for row, s in said),
        ),
        _by_gateway(
            "journal_quota_bytes",
            "Bytes that the gateway's journal may take",
            ((row, s.journal_quota) for row, s in said),
        ),
        _by_gateway(
            "outage_left_seconds",
            "Seconds that the journal would last without the cloud; absent when that is not known",
            left,
        ),
        _by_gateway(
            "clock_quality",
            "What its clock is worth: 0 unknown, 1 free, 2 set by the cloud, 3 kept right",
            ((row, s.clock) for row, s in said),
        ),
        _by_gateway(
            "devices", "Devices of the gateway", ((row, len(s.devices)) for row, s in said)
        ),
        _by_gateway(
            "devices_failing",
            "Devices that do not answer the gateway as they should",
            ((row, sum(one.state == "failing" for one in s.devices)) for row, s in said),
        ),
    )


def _by_gateway(name: str, text: str, values: Iterable[tuple[GatewayRow, float]]) -> Family:
    samples = [((row.key,), value) for row, value in values]
    return Family(f"inmetter_gateway_{name}", text, samples, ("gateway",))


def _online(row: GatewayRow, now_ms: int) -> bool:
    return row.online and row.seen_at is not None and now_ms - row.seen_at <= SEEN_WITHIN_MS


def _waiting(uow: UnitOfWork) -> list[Family]:
    waiting = uow.figures.waiting()
    open_commands = uow.figures.commands(sorted(OPEN))
    return [
        gauge("inmetter_ledger_gaps", "Streams that lack entries", waiting.gaps),
        gauge(
            "inmetter_ledger_gaps_alarmed",
            "Streams that lack entries which were asked for in vain",
            waiting.gaps_told,
        ),
        gauge("inmetter_alarms_open", "Alarms that nobody has acknowledged", waiting.alarms),
        gauge("inmetter_quarantine_messages", "Messages kept in quarantine", waiting.quarantined),
        Family(
            "inmetter_message_log_oldest_timestamp_seconds",
            "When the oldest message of the log was received, Unix time; absent when none is kept",
            [((), oldest / 1000)] if (oldest := uow.messages.oldest()) is not None else [],
            (),
        ),
        gauge("inmetter_hours_to_sum_up", "Hours of a register to be summed up", waiting.marks),
        Family(
            "inmetter_kept_since_timestamp_seconds",
            "From when on readings and hours are kept, Unix time; absent when all are",
            [((data,), at / 1000) for data, at in uow.kept.since()._asdict().items() if at],
            ("data",),
        ),
        Family(
            "inmetter_commands_open",
            "Commands whose outcome is still waited for, by state",
            [((state,), open_commands.get(state, 0)) for state in sorted(OPEN)],
            ("state",),
        ),
    ]


def _sizes(uow: UnitOfWork, file: Path | None) -> list[Family]:
    """Of a server what each table takes; of a file its size, and what room the disk has."""
    if file is None:
        return [
            Family(
                "inmetter_database_table_bytes",
                "Bytes that a table takes with its keys, about; asked once a minute; not on SQLite",
                [((name,), size) for name, size in uow.figures.table_bytes().items()],
                ("table",),
            )
        ]
    disk = shutil.disk_usage(file.parent)
    files = [file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))]
    return [
        gauge(
            "inmetter_database_file_bytes",
            "Bytes that the files of an SQLite database take",
            sum(map(_bytes, files)),
        ),
        gauge(
            "inmetter_disk_free_bytes", "Bytes free on the disk of an SQLite database", disk.free
        ),
        gauge(
            "inmetter_disk_size_bytes", "Bytes that the disk of an SQLite database has", disk.total
        ),
    ]


def _bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
