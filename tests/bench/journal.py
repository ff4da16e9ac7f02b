"""The journal by itself: appends that survive a power cut, beside raw sqlite3 on the same disk."""

import asyncio
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import msgspec

from common.clock import ManualClock, SystemClock
from common.garbage import collect_seldom
from common.messages.uplink import Readings
from edge_agent.store.database import Database, Job
from edge_agent.store.journal import Journal
from tests.bench.backlog import DEVICES, METERS, measured
from tests.bench.figures import Figure, figure, quantile
from tests.bench.load import RUNS
from tests.bench.servers import VAR

WRITERS = {1: 2_000, 32: 20_000, 1000: 20_000}
"""How many append at a time, each again as soon as it may; and how many appends they make together.
A thousand are a fleet of modules that empty their memories; what is one commit grows with them."""

CALLS = {32: 625, 1000: 20}
"""How many entries one call appends, and how many calls follow each other: a module's memory."""

A_MILLISECOND, MILLISECONDS = 5, 4000
ALONE, TOGETHER, GROUP = 1000, 20_000, 1000
NOW_MS = 1_763_900_000_000


class Counted(Database):
    """Remembers how many rows went into each commit."""

    def __init__(self, path: Path) -> None:
        self.groups: list[int] = []
        super().__init__(path)

    def _transact(self, group: list[Job]) -> None:
        before = self._connection.total_changes
        super()._transact(group)
        self.groups.append(self._connection.total_changes - before)


def appending() -> list[Figure]:
    """How many appends a second, how long one takes, and what the disk has to write for them."""
    ratios: dict[int, list[float]] = {writers: [] for writers in WRITERS}
    in_calls: dict[int, list[float]] = {entries: [] for entries in CALLS}
    p99, alone, together = [], [], []
    with tempfile.TemporaryDirectory(dir=VAR) as name:
        for run in range(RUNS):
            directory = Path(name) / str(run)
            directory.mkdir()
            for writers, found in ratios.items():
                rate, groups = asyncio.run(_saturate(directory / f"{writers}.db", writers))
                found.append(rate / _append_raw(directory / f"{writers}-raw.db", groups))
            for entries, found in in_calls.items():
                rate, groups = asyncio.run(_call(directory / f"{entries}-call.db", entries))
                found.append(rate / _append_raw(directory / f"{entries}-call-raw.db", groups))
            os.sync()  # what the others have left to be written, and deleted, is not its business
            p99.append(quantile(asyncio.run(_arrive(directory / "arrive.db")), 0.99))
            alone.append(asyncio.run(_written(directory / "alone.db", ALONE, 1)))
            together.append(asyncio.run(_written(directory / "together.db", TOGETHER, GROUP)))
    return [
        *(
            figure(f"journal.append_ratio_{writers}", found, "", "higher", target=0.6)
            for writers, found in ratios.items()
        ),
        *(
            figure(f"journal.append_ratio_{entries}_in_a_call", found, "", "higher", target=0.6)
            for entries, found in in_calls.items()
        ),
        figure("journal.append_p99_ms", p99, "ms", target=10),
        figure("journal.disk_bytes_per_reading_1", alone, "B"),
        figure(f"journal.disk_bytes_per_reading_{GROUP}", together, "B"),
    ]


def _polls() -> Iterator[Readings]:
    """Entries of five readings, without an end."""
    width = len(METERS)
    nos = [list(range(1 + width * n, 1 + width * (n + 1))) for n in range(DEVICES)]
    for minute in measured(nos, ManualClock(NOW_MS), 2**31):
        yield from minute


async def _saturate(path: Path, writers: int) -> tuple[float, list[int]]:
    """Appends a second of so many writers, and how many went into each commit."""
    database = Counted(path)
    journal = await Journal.open(database, SystemClock())
    database.groups.clear()
    bodies = iter(list(islice(_polls(), WRITERS[writers])))

    async def append() -> None:
        for body in bodies:
            await journal.append(body)

    collect_seldom()
    begun = time.perf_counter()
    await asyncio.gather(*(append() for _ in range(writers)))
    took = time.perf_counter() - begun
    await asyncio.to_thread(database.close)
    return WRITERS[writers] / took, database.groups


async def _call(path: Path, entries: int) -> tuple[float, list[int]]:
    """As ``_saturate``, of one writer that appends so many entries at once."""
    database = Counted(path)
    journal = await Journal.open(database, SystemClock())
    database.groups.clear()
    polls = _polls()
    calls = [list(islice(polls, entries)) for _ in range(CALLS[entries])]
    collect_seldom()
    begun = time.perf_counter()
    for bodies in calls:
        await journal.append(*bodies)
    took = time.perf_counter() - begun
    await asyncio.to_thread(database.close)
    return entries * CALLS[entries] / took, database.groups


def _append_raw(path: Path, groups: list[int]) -> float:
    """Rows a second with the same rows in each commit, their bodies made before."""
    bodies = [msgspec.json.encode(body) for body in islice(_polls(), sum(groups))]
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = FULL")
        file.execute(
            "CREATE TABLE entry (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,"
            " body BLOB NOT NULL) STRICT"
        )
        done = 0
        begun = time.perf_counter()
        for size in groups:
            file.execute("BEGIN")
            for body in bodies[done : done + size]:
                file.execute("INSERT INTO entry (at, body) VALUES (?, ?)", (NOW_MS, body))
            file.execute("COMMIT")
            done += size
        return done / (time.perf_counter() - begun)


async def _arrive(path: Path) -> list[float]:
    """Milliseconds of each append, from when it was due; so many are due each millisecond."""
    database = Database(path)
    journal = await Journal.open(database, SystemClock())
    loop = asyncio.get_running_loop()
    bodies = list(islice(_polls(), A_MILLISECOND * MILLISECONDS))
    took: list[float] = []
    collect_seldom()  # as the agent does
    began = loop.time()
    writes = []
    for tick in range(MILLISECONDS):
        due = began + tick / 1000
        if (wait := due - loop.time()) > 0:
            await SystemClock().sleep(wait)

        def note(_: object, due: float = due) -> None:
            took.append((loop.time() - due) * 1000)

        for body in bodies[tick * A_MILLISECOND : (tick + 1) * A_MILLISECOND]:
            writes.append(journal.append(body))
            writes[-1].add_done_callback(note)
    await asyncio.gather(*writes)
    await asyncio.to_thread(database.close)
    return took


async def _written(path: Path, entries: int, together: int) -> float:
    """Bytes that the kernel was given to write, checkpoints and all, for each reading."""
    database = Database(path)
    journal = await Journal.open(database, SystemClock())
    polls = _polls()
    before = _written_bytes()
    for _ in range(0, entries, together):
        await asyncio.gather(*(journal.append(body) for body in islice(polls, together)))
    await asyncio.to_thread(database.close)
    return (_written_bytes() - before) / (entries * len(METERS))


def _written_bytes() -> int:
    lines = Path(f"/proc/{os.getpid()}/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("write_bytes")))
