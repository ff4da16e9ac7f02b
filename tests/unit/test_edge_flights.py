"""The uplink's batches in flight, against a cloud that is a function."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common.clock import SystemClock
from common.messages.batch import Lost, unpack
from common.messages.downlink import Ack, Rejection, Resume
from common.messages.uplink import Hello, Readings, Value
from edge_agent.store.chunk import Chunk
from edge_agent.store.journal import Journal
from edge_agent.uplink import Pace, Uplink
from tests.unit.edge_parts import NOW, event, opened, until

PACE = Pace(entries=10, live_window=4, backlog_window=4, live_entries=50, answer_s=30)


class Far:
    """Knows nothing at hello, and acknowledges each batch, but not while ``holds``."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.holds = False
        self.held: list[Ack] = []
        self.sent: set[tuple[int, int]] = set()
        self.unanswered: set[tuple[int, int]] = set()
        self.sent_in_vain: list[tuple[int, int]] = []
        self.seqs: list[list[int]] = []
        self.lost: set[Lost] = set()
        self.uplink = Uplink(journal, self.publish, self._hello, SystemClock(), PACE)

    async def publish(self, leaf: str, payload: bytes) -> None:
        if leaf == "hello":
            await self.uplink.on_resume(Resume(self.journal.stream, []))
            return
        batch = unpack(payload)
        key = batch.first, batch.last
        if key in self.unanswered:
            self.sent_in_vain.append(key)
        self.unanswered.add(key)
        self.sent.add(key)
        self.seqs.append(list(batch.bodies()))
        self.lost |= set(batch.lost)
        ack = Ack(batch.stream, batch.first, batch.last)
        if self.holds:
            self.held.append(ack)
        else:
            asyncio.get_running_loop().call_soon(self.answer, ack)

    def answer(self, ack: Ack) -> None:
        self.unanswered.discard((ack.first, ack.last))
        self.uplink.on_ack(ack)

    def release(self) -> None:
        self.holds = False
        for ack in self.held:
            self.answer(ack)

    def _hello(self) -> Hello:
        stream = self.journal.stream
        return Hello(stream, 1, self.journal.next_seq, 1, 1, "n", "s", "s", "UTC", "a")


@asynccontextmanager
async def flying(path: Path) -> AsyncIterator[Far]:
    async with opened(path) as journal:
        far = Far(journal)
        far.uplink.connected()
        running = asyncio.ensure_future(far.uplink.run())
        await until(lambda: far.uplink.state == "sending")
        yield far
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_range_that_flies_is_not_sent_a_second_time_and_no_place_is_lost(
    tmp_path: Path,
) -> None:
    async with flying(tmp_path) as far:
        for _ in range(3):
            far.holds, far.held = True, []
            before = len(far.sent)
            for _ in range(12):
                await far.journal.append(*[event()] * 10)
            await until(lambda wanted=before + 4: len(far.sent) >= wanted)  # type: ignore[misc]
            far.release()
            await until(lambda: far.journal.queued() == 0)
        await far.journal.append(event("live"))
        await until(lambda: far.journal.queued() == 0)
        assert far.sent_in_vain == []


async def test_a_batch_with_a_gap_never_leaves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with flying(tmp_path) as far:
        read = far.journal.read
        gaps = [2]

        async def with_a_gap(first: int, last: int, entries: int, size: int) -> Chunk:
            found = await read(first, last, entries, size)
            kept = [one for one in found.entries if one.seq not in gaps or not gaps.pop()]
            return Chunk(kept, found.lost)

        far.journal.read = with_a_gap  # type: ignore[method-assign]
        await far.journal.append(*[event()] * 5)
        await until(lambda: far.journal.queued() == 0)
        far.seqs.clear()
        await far.uplink.on_resume(Resume(far.journal.stream, []))
        await until(lambda: far.journal.queued() == 0)
        assert gaps == []
        assert far.seqs == [[1, 2, 3, 4, 5]]
        assert "entries 1 to 5 are not whole" in caplog.text


async def test_what_another_stream_rejects_is_not_told_as_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with flying(tmp_path) as far:
        await far.journal.append(event())
        await until(lambda: far.journal.queued() == 0)
        far.uplink.on_ack(Ack("0" * 32, 1, 1, [Rejection(1, "not of ours")]))
        await far.journal.oldest_at()
        assert far.journal.rejected == 0
        assert "not of ours" not in caplog.text


async def test_what_was_lost_is_told_to_the_cloud(tmp_path: Path) -> None:
    async with flying(tmp_path) as far:
        far.journal.tail.full = True
        await far.journal.append(event(), Readings(NOW, [Value(1, 5)]))
        await far.journal.append(Readings(NOW, [Value(1, 6)]), event())
        await until(lambda: far.journal.queued() == 0)
        told = {seq for one in far.lost for seq in range(one.first, one.last + 1)}
        assert told == {2, 3}
        assert {one.reason for one in far.lost} == {"quota: drop_newest"}
