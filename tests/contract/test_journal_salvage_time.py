"""What must not happen to the dates of what is salvaged."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from common.clock import ManualClock
from common.messages.batch import ClockQuality
from common.messages.uplink import Body, Readings, Salvaged, Value, decode_body
from common.reading import Quality
from edge_agent.store.clock_fixes import ClockFixes
from edge_agent.store.journal import Journal
from edge_agent.store.rebase import Fix
from edge_agent.store.salvage import salvage
from tests.unit.edge_parts import NOW, bodies, event, everything, opened

MEASURED, APPENDED = 3000, 5000
"""In ms since the computer began: nobody had set its clock."""

UNDATED: list[Body] = [Readings(MEASURED, [Value(1, 7)]), event("undated", APPENDED)]
DATED = [
    Readings(NOW + MEASURED, [Value(1, 7, Quality.TIME_UNCERTAIN)]),
    event("undated", NOW + APPENDED),
]


@asynccontextmanager
async def undated(folder: Path, kernel: str) -> AsyncIterator[ClockFixes]:
    """A start of the agent that appends before it knows the time."""
    clock = ManualClock(0)
    clock.advance(APPENDED / 1000)
    async with opened(folder, clock) as journal:
        journal.quality = lambda: ClockQuality.UNKNOWN
        fixes = await ClockFixes.open(journal, kernel)
        await journal.append(*UNDATED)
        yield fixes


async def salvaged(journal: Journal, path: Path) -> list[Body]:
    await salvage(journal, path)
    return [decode_body(one.body) for one in await bodies(journal) if isinstance(one, Salvaged)]


@pytest.fixture
async def old(tmp_path: Path) -> Path:
    """Of the first boot the time was learnt, of the second it was not."""
    folder = tmp_path / "old"
    async with undated(folder, "one") as fixes:
        await fixes.write(Fix(NOW, ClockQuality.CLOUD, 60_000))
    async with undated(folder, "two"):
        pass
    return folder / "edge.db"


async def test_what_is_salvaged_is_dated_as_it_was_to_be_sent(old: Path, tmp_path: Path) -> None:
    async with opened(tmp_path / "new") as journal:
        found = await salvaged(journal, old)
        assert found == [*DATED, *UNDATED]
    async with opened(old.parent) as journal:
        fixes = await ClockFixes.open(journal, "three")
        sent = fixes.prepare((await everything(journal)).entries)
        assert found == [decode_body(entry.body) for entry in sent]


async def test_fixes_that_cannot_be_read_do_not_keep_entries_from_being_salvaged(
    old: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("DROP VIEW dated")
        connection.execute("DROP TABLE clock_fix")
    async with opened(tmp_path / "new") as journal:
        assert await salvaged(journal, old) == UNDATED * 2
