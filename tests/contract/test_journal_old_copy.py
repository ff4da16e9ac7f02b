"""What must not happen when an older copy of the data file is put back."""

import sqlite3
from contextlib import closing
from pathlib import Path

from common.messages.uplink import Catalog
from common.ranges import RangeSet
from edge_agent.store import renewal
from edge_agent.store.journal import Journal
from edge_agent.store.verify import problems
from tests.unit.edge_parts import NOW, event, everything, opened, texts


async def put_back(folder: Path) -> Path:
    """A journal with six entries, of which the cloud has answered "1" to "5"; copied here, while
    the original went on to 8."""
    async with opened(folder) as journal:
        await journal.resume(journal.stream, [])
        await journal.append(*[event(f"{number}") for number in range(1, 7)])
        await journal.settle(journal.stream, 1, 5)
    return folder


async def lost(journal: Journal) -> list[tuple[int, int, str]]:
    return [(one.first, one.last, one.reason) for one in (await everything(journal)).lost]


def is_sound(folder: Path) -> bool:
    with closing(sqlite3.connect(folder / "edge.db")) as connection:
        return not list(problems(connection))


async def test_what_the_cloud_has_is_never_said_again_in_the_new_stream(tmp_path: Path) -> None:
    async with opened(await put_back(tmp_path)) as journal:
        before = journal.stream
        assert not await journal.resume(before, [(1, 4), (6, 8)])
        assert journal.stream != before
        assert (await texts(journal), journal.unsettled(1, 99)) == (["5"], [(1, 6)])
        reason = f"said in stream {before}"
        assert await lost(journal) == [(1, 4, reason), (6, 6, reason)]
        assert (journal.entries, journal.lost, journal.first_kept) == (1, 5, 1)
        after = journal.stream
    assert is_sound(tmp_path)
    async with opened(tmp_path) as journal:
        assert (journal.stream, journal.queued()) == (after, 6)
        assert await journal.resume(after, [])
        assert (await texts(journal), journal.queued()) == (["5"], 6)


async def test_what_was_appended_since_the_copy_was_put_back_is_never_taken_for_said(
    tmp_path: Path,
) -> None:
    async with opened(await put_back(tmp_path)) as journal:
        await journal.append(event("own 7"))
        assert not await journal.resume(journal.stream, [(1, 8)])
        assert (await texts(journal), journal.queued()) == (["own 7"], 7)


async def test_an_old_copy_that_has_grown_beyond_the_cloud_loses_nothing(tmp_path: Path) -> None:
    async with opened(await put_back(tmp_path)) as journal:
        own = [f"own {number}" for number in range(7, 20)]
        await journal.append(*map(event, own))
        assert not await journal.resume(journal.stream, [(1, 8)])
        assert await texts(journal) == own


async def test_starts_that_never_heard_the_cloud_lose_nothing(tmp_path: Path) -> None:
    folder = await put_back(tmp_path)
    own = [f"own {number}" for number in range(7, 12)]
    for text in own:
        async with opened(folder) as journal:
            await journal.append(event(text))
    async with opened(folder) as journal:
        assert not await journal.resume(journal.stream, [(1, 8)])
        assert await texts(journal) == own


async def test_what_was_sent_since_the_cloud_was_heard_is_no_sign_of_an_old_copy(
    tmp_path: Path,
) -> None:
    async with opened(await put_back(tmp_path)) as journal:
        stream = journal.stream
        assert await journal.resume(stream, [(1, 5)])
        await journal.append(event("7"))
        assert await journal.resume(stream, [(1, 7)])
    async with opened(tmp_path) as journal:
        assert await journal.resume(stream, [(1, 7)])
        assert (journal.stream, journal.queued()) == (stream, 0)


async def test_what_was_sent_is_queued_again_when_the_cloud_is_ahead_after_all(
    tmp_path: Path,
) -> None:
    """Another copy at work beside this one: nobody can tell whose the numbers of this boot are."""
    async with opened(await put_back(tmp_path)) as journal:
        assert await journal.resume(journal.stream, [(1, 5)])
        await journal.append(event("own 7"))
        await journal.settle(journal.stream, 6, 7)
        assert not await journal.resume(journal.stream, [(1, 20)])
        assert await texts(journal) == ["own 7"]


async def test_a_renewal_that_was_interrupted_says_nothing_twice(tmp_path: Path) -> None:
    async with opened(await put_back(tmp_path)) as journal:
        said = RangeSet([(1, 5)])
        await journal.write(lambda one: renewal.begin(one.connection, said))
    async with opened(tmp_path) as journal:
        await journal.append(event("new"))
        assert await journal.resume(journal.stream, [])
        assert await texts(journal) == ["6", "new"]
    assert is_sound(tmp_path)


async def test_no_catalog_is_missing_in_the_new_stream(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.resume(journal.stream, [])
        await journal.append(Catalog(NOW, []), event("unsaid"), Catalog(NOW, []))
    async with opened(tmp_path) as journal:
        assert not await journal.resume(journal.stream, [(1, 1), (3, 9)])
        assert journal.unsettled_catalogs() == [1, 3]
        assert [one.seq for one in (await everything(journal)).entries] == [1, 2, 3]
