"""What modules and strangers may do at the communication server, and what was counted of it."""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may do.

    ``connections`` at once in all, ``per_address`` of them from one address (None: as many; a
    site behind NAT is one address). ``burst`` lines at once and ``lines_per_s`` for long, counted
    per device over its connections; the burst is a full ring. ``strange_lines`` before the proof.
    Bytes that end no line count too: ``LINE_BYTES`` for a line. ``group``: items a commit.
    """

    READ_BYTES: ClassVar[int] = 4096
    UNSENT_BYTES: ClassVar[int] = 65536
    LINE_BYTES: ClassVar[int] = 512

    connections: int = 256
    per_address: int | None = None
    handshake_s: float = 10.0
    idle_s: float = 120.0
    strange_lines: int = 8
    burst: int = 4096
    lines_per_s: float = 50.0
    group: int = 50

    @property
    def strangers(self) -> int:
        """How many connections that have not named a module there may be: a quarter of the room."""
        return max(1, self.connections // 4)


@dataclass(slots=True)
class Counters:
    """What the server has seen since it was made."""

    accepted: int = 0
    sessions: int = 0
    refused_full: int = 0
    refused_unknown: int = 0
    refused_key: int = 0
    refused_rate: int = 0
    refused_protocol: int = 0
    refused_tls: int = 0
    crowded_out: int = 0
    handshake_timeouts: int = 0
    idle_timeouts: int = 0
    replaced: int = 0
    crc_errors: int = 0
    malformed: int = 0
    items: int = 0
    groups: int = 0
    store_failures: int = 0


class Bucket:
    """Lines that may still come: ``burst`` at most, filled up at ``per_s``."""

    __slots__ = ("_at", "_burst", "_left", "_per_s")

    def __init__(self, burst: float, per_s: float, now: float) -> None:
        self._burst = self._left = burst
        self._per_s = per_s
        self._at = now

    def take(self, now: float, lines: float = 1) -> bool:
        """Whether so many more lines are within the limit."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < lines:
            return False
        self._left -= lines
        return True


T = TypeVar("T", bound=Hashable)


class Crowd(Generic[T]):
    """Who waits, by address, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[T, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, one: T, address: str) -> None:
        self._waiting.setdefault(address, {})[one] = None
        self._count += 1

    def remove(self, one: T, address: str) -> bool:
        """Whether it was there."""
        waiting = self._waiting.get(address, {})
        if one not in waiting:
            return False
        del waiting[one]
        self._count -= 1
        if not waiting:
            del self._waiting[address]
        return True

    def oldest(self, address: str) -> T | None:
        """Of this address; None if nobody waits there."""
        return next(iter(self._waiting.get(address, ())), None)

    def counts(self) -> Counter[str]:
        """How many wait, by address."""
        return Counter({address: len(waiting) for address, waiting in self._waiting.items()})


class Room(Generic[T]):
    """Who is connected, from where, and how far they are.

    A newcomer is a *stranger*; *known* once it has named a configured module; *proved* when it has
    shown that module's key. When there is no place for a newcomer, somebody goes, never a proved
    one: of the address that has most, the oldest stranger, or else the oldest known one. So a
    flood crowds out itself, and neither who is on its way in elsewhere nor a fleet that comes back.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._everyone: dict[T, str] = {}
        self._addresses: Counter[str] = Counter()
        self._strangers: Crowd[T] = Crowd()
        self._known: Crowd[T] = Crowd()

    def __len__(self) -> int:
        return len(self._everyone)

    def everyone(self) -> list[T]:
        """All who are in."""
        return list(self._everyone)

    def enter(self, one: T, address: str) -> tuple[bool, T | None]:
        """Whether ``one`` is let in, and who has to go for it; the latter has then left."""
        limits = self._limits
        most = limits.connections if limits.per_address is None else limits.per_address
        goes: T | None = None
        if self._addresses[address] >= most:
            goes = self._oldest(address)
            if goes is None:
                return False, None
        elif len(self._everyone) >= limits.connections:
            goes = self._oldest(_most(self._strangers.counts() + self._known.counts()))
            if goes is None:
                return False, None
        elif len(self._strangers) >= limits.strangers:
            goes = self._strangers.oldest(_most(self._strangers.counts()))
        if goes is not None:
            self.leave(goes)
        self._everyone[one] = address
        self._addresses[address] += 1
        self._strangers.add(one, address)
        return True, goes

    def name(self, one: T) -> None:
        """It has named a configured module."""
        address = self._everyone.get(one, "")
        if self._strangers.remove(one, address):
            self._known.add(one, address)

    def prove(self, one: T) -> None:
        """It has shown the module's key, and is not crowded out any more."""
        address = self._everyone.get(one, "")
        self._strangers.remove(one, address)
        self._known.remove(one, address)

    def leave(self, one: T) -> None:
        """It is gone; more than once does no harm."""
        self.prove(one)
        address = self._everyone.pop(one, None)
        if address is not None:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    def _oldest(self, address: str) -> T | None:
        stranger = self._strangers.oldest(address)
        return self._known.oldest(address) if stranger is None else stranger


def _most(counts: Counter[str]) -> str:
    return max(counts, key=lambda address: counts[address], default="")
