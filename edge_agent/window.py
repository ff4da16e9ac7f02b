"""How much may be under way at a time: as much as the link and the cloud bear."""

import asyncio

AIM_S = 0.1
"""A batch whose answer takes longer than this waited in a queue on the way."""

SMALLEST = 2
BEGIN = 4


class Window:
    """Places for batches in flight, at most ``largest``; few at first, then as many as pay.

    Answers within AIM_S widen it by one a round, slower ones narrow it, and a batch that had to go
    again halves it: what is sent beyond what the way takes only makes live entries wait behind it.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._size = float(min(BEGIN, largest))
        self._taken = 0
        self._freed = asyncio.Event()

    @property
    def size(self) -> int:
        """How many may be under way now."""
        return int(self._size)

    async def take(self) -> None:
        """A place, as soon as there is one."""
        while self._taken >= self.size:
            self._freed.clear()
            await self._freed.wait()
        self._taken += 1

    def free(self) -> None:
        """Give a place back."""
        self._taken -= 1
        self._freed.set()

    def answered(self, after_s: float) -> None:
        """A batch was answered ``after_s`` after it was sent for the first time."""
        step = 1 if after_s <= AIM_S else -0.5
        self._resize(self._size + step / self.size)

    def repeated(self) -> None:
        """A batch has to go again."""
        self._resize(self._size / 2)

    def _resize(self, size: float) -> None:
        self._size = min(max(size, min(SMALLEST, self._largest)), self._largest)
        self._freed.set()
