"""What has come from the broker and waits to be stored, in two lanes."""

import asyncio
from collections import deque

from cloud.services.parcels import Received

SMALL_BYTES = 1_024
"""What a gateway says as it happens is smaller; what it sends of a backlog is larger. A small
message never waits behind large ones, but for the two groups that are under way already."""

GROUP_MESSAGES = 500
GROUP_SMALL = 400
"""So many small ones at most are in a group, so that the large ones get on as well."""

GROUP_BYTES = 65_536
"""Large messages are grouped up to this size: what is small waits as long as they take."""

MESSAGES = 4_000
BYTES = 64 * 1_048_576
"""More than this is not taken from the broker until the database has caught up."""


class Held:
    """Messages that are taken out in groups. Each lane keeps its order."""

    def __init__(self) -> None:
        self._small: deque[Received] = deque()
        self._large: deque[Received] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()

    def __len__(self) -> int:
        return len(self._small) + len(self._large)

    async def put(self, message: Received) -> None:
        """Hold it; waits while there is no room."""
        while len(self) >= MESSAGES or self._bytes >= BYTES:
            self._room.clear()
            await self._room.wait()
        self._bytes += len(message.payload)
        small = len(message.payload) < SMALL_BYTES
        (self._small if small else self._large).append(message)
        self._arrived.set()

    async def take(self) -> list[Received]:
        """The next group, as soon as there is one; waits for no more than that."""
        await self._arrived.wait()
        group: list[Received] = []
        size = 0
        while self._small and len(group) < GROUP_SMALL:
            group.append(self._small.popleft())
        while self._large and len(group) < GROUP_MESSAGES and size < GROUP_BYTES:
            group.append(self._large.popleft())
            size += len(group[-1].payload)
        self._bytes -= sum(len(message.payload) for message in group)
        self._room.set()
        if not len(self):
            self._arrived.clear()
        return group
