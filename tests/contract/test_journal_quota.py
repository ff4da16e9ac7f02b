"""What must not happen when the journal comes to its quota."""

from collections import Counter
from pathlib import Path
from typing import Literal

import pytest

from common.clock import ManualClock
from common.messages.uplink import (
    Catalog,
    CommandReport,
    Event,
    Readings,
    Telegram,
    Value,
    decode_body,
)
from edge_agent.store.journal import Journal, Keeping
from edge_agent.store.retention import Retention
from tests.unit.edge_parts import NOW, bodies, event, everything, opened

QUOTA = 400_000
REPORT = CommandReport(NOW, "0" * 32, "succeeded", 1)


def reading(*numbers: int, at: int = NOW) -> Readings:
    return Readings(at, [Value(no, 123_456_789, 0, 987_654_321) for no in numbers])


async def fill(journal: Journal, count: int = 6000, registers: int = 4) -> None:
    """More readings than there is room for: each register in turn."""
    await journal.append(*[reading(1 + i % registers) for i in range(count)])


async def told(journal: Journal) -> list[Event]:
    codes = {"journal_overflow", "journal_room_again"}
    return [one for one in await bodies(journal) if isinstance(one, Event) and one.code in codes]


async def lost(journal: Journal) -> dict[int, str]:
    found = (await everything(journal)).lost
    return {seq: one.reason for one in found for seq in range(one.first, one.last + 1)}


async def test_what_the_cloud_lacks_is_not_given_up_while_something_settled_is_there(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, keeping=Keeping(size=QUOTA)) as journal:
        await fill(journal)
        await journal.settle(journal.stream, 2001, 6000)
        await Retention(journal).make_room()
        assert await journal.used() <= QUOTA
        assert journal.unsettled(1, 6000) == [(1, 2000)]
        assert await lost(journal) == {}
        assert await told(journal) == []
        kept = {entry.seq for entry in (await everything(journal)).entries}
        assert set(range(1, 2001)) < kept, "settled entries stay as long as there is room"


async def test_a_journal_below_its_quota_loses_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, keeping=Keeping(size=QUOTA)) as journal:
        await fill(journal, 1000)
        await Retention(journal).make_room()
        assert journal.entries == 1000


@pytest.mark.parametrize("overflow", ["drop_oldest", "thin", "drop_newest"])
async def test_nothing_is_given_up_without_a_record_of_its_loss(
    tmp_path: Path, overflow: str
) -> None:
    keeping = Keeping(size=QUOTA, overflow=overflow, thin=5)  # type: ignore[arg-type]
    async with opened(tmp_path, keeping=keeping) as journal:
        await journal.append(Catalog(NOW, []), REPORT, event("early"))
        for _ in range(3):
            await fill(journal)
            await Retention(journal).make_room()
        if overflow != "drop_newest":
            assert await journal.used() <= QUOTA
        gone = await lost(journal)
        assert gone
        assert {reason.split(" 1 in")[0] for reason in gone.values()} == {f"quota: {overflow}"}
        kept = {entry.seq for entry in (await everything(journal)).entries}
        assert kept | set(gone) == set(range(1, journal.next_seq))
        assert not kept & set(gone)
        assert {1, 2, 3} <= kept, "a catalog, a report or an event was given up for a reading"
        assert journal.unsettled(1, 10**6) == [(1, journal.next_seq - 1)]
        [alarm] = await told(journal)
        assert (alarm.code, alarm.severity) == ("journal_overflow", "alarm")
        assert alarm.data["policy"] == overflow
    async with opened(tmp_path, keeping=keeping) as journal:
        assert await lost(journal) == gone
        assert journal.lost == len(gone)


async def test_a_thinned_register_never_loses_its_last_reading(tmp_path: Path) -> None:
    keeping = Keeping(size=QUOTA, overflow="thin", thin=10)
    async with opened(tmp_path, keeping=keeping) as journal:
        await journal.append(reading(77))
        await fill(journal, 8000)
        await journal.append(reading(1, 2, 99), reading(88))
        await Retention(journal).make_room()
        count: Counter[int] = Counter()
        for body in await bodies(journal):
            if isinstance(body, Readings):
                count.update(value.no for value in body.r)
        assert count[77] == count[88] == count[99] == 1
        assert all(count[no] >= 200 for no in (1, 2, 3, 4))


async def test_thinning_by_half_makes_room_for_as_much(tmp_path: Path) -> None:
    keeping = Keeping(size=QUOTA, overflow="thin", thin=2)
    async with opened(tmp_path, keeping=keeping) as journal:
        await fill(journal, 5000)
        await Retention(journal).make_room()
        assert await journal.used() <= QUOTA
        assert set((await lost(journal)).values()) == {"quota: thin 1 in 2"}
        first = (await everything(journal)).entries[:100]
        assert [entry.seq for entry in first[:8]] == [1, 2, 3, 4, 9, 10, 11, 12]


async def test_an_event_is_not_refused_while_readings_are(tmp_path: Path) -> None:
    keeping = Keeping(size=QUOTA, overflow="drop_newest")
    async with opened(tmp_path, keeping=keeping) as journal:
        await fill(journal)
        await Retention(journal).make_room()
        first, last = await journal.append(reading(1), event("taken"), REPORT, reading(2))
        assert last - first == 3
        assert set(await lost(journal)) == {first, last}
        kept = [decode_body(one.body) for one in (await journal.read(first, last, 9, 9999)).entries]
        assert [type(body) for body in kept] == [Event, CommandReport]


async def test_readings_are_taken_again_when_there_is_room(tmp_path: Path) -> None:
    keeping = Keeping(size=QUOTA, overflow="drop_newest")
    async with opened(tmp_path, keeping=keeping) as journal:
        retention = Retention(journal)
        await fill(journal)
        await retention.make_room()
        await journal.append(reading(1), reading(1))
        await journal.settle(journal.stream, 1, journal.next_seq - 1)
        assert journal.grown.is_set(), "nobody looks whether there is room"
        await retention.make_room()
        await retention.make_room()
        first, last = await journal.append(reading(1))
        assert len((await journal.read(first, last, 9, 9999)).entries) == 1
        assert [one.code for one in await told(journal)][-1] == "journal_room_again"
        assert (await told(journal))[-1].data == {"lost": 2}


async def test_one_overflow_is_told_once_even_over_a_restart(tmp_path: Path) -> None:
    keeping = Keeping(size=QUOTA)
    for _ in range(3):
        async with opened(tmp_path, keeping=keeping) as journal:
            await fill(journal)
            await Retention(journal).make_room()
            assert [one.code for one in await told(journal)] == ["journal_overflow"]
    async with opened(tmp_path, keeping=keeping) as journal:
        await journal.settle(journal.stream, 1, journal.next_seq - 1)
        await Retention(journal).make_room()
        codes = [one.code for one in await told(journal)]
        assert codes[-1] == "journal_room_again"
        await fill(journal)
        await Retention(journal).make_room()
        assert [one.code for one in await told(journal)][-1] == "journal_overflow"


async def test_a_restored_cloud_is_not_left_to_wait_for_what_was_deleted(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock, Keeping(days=7)) as journal:
        await journal.resume(journal.stream, [])
        await journal.append(*[event()] * 10)
        await journal.settle(journal.stream, 1, 10)
        clock.advance(8 * 86_400)
        assert await Retention(journal).prune(clock.now_ms()) == 10
        assert journal.unsettled(1, 10) == []
        assert await journal.resume(journal.stream, [(1, 4), (9, 9)])
        assert journal.unsettled(1, 10) == [(5, 8), (10, 10)]
        chunk = await journal.read(5, 8, 100, 9999)
        assert [(one.first, one.last, one.reason) for one in chunk.lost] == [
            (5, 8, "deleted after it was committed (kept 7 days)")
        ]
        assert journal.first_kept == 5
    async with opened(tmp_path, clock) as journal:
        assert journal.unsettled(1, 10) == [(5, 8), (10, 10)]
        await journal.settle(journal.stream, 5, 10)
        assert journal.queued() == 0
        assert journal.next_seq == 11


async def test_a_chunk_is_never_wider_than_what_was_asked_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        journal.tail.full = True
        await journal.append(event("a"), *[reading(1)] * 5, event("b"))
        chunk = await journal.read(3, 4, 100, 9999)
        assert (chunk.first, chunk.last, chunk.entries) == (3, 4, [])
        whole = await journal.read(1, 7, 100, 9999)
        assert ([one.seq for one in whole.entries], whole.last) == ([1, 7], 7)
        assert (await journal.read(1, 7, 2, 9999)).last == 6


async def test_the_figures_say_how_long_the_room_will_last(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock, Keeping(size=10_000_000)) as journal:
        assert (await journal.figures()).hours_left is None
        for _ in range(180):
            clock.advance(60)
            await journal.append(*[reading(1)] * 10)
        found = await journal.figures()
        assert (found.entries, found.queued, found.lost) == (1800, 1800, 0)
        assert found.per_hour == pytest.approx(600, rel=0.03)
        assert found.oldest_at == found.queued_at == NOW + 60_000
        each = found.used / found.entries
        left = (10_000_000 - found.used) / each / 600
        assert found.hours_left == pytest.approx(left, rel=0.4)
        await journal.settle(journal.stream, 1, 1800)
        assert (await journal.figures()).hours_left == pytest.approx(left, rel=0.4)


def telegram() -> Telegram:
    return Telegram(NOW, "meter", "mbus", bytes(40))


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "thin"])
async def test_no_reading_is_given_up_while_there_is_a_telegram(
    tmp_path: Path, overflow: Literal["drop_oldest", "drop_newest", "thin"]
) -> None:
    keeping = Keeping(size=QUOTA, overflow=overflow, telegrams=True)
    async with opened(tmp_path, keeping=keeping) as journal:
        await fill(journal, 2500)
        await journal.append(*[telegram() for _ in range(2000)])
        await Retention(journal).make_room()
        assert await journal.used() <= QUOTA
        given_up = await lost(journal)
        assert given_up
        assert min(given_up) > 2500
        assert not journal.tail.full


async def test_a_telegram_is_not_kept_where_a_reading_is_not(tmp_path: Path) -> None:
    keeping = Keeping(size=QUOTA, overflow="drop_newest", telegrams=True)
    async with opened(tmp_path, keeping=keeping) as journal:
        await fill(journal)
        await Retention(journal).make_room()
        first, last = await journal.append(reading(1), telegram())
        assert set(await lost(journal)) == {first, last}


async def test_telegrams_of_a_device_that_keeps_none_any_more_make_room_too(tmp_path: Path) -> None:
    async with opened(tmp_path, keeping=Keeping(size=QUOTA)) as journal:
        await journal.append(*[telegram() for _ in range(6000)])
        await Retention(journal).make_room()
        assert await journal.used() <= QUOTA
