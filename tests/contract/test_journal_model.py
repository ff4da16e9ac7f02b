"""The journal against a model of it that keeps everything in lists: any order of calls."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from common.clock import ManualClock
from common.messages.uplink import Catalog, Event, decode_body
from edge_agent.store.database import Database
from edge_agent.store.journal import Journal
from tests.unit.edge_parts import NOW, event

STEP_S = 100
Result = TypeVar("Result")


class JournalMachine(RuleBasedStateMachine):
    """``said``: every body ever appended, by number; ``settled``: what the cloud has."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self._loop = asyncio.new_event_loop()
        self._clock = ManualClock(NOW)
        self._live: list[int] = []
        self.said: dict[int, tuple[int, str]] = {}
        self.settled: set[int] = set()
        self.first_kept = 1
        self.boots = 0
        self._open()
        self.stream = self._journal.stream

    def _open(self) -> None:
        self._database = Database(Path(self._directory.name) / "edge.db")
        self._journal = self._loop.run_until_complete(Journal.open(self._database, self._clock))
        self._journal.on_appended = lambda new, _urgent: self._live.extend(
            entry.seq for entry in new
        )
        self.boots += 1

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

    @rule(first=st.integers(-1, 60), length=st.integers(0, 12), ours=st.booleans())
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
        overtaken = any(last > len(self.said) for _, last in committed)
        assert self._run(lambda: self._journal.resume(self.stream, committed)) is not overtaken
        self.settled = set()
        if overtaken:
            assert self._journal.stream != self.stream
            self.stream = self._journal.stream
        else:
            for first, last in committed:
                self.settled |= set(range(first, last + 1))

    @rule(age=st.integers(0, 3))
    def prune(self, age: int) -> None:
        before = self._clock.now_ms() - age * STEP_S * 1000
        self._run(lambda: self._journal.prune(before))
        bound = self.first_kept
        while bound in self.said and bound in self.settled and self.said[bound][0] < before:
            bound += 1
        catalogs = [seq for seq, (_, text) in self.said.items() if text == "catalog"]
        if catalogs and self.first_kept <= catalogs[-1] < bound:
            self.said[len(self.said) + 1] = (self._clock.now_ms(), "catalog")
        self.first_kept = bound

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
        assert (journal.first_kept, journal.next_seq) == (self.first_kept, len(self.said) + 1)
        kept = range(self.first_kept, len(self.said) + 1)
        unsettled = {
            seq for first, last in journal.unsettled(1, 10_000) for seq in range(first, last + 1)
        }
        assert unsettled == set(kept) - self.settled
        assert journal.queued() == len(unsettled)
        entries = self._run(lambda: journal.read(1, 10_000, 10_000, 2**30))
        assert [entry.seq for entry in entries] == list(kept)
        for entry in entries:
            body = decode_body(entry.body)
            text = body.text if isinstance(body, Event) else "catalog"
            assert text == self.said[entry.seq][1]
        assert self._live == list(range(1, len(self.said) + 1))

    def _run(self, call: Callable[[], Awaitable[Result]]) -> Result:
        async def wait() -> Result:
            return await call()

        return self._loop.run_until_complete(wait())

    def teardown(self) -> None:
        self._database.close()
        self._loop.close()
        self._directory.cleanup()


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
