"""What is remembered of a device that pushes its records: which are stored, how it counts.

The state is changed in the transaction that appends the records' entries, never apart from it.
A record is named by (boot, seq). Numbers grow over reboots, so an acknowledgement is one number:
everything up to it is stored, or is lost for ever because the device has it no more.
"""

import sqlite3
from bisect import bisect_left, bisect_right

import msgspec
from msgspec import Struct

from edge_agent.metering.gas import Energy
from edge_agent.metering.meters import Installed
from edge_agent.metering.tally import Tally

KNOWN = 8
"""Boots of a device whose time is known, for records of theirs that have none."""

MOST_WAITING = 4096
"""Records that wait for others, or have a gap before them: more than a ring of 3,400."""


class PushState(Struct, omit_defaults=True):
    """Everything up to ``floor`` is stored or lost; ``stored`` is what is above it, by boot.

    ``goal``: the device's last number when its session began; 0 when no more is waited for.
    Two kinds of records are stored here as lines, and become readings when ``floor`` has come to
    ``goal`` at the latest. ``undated``: their time may yet become known, by ``known`` (boot →
    uptime and time of a synced record). ``early``: what their count means is told by those before
    them, which have not come yet.
    """

    floor: int
    boot: int = 0
    stored: dict[int, list[tuple[int, int]]] = {}
    counter: Tally | None = None
    times_ok: bool = True
    goal: int = 0
    known: dict[int, tuple[int, int]] = {}
    undated: list[str] = []
    early: list[str] = []
    meters: list[Installed] = []
    energy: Energy | None = None

    def begins_anew(self, boot: int, last: int) -> bool:
        """Whether the device gives its numbers a second time: it counts its records, or its boots,
        lower than before."""
        highest = max([self.floor, *(ranges[-1][1] for ranges in self.stored.values())])
        return boot < self.boot or last < highest

    def resume(self, boot: int, oldest: int, last: int) -> int:
        """A session begins; the device holds oldest..last. The highest number stored up to there.

        Of a device that begins anew nothing may be taken as stored; it sends what it holds.
        """
        oldest = min(oldest, last + 1)
        if self.begins_anew(boot, last):
            if self.counter:
                self.counter.renew(other=boot < self.boot)
            self.floor, self.stored = oldest - 1, {}
            self.known = {}
        self.boot, self.goal = boot, last
        self.floor = max(self.floor, oldest - 1)
        self._rise()
        return self.floor

    def take(self, boot: int, seq: int) -> bool:
        """Whether the record is new; from now on it is stored."""
        ranges = self.stored.get(boot, [])
        place = bisect_left(ranges, seq, key=_last)
        if seq <= self.floor or (place < len(ranges) and ranges[place][0] <= seq):
            return False
        self._settle(boot, seq, seq)
        return True

    def lose(self, boot: int, first: int, last: int) -> None:
        """The device says that first..last are gone for ever; nobody waits for them any more."""
        if last > self.floor:
            self._settle(boot, max(first, self.floor + 1), last)

    def learn(self, known: dict[int, tuple[int, int]]) -> None:
        """Keep what is known of the newest boots' times."""
        self.known = {boot: known[boot] for boot in sorted(known)[-KNOWN:]}

    def is_whole(self, seq: int) -> bool:
        """Whether all that came before the record, and can come, is here and has its time."""
        return self.floor >= self.goal or (self.floor >= seq and not self.undated)

    def _settle(self, boot: int, first: int, last: int) -> None:
        ranges = self.stored.setdefault(boot, [])
        low = bisect_left(ranges, first - 1, key=_last)
        high = bisect_right(ranges, last + 1, key=_first)
        if low < high:
            first, last = min(first, ranges[low][0]), max(last, ranges[high - 1][1])
        ranges[low:high] = [(first, last)]
        if sum(map(len, self.stored.values())) > MOST_WAITING:
            # The oldest gap is given up: it would never be filled.
            self.floor = min(ranges[0][0] for ranges in self.stored.values()) - 1
        self._rise()

    def _rise(self) -> None:
        while near := [boot for boot, one in self.stored.items() if one[0][0] <= self.floor + 1]:
            for boot in near:
                self.floor = max(self.floor, self.stored[boot].pop(0)[1])
                if not self.stored[boot]:
                    del self.stored[boot]


def _first(pair: tuple[int, int]) -> int:
    return pair[0]


def _last(pair: tuple[int, int]) -> int:
    return pair[1]


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
