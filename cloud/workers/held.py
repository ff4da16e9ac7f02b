"""What has come from the broker and waits to be stored, in two lanes.

What a gateway says as it happens is small; what it has kept comes in large messages. A small one
waits for the transaction that is under way, and never behind large ones.
"""

import asyncio
from collections import deque
from typing import NamedTuple

from cloud.services.parcels import Parcel, Received

SMALL_BYTES = 1_024
"""A message that is smaller goes by the small lane."""

MESSAGES = 4_000
BYTES = 64 * 1_048_576
"""More than this is not taken from the broker until the database has caught up."""


class Limit(NamedTuple):
    """How much one transaction takes: so many messages, and hardly more than ``size`` bytes."""

    messages: int
    size: int


SMALL = Limit(500, BYTES)
LARGE = Limit(500, 65_536)
"""What a backlog fills takes so many bytes for twenty thousand readings, and the database a fifth
of a second."""


class Lane:
    """Messages in the order in which they came, the first of them taken apart already."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._whole: deque[Received] = deque()
        self._apart: list[Parcel] = []
        self._apart_bytes = 0

    def __len__(self) -> int:
        return len(self._whole) + len(self._apart)

    @property
    def is_ready(self) -> bool:
        """Whether there is something to store."""
        return bool(self._apart)

    @property
    def wants(self) -> bool:
        """Whether something should be taken apart."""
        full = len(self._apart) >= self._limit.messages or self._apart_bytes >= self._limit.size
        return bool(self._whole) and not full

    def put(self, message: Received) -> None:
        self._whole.append(message)

    def take_whole(self) -> list[Received]:
        """What is to be taken apart next; to be given back with ``put_apart``."""
        group: list[Received] = []
        size = 0
        while self._whole and len(group) < self._limit.messages and size < self._limit.size:
            group.append(self._whole.popleft())
            size += len(group[-1].payload)
        return group

    def put_apart(self, parcels: list[Parcel]) -> None:
        self._apart += parcels
        self._apart_bytes += _size(parcels)

    def take(self) -> list[Parcel]:
        """What one transaction is to store."""
        parcels, self._apart, self._apart_bytes = self._apart, [], 0
        return parcels


class Held:
    """The two lanes. ``take_whole`` and ``take`` are for one task each."""

    def __init__(self) -> None:
        self._small = Lane(SMALL)
        self._large = Lane(LARGE)
        self._last: Lane | None = None
        self._bytes = 0
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._small) + len(self._large)

    @property
    def size(self) -> int:
        """How many bytes the messages have."""
        return self._bytes

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
            lane = self._small
            if not lane.is_ready or (self._large.is_ready and self._last is lane):
                lane = self._large
            self._last = lane
            parcels = lane.take()
            self._bytes -= _size(parcels)
            self._changed.notify_all()
            return parcels


def _size(parcels: list[Parcel]) -> int:
    return sum(len(parcel.source.payload) for parcel in parcels)
