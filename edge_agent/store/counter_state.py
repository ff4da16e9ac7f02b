"""What is remembered of a device that pushes its records: which are stored, how it counts.

The state is changed in the transaction that appends the records' entries, never apart from it.
A record is named by (boot, seq). Numbers grow over reboots, so an acknowledgement is one number:
everything up to it is stored, or is lost for ever because the device has it no more.
"""

import sqlite3

import msgspec
from msgspec import Struct

from common.ranges import RangeSet

OFFSETS = 16
"""Counter resets that are remembered, for records that come later than newer ones."""


class CounterState(Struct, omit_defaults=True):
    """A device's counter: last count, its time, the unbroken total, what was added since when."""

    raw: int
    at: int
    total: int
    offsets: list[tuple[int, int]] = []

    def offset_at(self, at: int) -> int:
        """What made a count of the time ``at`` a part of the unbroken total."""
        fitting = [offset for since, offset in self.offsets if since <= at]
        return fitting[-1] if fitting else 0

    def rebase(self, since: int, offset: int) -> None:
        """From ``since`` on, counts are ``offset`` short of the total."""
        if offset != self.offset_at(since):
            self.offsets = [*self.offsets, (since, offset)][-OFFSETS:]


class PushState(Struct, omit_defaults=True):
    """Everything up to ``floor`` is stored or lost; ``stored`` is what is above it, by boot."""

    floor: int
    boot: int = 0
    stored: dict[int, list[tuple[int, int]]] = {}
    counter: CounterState | None = None
    times_ok: bool = True

    def resume(self, boot: int, oldest: int, last: int) -> int:
        """A session begins; the device holds oldest..last. The highest number stored up to there.

        A device that counts lower than before, its records or its boots, gives its numbers a
        second time: then nothing may be taken as stored, and it sends again what it holds.
        """
        highest = max([self.floor, *(top for ranges in self.stored.values() for _, top in ranges)])
        if boot < self.boot or last < highest:
            self.floor, self.stored = oldest - 1, {}
        self.boot = boot
        self.floor = max(self.floor, oldest - 1)
        self._rise()
        return self.floor

    def take(self, boot: int, seq: int) -> bool:
        """Whether the record is new; from now on it is stored."""
        ranges = RangeSet(self.stored.get(boot, ()))
        if seq <= self.floor or seq in ranges:
            return False
        self._settle(boot, seq, seq)
        return True

    def lose(self, boot: int, first: int, last: int) -> None:
        """The device says that first..last are gone for ever; nobody waits for them any more."""
        if last > self.floor:
            self._settle(boot, max(first, self.floor + 1), last)

    def _settle(self, boot: int, first: int, last: int) -> None:
        ranges = RangeSet(self.stored.get(boot, ()))
        ranges.add(first, last)
        self.stored = {**self.stored, boot: list(ranges)}
        self._rise()

    def _rise(self) -> None:
        every = RangeSet(pair for ranges in self.stored.values() for pair in ranges)
        for first, last in every:
            if first <= self.floor + 1 <= last + 1:
                self.floor = max(self.floor, last)
        above = {
            boot: [pair for pair in ranges if pair[1] > self.floor]
            for boot, ranges in self.stored.items()
        }
        self.stored = {boot: ranges for boot, ranges in above.items() if ranges}


def load(connection: sqlite3.Connection, device: str) -> PushState | None:
    """The device's state; None when nothing was ever stored of it."""
    row = connection.execute(
        "SELECT state FROM counter_state WHERE device = ?", (device,)
    ).fetchone()
    return msgspec.json.decode(row[0], type=PushState) if row else None


def save(connection: sqlite3.Connection, device: str, state: PushState) -> None:
    """Keep the device's state."""
    connection.execute(
        "INSERT INTO counter_state (device, state) VALUES (?, ?)"
        " ON CONFLICT (device) DO UPDATE SET state = excluded.state",
        (device, msgspec.json.encode(state)),
    )
