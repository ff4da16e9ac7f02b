"""What has come from the broker and waits to be stored, in two lanes.

What a gateway says as it happens is small; what it has kept comes in large messages. A small one
waits for the transaction that is under way, and never behind large ones.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from cloud.services.parcels import Parcel, Received

SMALL_BYTES = 1_024
"""A journal message that is smaller goes by the small lane, as do hello and status."""

MESSAGES = 4_000
BYTES = 64 * 1_048_576
"""More than this is not taken from the broker until the database has caught up."""


@dataclass(slots=True)
class Lane:
    """Messages in the order in which they came. The first of them are taken apart already: as many
    as one transaction takes, ``messages`` or ``size`` bytes, and hardly more."""

    messages: int
    size: int
    _whole: deque[Received] = field(default_factory=deque)
    _apart: list[Parcel] = field(default_factory=list)
    _apart_bytes: int = 0

    def __len__(self) -> int:
        return len(self._whole) + len(self._apart)

    @property
    def is_ready(self) -> bool:
        """Whether there is something to store."""
        return bool(self._apart)

    @property
    def wants(self) -> bool:
        """Whether something should be taken apart."""
        return bool(self._whole) and self._has_room

    @property
    def _has_room(self) -> bool:
        return len(self._apart) < self.messages and self._apart_bytes < self.size

    def put(self, message: Received) -> None:
        self._whole.append(message)

    def take_whole(self) -> list[Received]:
        """What is to be taken apart next; to be given back with ``put_apart``."""
        group: list[Received] = []
        size = 0
        while self._whole and len(group) < self.messages and size < self.size:
            group.append(self._whole.popleft())
            size += len(group[-1].payload)
        return group

    def put_apart(self, parcels: list[Parcel]) -> None:
        self._apart += parcels
        self._apart_bytes += sum(len(parcel.source.payload) for parcel in parcels)

    def take(self) -> list[Parcel]:
        """What one transaction is to store."""
        parcels, self._apart, self._apart_bytes = self._apart, [], 0
        return parcels


class Held:
    """The two lanes. ``take_whole`` and ``take`` are for one task each."""

    def __init__(self) -> None:
        self._small = Lane(500, BYTES)
        self._large = Lane(500, 65_536)
        self._last: Lane | None = None
        self._bytes = 0
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._small) + len(self._large)

    async def put(self, message: Received) -> None:
        """Hold it; waits while there is no room."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self) < MESSAGES and self._bytes < BYTES)
            self._bytes += len(message.payload)
            (self._small if len(message.payload) < SMALL_BYTES else self._large).put(message)
            self._changed.notify_all()

    async def take_whole(self) -> tuple[Lane, list[Received]]:
        """What is to be taken apart next, and where that is to be ``put_apart``."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._small.wants or self._large.wants)
            lane = self._small if self._small.wants else self._large
            return lane, lane.take_whole()

    async def put_apart(self, lane: Lane, parcels: list[Parcel]) -> None:
        async with self._changed:
            lane.put_apart(parcels)
            self._changed.notify_all()

    async def take(self) -> list[Parcel]:
        """What the next transaction is to store: of the small lane, and in turn with it of the
        large one, so that neither stands still."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._small.is_ready or self._large.is_ready)
            lane, other = self._small, self._large
            if not lane.is_ready or (other.is_ready and self._last is lane):
                lane = other
            self._last = lane
            parcels = lane.take()
            self._bytes -= sum(len(parcel.source.payload) for parcel in parcels)
            self._changed.notify_all()
            return parcels
