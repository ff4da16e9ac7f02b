"""What a simulated C11DO1ETH remembers through a power cut, and its ring of records."""

from collections import deque
from collections.abc import Iterable
from itertools import islice

from msgspec import Struct

from edge_agent.protocols.c11do1eth import Clock, Evt, Frame, Rec, parse
from edge_agent.simulators.c11do1eth_analysis import Thresholds

HOLDOVER_MS = 86_400_000
"""So long after it was set a clock counts as synced."""

STEP_MS = 2000
"""A correction above this is an event."""


class Memory(Struct):
    """What survives a power cut; ``ring``, ``log`` and ``answers`` are IM1 lines without CRLF.

    ``offset`` is what the total is above the transmitter's count; ``seen`` was that count.
    ``pulse``: when (world's ms) the output goes off again, and the command that wanted it.
    """

    boot: int = 0
    last: int = 0
    booted_ms: int = 0
    synced_ms: int | None = None
    knows_time: bool = False
    offset_ms: int = 0
    offset: int = 0
    seen: int | None = None
    counted: int = 0
    recorded_ms: int = 0
    output: int = 0
    pulse: tuple[int, str] | None = None
    push_s: int = 60
    log_s: int = 900
    delta: int = 0
    debounce_ms: int = 0
    edge: str = "falling"
    weight: tuple[int, int] = (1, 1)
    safe: str = "hold"
    safe_s: int = 0
    thresholds: Thresholds = Thresholds()
    config: int = 0
    key: str = ""
    lost: tuple[int, int] | None = None
    ring: list[str] = []
    log: list[str] = []
    answers: list[str] = []

    def stamp(self, now_ms: int) -> tuple[int, Clock]:
        """The module's own time, 0 while it does not know it, and how good that is."""
        if not self.knows_time:
            return 0, Clock.UNKNOWN
        fresh = self.synced_ms is not None and now_ms - self.synced_ms <= HOLDOVER_MS
        return max(0, now_ms + self.offset_ms), Clock.SYNCED if fresh else Clock.HOLDOVER

    def synchronise(self, time_ms: int, now_ms: int) -> tuple[str, str] | None:
        """Set the clock; the old and the new time if it was wrong by more than STEP_MS.

        Who does not know the time says 0, and sets nothing.
        """
        if not time_ms:
            return None
        old_ms, clock = self.stamp(now_ms)
        self.offset_ms = time_ms - now_ms
        self.synced_ms, self.knows_time = now_ms, True
        if clock is Clock.UNKNOWN or abs(time_ms - old_ms) <= STEP_MS:
            return None
        return str(old_ms), str(time_ms)


class Ring:
    """What is not acknowledged, oldest first, and, while there is room, what was.

    ``lost``: the numbers that had to go without an acknowledgement and are not reported yet.
    ``sent``: the numbers under way.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.items: deque[Rec | Evt] = deque()
        self.log: deque[Rec | Evt] = deque()
        self.sent: set[int] = set()
        self.lost: tuple[int, int] | None = None
        self._batch_end = 0

    def keep(self, item: Rec | Evt) -> None:
        """Add a new item; the oldest goes when there is no room."""
        self.make_room(1)
        self.items.append(item)
        self._trim()

    def make_room(self, places: int) -> None:
        """Have so many places free of what is not acknowledged."""
        while len(self.items) > self.capacity - places:
            gone = self.items.popleft()
            self.sent.discard(gone.seq)
            older = self.lost or (isinstance(gone, Evt) and gone.lost) or (gone.seq, 0)
            self.lost = (older[0], gone.seq)

    def release(self, committed: int) -> None:
        """Everything up to ``committed`` is durable at the server."""
        while self.items and self.items[0].seq <= committed:
            item = self.items.popleft()
            self.sent.discard(item.seq)
            self.log.append(item)
        self._trim()

    def next_batch(self, size: int) -> list[Rec | Evt]:
        """The oldest that are not under way, once the batch before is acknowledged."""
        if self.items and self.items[0].seq <= self._batch_end:
            return []
        batch = list(islice((one for one in self.items if one.seq not in self.sent), size))
        if batch:
            self._batch_end = batch[-1].seq
            self.sent.update(item.seq for item in batch)
        return batch

    def unsend(self) -> None:
        """The link is gone: nothing is under way any more."""
        self.sent.clear()
        self._batch_end = 0

    def read_back(self, first: int, last: int, limit: int) -> list[Rec]:
        """Acknowledged records that are still there, of the numbers first..last."""
        found = [one for one in self.log if isinstance(one, Rec) and first <= one.seq <= last]
        return found[:limit]

    def _trim(self) -> None:
        while self.log and len(self.log) + len(self.items) > self.capacity:
            self.log.popleft()


def to_lines(frames: Iterable[Frame]) -> list[str]:
    """Frames as the texts that ``Memory`` keeps."""
    return [frame.to_line()[:-2].decode("ascii") for frame in frames]


def from_lines(texts: Iterable[str]) -> list[Frame]:
    """The frames again."""
    return [parse(text.encode("ascii")) for text in texts]
