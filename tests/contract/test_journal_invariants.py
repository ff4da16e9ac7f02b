"""What must not happen to the journal; each test breaks one invariant of its module's header."""

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest

from common.clock import ManualClock
from common.errors import ConfigError
from common.messages.uplink import Catalog, decode_body
from edge_agent.store.chunk import Chunk
from edge_agent.store.database import Damaged, Database, StorageError, set_aside
from edge_agent.store.journal import Journal
from edge_agent.store.retention import Retention
from edge_agent.store.tail import Transaction
from tests.unit.edge_parts import NOW, bodies, event, everything, opened, texts, turns

DAY_MS = 86_400_000


async def test_an_entry_never_changes_and_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        stream = journal.stream
        assert await journal.append(event("a"), event("b")) == (1, 2)
    async with opened(tmp_path) as journal:
        assert (journal.stream, journal.boot, journal.next_seq) == (stream, 2, 3)
        assert await journal.append(event("c")) == (3, 3)
        assert await texts(journal) == ["a", "b", "c"]


async def test_a_number_is_not_used_again_after_everything_was_deleted(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        await journal.append(event(), event())
        await journal.settle(journal.stream, 1, 2)
        clock.advance(60)
        assert await Retention(journal).prune(clock.now_ms()) == 2
    async with opened(tmp_path, clock) as journal:
        assert (journal.first_kept, journal.next_seq) == (3, 3)
        assert await journal.append(event()) == (3, 3)


async def test_a_failing_write_leaves_no_trace_and_harms_no_other(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:

        def fails(transaction: Transaction) -> None:
            transaction.append(event("never"))
            raise ConfigError("on purpose")

        def breaks_sql(transaction: Transaction) -> None:
            transaction.append(event("never"))
            transaction.connection.execute("SELECT nothing FROM nowhere")

        outcomes = await asyncio.gather(
            journal.append(event("one")),
            journal.write(fails),
            journal.write(breaks_sql),
            journal.append(event("two")),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [tuple, ConfigError, StorageError, tuple]
        assert outcomes[0] == (1, 1)
        assert outcomes[3] == (2, 2)
        assert await texts(journal) == ["one", "two"]
        assert journal.next_seq == 3


async def test_a_cancelled_writer_does_not_leave_the_journal_behind_its_file(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as journal:
        appended: list[int] = []
        journal.on_appended = lambda new, _urgent: appended.extend(
            entry.seq for entry in new.entries
        )
        first = journal.append(event("one"))
        first.cancel()
        await journal.append(event("two"))
        assert appended == [1, 2]
        assert (journal.next_seq, journal.queued()) == (3, 2)


async def test_entries_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await asyncio.gather(*(journal.append(event(), event()) for _ in range(100)))
        assert [entry.seq for entry in (await everything(journal)).entries] == [*range(1, 201)]


async def test_entries_are_told_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        told: list[int] = []
        journal.on_appended = lambda new, _urgent: told.extend(entry.seq for entry in new.entries)
        writing = []
        for number in range(2000):
            writing.append(journal.append(event(), event()))
            if number % 7 == 0:
                await turns(1)
        await asyncio.gather(*writing)
        assert told == list(range(1, 4001))


async def test_a_callback_that_fails_does_not_leave_others_waiting(tmp_path: Path) -> None:
    errors: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    async with opened(tmp_path) as journal:

        def fails(_: object) -> None:
            raise ZeroDivisionError("on purpose")

        writing = [journal.append(event())]
        writing.append(journal.write(lambda transaction: transaction.append(event()), fails))
        writing.append(journal.append(event()))
        assert [await writing[0], await writing[2]] == [(1, 1), (3, 3)]
        assert journal.next_seq == 4
    assert [type(error) for error in errors] == [ZeroDivisionError]


async def test_settled_entries_are_never_queued_again_even_after_a_restart(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as journal:
        await journal.append(*[event()] * 10)
        assert await journal.settle(journal.stream, 3, 5)
        assert await journal.settle(journal.stream, 8, 8)
    async with opened(tmp_path) as journal:
        assert journal.unsettled(1, 10) == [(1, 2), (6, 7), (9, 10)]
        assert journal.queued() == 6
        assert await journal.settle(journal.stream, 6, 7)
    async with opened(tmp_path) as journal:
        assert journal.unsettled(1, 10) == [(1, 2), (9, 10)]


@pytest.mark.parametrize(("first", "last"), [(0, 1), (-5, 2), (2, 1), (3, 4), (1, 4), (9, 9)])
async def test_an_ack_for_entries_that_do_not_exist_settles_nothing(
    tmp_path: Path, first: int, last: int
) -> None:
    async with opened(tmp_path) as journal:
        await journal.append(*[event()] * 3)
        assert not await journal.settle(journal.stream, first, last)
        assert journal.queued() == 3


async def test_an_ack_for_another_stream_settles_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.append(event())
        assert not await journal.settle("0" * 32, 1, 1)
        assert journal.queued() == 1


async def test_an_ack_that_comes_twice_is_harmless(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.append(*[event()] * 3)
        for _ in range(2):
            assert await journal.settle(journal.stream, 1, 2, [(2, "bad"), (3, "not in range")])
        assert (journal.queued(), journal.rejected) == (1, 1)


async def test_an_unsettled_entry_is_never_deleted_however_old(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        await journal.append(*[event()] * 5)
        await journal.settle(journal.stream, 1, 2)
        await journal.settle(journal.stream, 4, 5)
        clock.advance(400 * 86400)
        assert await Retention(journal).prune(clock.now_ms()) == 4
        assert (journal.first_kept, journal.unsettled(1, 5)) == (3, [(3, 3)])
        assert len(await bodies(journal)) == 1


async def test_a_young_settled_entry_is_not_deleted(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        await journal.append(event(), event())
        clock.advance(30 * 86400)
        await journal.append(event())
        await journal.settle(journal.stream, 1, 3)
        assert await Retention(journal).prune(clock.now_ms() - 29 * DAY_MS) == 2
        assert journal.first_kept == 3


async def test_an_entry_that_a_resume_queued_again_is_not_deleted(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        await journal.resume(journal.stream, [])
        await journal.append(*[event()] * 4)
        await journal.settle(journal.stream, 1, 4)
        clock.advance(86400)
        resumed = asyncio.ensure_future(journal.resume(journal.stream, [(1, 1)]))
        pruned = asyncio.ensure_future(Retention(journal).prune(clock.now_ms()))
        assert await resumed
        assert await pruned == 1
        assert journal.unsettled(1, 4) == [(2, 4)]


async def test_the_newest_catalog_is_never_deleted(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        await journal.append(Catalog(NOW, []), event(), event())
        await journal.append(Catalog(NOW, []), event())
        await journal.settle(journal.stream, 1, 5)
        clock.advance(60)
        assert await Retention(journal).prune(clock.now_ms()) == 4
        kept = (await everything(journal)).entries
        assert [(entry.seq, type(decode_body(entry.body))) for entry in kept] == [(4, Catalog)]
        assert journal.unsettled_catalogs() == []
        assert await Retention(journal).prune(clock.now_ms()) == 0


async def test_what_a_resume_does_not_name_is_queued_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.resume(journal.stream, [])
        await journal.append(*[event()] * 9)
        await journal.settle(journal.stream, 1, 9)
        assert await journal.resume(journal.stream, [(1, 3), (5, 5)])
        assert journal.unsettled(1, 9) == [(4, 4), (6, 9)]
    async with opened(tmp_path) as journal:
        assert journal.unsettled(1, 9) == [(4, 4), (6, 9)]


async def test_a_resume_for_another_stream_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.append(event(), event())
        await journal.settle(journal.stream, 1, 1)
        assert not await journal.resume("f" * 32, [(1, 2)])
        assert journal.unsettled(1, 2) == [(2, 2)]


async def test_a_batch_stays_below_its_limits_but_is_never_empty(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.append(*[event("x" * 1000)] * 10)
        assert len((await journal.read(1, 10, 4, 10**6)).entries) == 4
        assert len((await journal.read(1, 10, 100, 2500)).entries) == 2
        assert len((await journal.read(3, 10, 100, 10)).entries) == 1
        assert await journal.read(11, 20, 100, 10) == Chunk([], [])


async def test_the_oldest_unsettled_entry_tells_its_age(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        assert await journal.oldest_at() is None
        await journal.append(event())
        clock.advance(5)
        await journal.append(event())
        assert await journal.oldest_at() == NOW
        await journal.settle(journal.stream, 1, 1)
        assert await journal.oldest_at() == NOW + 5000


async def test_a_write_after_the_end_fails_instead_of_waiting_for_ever(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        last = journal.append(event())
    assert await last == (1, 1)
    with pytest.raises(StorageError, match="closed"):
        await journal.append(event())


def test_a_second_agent_on_the_same_file_is_refused(tmp_path: Path) -> None:
    first = Database(tmp_path / "edge.db")
    with pytest.raises(ConfigError, match="another edge agent"):
        Database(tmp_path / "edge.db")
    first.close()
    Database(tmp_path / "edge.db").close()


def test_nobody_else_can_read_the_file(tmp_path: Path) -> None:
    database = Database(tmp_path / "data" / "edge.db")
    try:
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
        for part in (tmp_path / "data").iterdir():
            assert part.stat().st_mode & 0o077 == 0, part
    finally:
        database.close()


def test_a_file_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "edge.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigError, match="schema version 99"):
        Database(path)


async def test_a_damaged_file_is_set_aside_and_the_journal_begins_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.append(*[event("y" * 2000)] * 50)
        stream = journal.stream
    path = tmp_path / "edge.db"
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(4096 * 8))
    with pytest.raises(Damaged):
        Database(path)
    aside = set_aside(path, NOW)
    assert aside.stat().st_size > 4096 * 10
    async with opened(tmp_path) as journal:
        assert journal.stream != stream
        assert journal.next_seq == 1


async def test_damage_found_at_run_time_is_remembered_until_the_next_start(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as journal:
        await journal.append(*[event("z" * 3000)] * 200)
    with (tmp_path / "edge.db").open("r+b") as file:
        for page in range(20, 100):
            file.seek(4096 * page)
            file.write(b"\xff" * 4096)
    database = _open_unchecked(tmp_path / "edge.db")
    try:
        journal = await Journal.open(database, ManualClock(NOW))
        with pytest.raises(Damaged):
            await journal.read(1, 200, 1000, 10**9)
    finally:
        database.close()
    with pytest.raises(Damaged, match="while it was in use"):
        Database(tmp_path / "edge.db")


async def test_an_error_between_two_writes_does_not_leave_later_ones_waiting(
    tmp_path: Path,
) -> None:
    database = Database(tmp_path / "edge.db")
    refusals = [sqlite3.SQLITE_DENY]

    def refuse_one_pragma(action: int, *_: object) -> int:
        refused = action == sqlite3.SQLITE_PRAGMA and refusals
        return refusals.pop() if refused else sqlite3.SQLITE_OK

    try:
        await database.write(lambda one: one.set_authorizer(refuse_one_pragma), lazy=True)
        with pytest.raises(StorageError):
            await database.write(lambda one: one.execute("SELECT 1").fetchone())
        assert await database.write(lambda one: one.execute("SELECT 1").fetchone()) == (1,)
    finally:
        database.close()


async def test_damage_that_cannot_be_marked_does_not_leave_later_writes_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.store.database._mark", lambda path: path / "no" / "directory")
    async with opened(tmp_path) as journal:

        def finds_damage(_: Transaction) -> None:
            error = sqlite3.DatabaseError("on purpose")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error

        with pytest.raises(Damaged):
            await journal.write(finds_damage)
        assert await journal.append(event()) == (1, 1)


async def test_a_full_disk_does_not_keep_the_journal_from_opening(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.append(event("kept"))
        stream = journal.stream
    database = Database(tmp_path / "edge.db")
    try:
        await database.write(lambda connection: connection.execute("PRAGMA query_only = 1").close())
        journal = await Journal.open(database, ManualClock(NOW))
        assert (journal.stream, journal.boot, journal.queued()) == (stream, 2, 1)
        assert await texts(journal) == ["kept"]
        with pytest.raises(StorageError):
            await journal.append(event("not kept"))
        await database.write(lambda connection: connection.execute("PRAGMA query_only = 0").close())
        assert await journal.append(event("kept")) == (2, 2)
    finally:
        database.close()


def _open_unchecked(path: Path) -> Database:
    """As a large file is opened: without a check of every page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge_agent.store.database.CHECKED_BYTES", 0)
        return Database(path)
