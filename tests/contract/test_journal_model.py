"""The journal against a model of it that keeps everything in lists: any order of calls."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from common.clock import ManualClock
from common.messages.uplink import Catalog, Event, Readings, Value, decode_body
from edge_agent.store.database import Database
from edge_agent.store.journal import Journal, Keeping
from edge_agent.store.retention import Retention
from tests.unit.edge_parts import NOW, event, everything

FULL = 98_304
"""A quota that a few dozen fat readings exceed: the empty file has some 80,000 bytes."""

STEP_S = 100
Result = TypeVar("Result")


class JournalMachine(RuleBasedStateMachine):
    """``said``: every body ever appended, by number; ``settled``: what the cloud has.

    ``own_from``: the first number since the cloud was last heard, before this boot or in it.

    What is lost or gone is the journal's choice, within the invariants: what the cloud has is never
    lost, what it lacks is never gone, and neither comes back.
    """

    overflow: Literal["drop_oldest", "drop_newest", "thin"] = "drop_oldest"

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self._loop = asyncio.new_event_loop()
        self._clock = ManualClock(NOW)
        self._live: list[int] = []
        self.said: dict[int, tuple[int, str]] = {}
        self.settled: set[int] = set()
        self.kept: set[int] = set()
        self.lost: dict[int, str] = {}
        self.boots = 0
        self._unheard_from: int | None = None
        self._open()
        self.stream = self._journal.stream

    def _open(self) -> None:
        self._database = Database(Path(self._directory.name) / "edge.db")
        keeping = Keeping(30, FULL, self.overflow, 3)
        opening = Journal.open(self._database, self._clock, keeping)
        self._journal = self._loop.run_until_complete(opening)
        self._journal.on_appended = lambda new, _urgent: self._live.extend(
            entry.seq for entry in new.entries
        )
        self.boots += 1
        self._unheard_from = self.own_from = self._unheard_from or len(self.said) + 1
        self.heard = False

    @rule(count=st.integers(1, 6), catalog=st.booleans())
    def append(self, count: int, catalog: bool) -> None:
        now = self._clock.now_ms()
        number = len(self.said)
        said = [event(f"entry {number + i}") for i in range(count)]
        first, last = self._run(lambda: self._journal.append(*said, *[Catalog(now, [])] * catalog))
        assert (first, last) == (number + 1, number + count + catalog)
        for i in range(count):
            self.said[first + i] = (now, said[i].text)
        if catalog:
            self.said[last] = (now, "catalog")
        self.kept |= set(range(first, last + 1))

    @rule(count=st.integers(1, 30), register=st.integers(1, 3))
    def measure(self, count: int, register: int) -> None:
        now = self._clock.now_ms()
        bodies = [Readings(now, [Value(register, i)] * 20) for i in range(count)]
        first, last = self._run(lambda: self._journal.append(*bodies))
        assert (first, last) == (len(self.said) + 1, len(self.said) + count)
        for seq in range(first, last + 1):
            self.said[seq] = (now, f"register {register}")
        if self._journal.tail.full:
            self.lost |= dict.fromkeys(range(first, last + 1), "quota: drop_newest")
        else:
            self.kept |= set(range(first, last + 1))

    @rule(first=st.integers(-1, 60), length=st.integers(0, 60), ours=st.booleans())
    def settle(self, first: int, length: int, ours: bool) -> None:
        last = first + length - 1
        known = ours and 1 <= first <= last <= len(self.said)
        stream = self.stream if ours else "e" * 32
        assert self._run(lambda: self._journal.settle(stream, first, last)) is known
        if known:
            self.settled |= set(range(first, last + 1))

    @rule(ranges=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 15)), max_size=4))
    def resume(self, ranges: list[tuple[int, int]]) -> None:
        committed = [(first, first + more) for first, more in ranges]
        named = _numbers(committed)
        unsent = len(self.said) + 1 if self.heard else self.own_from
        overtaken = max(named, default=0) >= unsent
        assert self._run(lambda: self._journal.resume(self.stream, committed)) is not overtaken
        gone = set(self.said) - self.kept - set(self.lost)
        known = {seq for seq in named if seq < self.own_from} if overtaken else named
        reason = "deleted after it was committed (kept 30 days)"
        self.lost |= dict.fromkeys(gone - known, reason)
        if overtaken:
            self._renew(known)
        self.settled = set() if overtaken else named
        self._unheard_from, self.heard = None, True

    def _renew(self, known: set[int]) -> None:
        assert self._journal.stream != self.stream
        reason, self.stream = f"said in stream {self.stream}", self._journal.stream
        kept, lost = self.kept, self.lost
        gone = set(self.said) - kept - set(lost)
        catalogs = {seq for seq in kept if self.said[seq][1] == "catalog"}
        deleted = (known & kept) - catalogs
        assert self._take_stock() == deleted
        assert set(self.lost) == set(lost) | gone | deleted
        for seq, why in self.lost.items():
            assert why == lost.get(seq, reason) or (why == reason and seq in known)

    @rule(age=st.integers(0, 3))
    def prune(self, age: int) -> None:
        before = self._clock.now_ms() - age * STEP_S * 1000
        self._run(lambda: Retention(self._journal).prune(before))
        for seq in self._take_stock():
            assert self.said[seq][0] < before
            assert seq in self.settled

    @rule()
    def make_room(self) -> None:
        count = len(self.said)
        before = dict(self.lost)
        self._run(lambda: Retention(self._journal).make_room())
        for seq in range(count + 1, self._journal.next_seq):
            self.said[seq] = (self._clock.now_ms(), "")
            self.kept.add(seq)
        had = self.kept | set(before)
        left = self._take_stock()
        reason = f"quota: {self.overflow}"
        for seq in left:
            if seq in self.lost and seq not in before:
                assert self.lost[seq].startswith(reason)
                assert self.overflow != "drop_newest"
                assert seq not in self.settled, "what the cloud has was given up"
                assert self.said[seq][1] != "catalog"
            else:
                assert seq in self.settled, "what the cloud lacks is gone without a word"
        given_up = set(self.lost) - set(before)
        if given_up:
            there = {seq for seq in self.settled & had if self.said[seq][1] != "catalog"}
            assert not there & self.kept, "given up while something settled was still there"
        used = self._run(self._journal.used)
        if used > FULL:
            measured = {seq for seq in self.kept if self.said[seq][1].startswith("register")}
            assert self._journal.tail.full or not measured - self.settled

    def _take_stock(self) -> set[int]:
        """What was kept or lost before, and is no more what it was."""
        found = self._run(lambda: everything(self._journal))
        kept = {entry.seq for entry in found.entries}
        lost = {seq: one.reason for one in found.lost for seq in range(one.first, one.last + 1)}
        assert kept <= self.kept
        changed = (self.kept - kept) | (set(self.lost) - set(lost))
        self.kept, self.lost = kept, lost
        return changed

    @rule()
    def let_time_pass(self) -> None:
        self._clock.advance(STEP_S)

    @precondition(lambda self: self.boots < 5)
    @rule()
    def restart(self) -> None:
        self._database.close()
        self._open()

    @invariant()
    def everything_is_as_in_the_model(self) -> None:
        journal = self._journal
        assert journal.stream == self.stream
        assert journal.boot == self.boots
        assert journal.next_seq == len(self.said) + 1
        assert not self.kept & set(self.lost)
        assert set(self.said) - self.kept - set(self.lost) <= self.settled
        unsettled = _numbers(journal.unsettled(1, 10_000))
        assert unsettled == set(self.said) - self.settled
        assert journal.queued() == len(unsettled)
        assert (journal.entries, journal.lost) == (len(self.kept), len(self.lost))
        assert journal.first_kept == min(self.kept | unsettled, default=journal.next_seq)
        found = self._run(lambda: everything(journal))
        assert [entry.seq for entry in found.entries] == sorted(self.kept)
        assert {
            seq: one.reason for one in found.lost for seq in range(one.first, one.last + 1)
        } == self.lost
        for first, last in journal.unsettled(1, 10_000):
            chunk = self._run(partial(journal.read, first, last, 9999, 2**30))
            assert (chunk.first, chunk.last) == (first, last), "an unsettled range has a hole"
        for entry in found.entries:
            body = decode_body(entry.body)
            said = self.said[entry.seq][1]
            if isinstance(body, Readings):
                assert said == f"register {body.r[0].no}"
            elif said:
                assert (body.text if isinstance(body, Event) else "catalog") == said
            else:
                assert isinstance(body, Event)
                assert body.code in {"journal_overflow", "journal_room_again"}
        assert self._live == sorted(self._live)

    def _run(self, call: Callable[[], Awaitable[Result]]) -> Result:
        async def wait() -> Result:
            return await call()

        return self._loop.run_until_complete(wait())

    def teardown(self) -> None:
        self._database.close()
        self._loop.close()
        self._directory.cleanup()


def _numbers(ranges: Iterable[tuple[int, int]]) -> set[int]:
    return {seq for first, last in ranges for seq in range(first, last + 1)}


class NewestMachine(JournalMachine):
    overflow = "drop_newest"


class ThinMachine(JournalMachine):
    overflow = "thin"


SETTINGS = settings(
    max_examples=25,
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.too_slow],
)
TestDropOldest = JournalMachine.TestCase
TestDropOldest.settings = SETTINGS
TestDropNewest = NewestMachine.TestCase
TestDropNewest.settings = SETTINGS
TestThin = ThinMachine.TestCase
TestThin.settings = SETTINGS
