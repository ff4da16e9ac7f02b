"""What must not happen when the file is damaged: nothing but what stood on a bad page is lost."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from common.clock import ManualClock
from common.messages.uplink import Event, Salvaged, decode_body
from edge_agent.store.database import Damaged, Database, StorageError, read_only, set_aside
from edge_agent.store.journal import Journal
from edge_agent.store.salvage import NothingToSalvage, salvage
from edge_agent.store.verify import problems
from tests.unit.edge_parts import NOW, bodies, event, everything, opened

PAGE = 4096
COUNT = 300


@pytest.fixture
async def old(tmp_path: Path) -> Path:
    """A journal of 300 entries, the first 100 of which the cloud has."""
    folder = tmp_path / "old"
    async with opened(folder) as journal:
        await journal.append(
            *[event(f"{number:04d}" + "x" * 400) for number in range(1, COUNT + 1)]
        )
        await journal.settle(journal.stream, 1, 100)
    return folder / "edge.db"


def damage(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(os.urandom(PAGE))


def pages_of(path: Path) -> range:
    return range(1, path.stat().st_size // PAGE + 1)


def on_page(path: Path, page: int) -> set[int]:
    """The numbers whose text stands on the page."""
    data = path.read_bytes()[(page - 1) * PAGE : page * PAGE]
    return {seq for seq in range(1, COUNT + 1) if f'"{seq:04d}xxx'.encode() in data}


def inner_pages(path: Path) -> set[int]:
    """Those without which the table, or the whole file, cannot be found: its root, the schema."""
    whole = path.read_bytes()
    pages = {page for page in pages_of(path) if b"STRICT" in whole[(page - 1) * PAGE : page * PAGE]}
    with closing(read_only(path)) as connection:
        rows = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entry'")
        return pages | {1, *(row[0] for row in rows)}


def salvaged(found: list[object]) -> Iterator[tuple[int, str]]:
    for body in found:
        if isinstance(body, Salvaged):
            inner = decode_body(body.body)
            assert isinstance(inner, Event)
            yield body.seq, inner.text


async def test_what_stands_on_sound_pages_is_never_lost(old: Path, tmp_path: Path) -> None:
    lost_by = {page: on_page(old, page) for page in pages_of(old)}
    assert set().union(*lost_by.values()) == set(range(1, COUNT + 1))
    with closing(read_only(old)) as connection:
        [meta] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'meta'")
    nothing = inner_pages(old) | {meta[0]}
    for page in pages_of(old):
        folder = tmp_path / str(page)
        folder.mkdir()
        path = folder / "edge.db"
        shutil.copy(old, path)
        damage(path, page)
        try:
            Database(path).close()
        except Damaged:
            path = set_aside(path, NOW)
        async with opened(folder / "new") as journal:
            try:
                haul = await salvage(journal, path)
            except NothingToSalvage:
                assert page in nothing, f"page {page}"
                continue
            found = dict(salvaged(list(await bodies(journal))))
            unsettled = set(range(101, COUNT + 1)) - lost_by[page]
            assert page in nothing or unsettled <= set(found), f"page {page}"
            assert all(text.startswith(f"{seq:04d}") for seq, text in found.items())
            assert haul.queued == len(found)


async def test_nothing_is_salvaged_twice(old: Path, tmp_path: Path) -> None:
    damage(old, next(page for page in range(8, 99) if on_page(old, page) & {150}))
    async with opened(tmp_path / "new") as journal:
        first = await salvage(journal, old)
        assert first.queued == len(list(salvaged(list(await bodies(journal)))))
        assert first.queued + first.unread.count() == 200
        assert 150 in first.unread
    async with opened(tmp_path / "new") as journal:
        again = await salvage(journal, old)
        assert (again.queued, again.known) == (0, first.queued)
        assert journal.queued() == first.queued


async def test_what_the_cloud_has_is_not_queued_again(old: Path, tmp_path: Path) -> None:
    async with opened(tmp_path / "new") as journal:
        await salvage(journal, old)
        found = dict(salvaged(list(await bodies(journal))))
        assert sorted(found) == list(range(101, COUNT + 1))


async def test_what_was_salvaged_before_keeps_its_first_name(old: Path, tmp_path: Path) -> None:
    async with opened(tmp_path / "second") as journal:
        first = (await salvage(journal, old)).stream
    async with opened(tmp_path / "third") as journal:
        await salvage(journal, tmp_path / "second" / "edge.db")
        found = [one for one in await bodies(journal) if isinstance(one, Salvaged)]
        assert {one.stream for one in found} == {first}
        assert [one.seq for one in found] == list(range(101, COUNT + 1))


async def test_a_file_that_is_no_journal_is_refused_in_words(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(os.urandom(9000))
    async with opened(tmp_path / "new") as journal:
        with pytest.raises(NothingToSalvage, match="cannot be read"):
            await salvage(journal, other)
        with pytest.raises(NothingToSalvage, match="in use"):
            await salvage(journal, tmp_path / "new" / "edge.db")
        assert journal.queued() == 0


@pytest.mark.parametrize("part", range(12))
async def test_a_power_cut_takes_nothing_that_was_acknowledged(tmp_path: Path, part: int) -> None:
    """The write-ahead log is cut, or torn, at any place after the last acknowledged frame."""
    live, cut = tmp_path / "live", tmp_path / "cut"
    async with opened(live) as journal:
        for number in range(20):
            await journal.append(event(f"{number:04d}" + "y" * 500), event("pair"))
        acknowledged = journal.next_seq - 1
        wal = live / "edge.db-wal"
        sure = wal.stat().st_size
        for number in range(20, 30):
            await journal.append(event(f"{number:04d}" + "y" * 500), event("pair"))
        shutil.copytree(live, cut)
    (cut / "edge.db-shm").unlink()
    (cut / "edge.db.lock").unlink()
    torn = cut / "edge.db-wal"
    size = torn.stat().st_size
    assert sure < size
    at = sure + (size - sure) * part // 12
    with torn.open("r+b") as file:
        if part % 3 == 2:
            file.seek(at)
            file.write(os.urandom(min(900, size - at)))
        else:
            file.truncate(at + part % 2 * 100)
    async with opened(cut) as journal:
        kept = [one.seq for one in (await everything(journal)).entries]
        assert kept == list(range(1, journal.next_seq))
        assert journal.next_seq > acknowledged
        assert len(kept) % 2 == 0, "half of a transaction is there"
        texts = [one.text[:4] for one in await bodies(journal) if isinstance(one, Event)]
        assert texts[::2] == [f"{number:04d}" for number in range(len(kept) // 2)]
    with closing(read_only(cut / "edge.db")) as connection:
        assert list(problems(connection)) == []


async def test_a_full_disk_at_any_step_leaves_the_journal_whole(tmp_path: Path) -> None:
    """The database may have no page more than it has: SQLite's own error for a full disk."""
    async with opened(tmp_path) as journal:
        await journal.append(event("first"))
        await journal.write(
            lambda one: one.connection.execute("PRAGMA max_page_count = 20").close()
        )
        kept = 1
        with pytest.raises(StorageError, match="full"):
            while True:
                _, kept = await journal.append(*[event("z" * 900)] * 3)
        assert (await journal.append(event("small")))[0] in {kept + 1}
        assert journal.next_seq == kept + 2
        await journal.write(
            lambda one: one.connection.execute("PRAGMA max_page_count = 100000").close()
        )
        assert await journal.append(*[event("z" * 900)] * 3) == (kept + 2, kept + 4)
        found = [one.seq for one in (await everything(journal)).entries]
        assert found == list(range(1, kept + 5))


async def test_a_file_that_cannot_be_written_at_all_can_still_be_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.append(*[event("kept")] * 5)
    database = Database(tmp_path / "edge.db")
    try:
        await database.write(lambda one: one.execute("PRAGMA query_only = 1").close(), lazy=True)
        journal = await Journal.open(database, ManualClock(NOW))
        assert len(await bodies(journal)) == 5
        with pytest.raises(StorageError):
            await journal.append(event())
        assert journal.next_seq == 6
    finally:
        database.close()


def test_verify_finds_a_hole_and_an_entry_that_is_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "edge.db")
    database.close()
    with closing(sqlite3.connect(tmp_path / "edge.db")) as connection:
        connection.execute("INSERT INTO meta VALUES ('stream', 'x')")
        connection.executemany(
            "INSERT INTO entry VALUES (?, 1, 1, 1, 0, ?)",
            [(1, b"{}"), (2, b'{"k":"event","at":1,"code":"a","severity":"info","text":""}')],
        )
        connection.execute("INSERT INTO entry VALUES (9, 1, 1, 1, 0, x'00')")
        connection.execute("INSERT INTO lost VALUES (2, 3, 'why', 1)")
        connection.execute("INSERT INTO gone VALUES (5, 6)")
        connection.commit()
        found = list(problems(connection))
    assert [one.split(":")[0] for one in found] == [
        "4..4 are neither kept, nor lost for a reason, nor settled and deleted",
        "7..8 are neither kept, nor lost for a reason, nor settled and deleted",
        "2..2 are kept and lost at once",
        "5..6 were deleted, though the cloud has not got them",
        "entry 1",
        "entry 9",
    ]
