"""Looks after the gateway's clock: writes down what the time was, and says what became of it."""

from common.logs import events
from edge_agent.gateway_clock import GatewayClock
from edge_agent.store.clock_fixes import ClockFixes
from edge_agent.store.database import Damaged, StorageError
from edge_agent.store.journal import Journal

LOOK_S = 1.0


class Timekeeper:
    """The clock of an agent, and the times of its boots. Made by ``open``."""

    def __init__(self, journal: Journal, clock: GatewayClock, fixes: ClockFixes) -> None:
        self._journal = journal
        self.clock = clock
        self.fixes = fixes

    @classmethod
    async def open(cls, journal: Journal, clock: GatewayClock, kernel: str) -> "Timekeeper":
        """From here on entries are stamped with what the clock is worth. Raises StorageError."""
        fixes = await ClockFixes.open(journal, kernel)
        clock.begin(fixes.newest_ms, fixes.current)
        journal.quality = lambda: clock.quality
        keeper = cls(journal, clock, fixes)
        await keeper._try_to_keep()
        return keeper

    async def hear(self, at_ms: int, waited_s: float) -> bool:
        """The cloud says what time it is. False when that could not be written down: nothing may
        be sent then, or it would be dated otherwise the next time."""
        self.clock.hear(at_ms, waited_s)
        return await self._try_to_keep()

    async def run(self) -> None:
        """Look at the clock, for ever."""
        while True:
            await self.clock.sleep(LOOK_S)
            self.clock.look()
            await self._try_to_keep()

    async def _try_to_keep(self) -> bool:
        try:
            if self.clock.fix and not self.fixes.current:
                await self.fixes.write(self.clock.fix)
            while self.clock.news:
                event = self.clock.news[0]
                await self._journal.append(event)
                self.clock.news.remove(event)
        except Damaged:
            raise
        except StorageError as error:
            events.error("clock: it is not written down: %s", error)
            return False
        return True
