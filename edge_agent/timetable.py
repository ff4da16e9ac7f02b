"""When the devices of one line are asked, and whose turn it is when several are due."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from common.clock import Clock
from common.messages.uplink import Event

LONGEST_BACK_OFF_S = 300.0
USED_SHARE = 0.75
"""Of an interval, at most, on which the devices of a line are spread. The rest is for those that
do not answer, and for a line that is slower than it should be."""

PATIENCE = 3
"""So many intervals a device that does not answer waits for a gap between the others."""

ROOM = 1.2
"""A device's time, in tries: so long that one fits in between the others that answer."""

FULL = 0.95
"""A line that is busy for this share of its time cannot be told from one that is too slow."""


@dataclass(slots=True)
class Place:
    """A device's place on its line; times are of ``Clock.monotonic``, None before the first poll.

    ``took_s`` is how long its last good poll had the line.
    """

    interval_s: float
    offset_s: float
    due_s: float | None = None
    failures: int = 0
    unreachable: bool = False
    began_s: float | None = None
    took_s: float | None = None
    recalled: asyncio.Event = field(default_factory=asyncio.Event)

    def answered(self) -> None:
        """To be called within the turn; without it, the poll counts as failed."""
        self.failures = 0
        self.unreachable = False


class Timetable:
    """One line's polls: one at a time, each on its own marks of the clock.

    A device is due whenever the clock is at a multiple of its interval plus its offset. Offsets
    grow from device to device by a little more than ``try_s``, the time that one try without an
    answer costs, or by less where the interval is too short for that and for one try at its end;
    the first is ``phase_s``.

    Of those who are due, the one comes first that has waited longest for its interval. A device
    that fails is due less and less often, at least every LONGEST_BACK_OFF_S, and is asked when no
    other one is due within ``try_s``; or at the latest PATIENCE intervals later.

    A poll whose turn did not come before its device was due again is skipped, and counted.
    """

    def __init__(
        self,
        line: str,
        intervals_s: Mapping[str, float],
        clock: Clock,
        *,
        try_s: float = 0.0,
        phase_s: float = 0.0,
    ) -> None:
        self.line = line
        self.skipped = 0
        self._clock = clock
        self._try_s = try_s
        self._places = {
            key: Place(
                interval_s,
                phase_s + number * _step_s(interval_s, len(intervals_s), try_s * ROOM),
            )
            for number, (key, interval_s) in enumerate(intervals_s.items())
        }
        self._taken = False
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._skipped_at: float | None = None
        self._told = False

    def offset_s(self, device: str) -> float:
        """How long after the multiples of its interval the device is due."""
        return self._places[device].offset_s

    @asynccontextmanager
    async def turn(self, device: str) -> AsyncIterator[Place]:
        """Wait until the device is due and the line is free; have it for the ``async with``."""
        place = self._places[device]
        await self._until_due(place)
        await self._wait(device)
        due_s, failing = place.due_s, place.failures > 0
        place.began_s = self._clock.monotonic()
        place.failures += 1
        try:
            yield place
        finally:
            now = self._clock.monotonic()
            place.due_s = now + self._until_next(place)
            if not place.failures:
                place.took_s = now - place.began_s
                self._recall()
                if due_s is not None and not failing:
                    self._count_skipped(round((place.due_s - due_s) / place.interval_s) - 1)
            self._pass_on()

    def news(self) -> Event | None:
        """The event to append when the line has become too slow, or keeps its times again."""
        longest_s = max(place.interval_s for place in self._places.values())
        now = self._clock.monotonic()
        late = self._skipped_at is not None and now - self._skipped_at <= 2 * longest_s
        needs_s = self._needs_s(longest_s)
        if late is self._told or (late and needs_s <= FULL * longest_s):
            return None
        self._told = late
        data: dict[str, str | int | None] = {"line": self.line, "skipped": self.skipped}
        if not late:
            text = f"line {self.line} keeps its times again; {self.skipped} polls were skipped"
            return Event(self._clock.now_ms(), "line_in_time", "info", text, data=data)
        text = (
            f"line {self.line} needs {math.ceil(needs_s)} s"
            f" for what should be read every {longest_s:g} s"
        )
        data |= {"needs_ms": round(needs_s * 1000), "interval_ms": round(longest_s * 1000)}
        return Event(self._clock.now_ms(), "line_overrun", "warning", text, data=data)

    def _needs_s(self, period_s: float) -> float:
        """How long the line is busy with the polls of one period; 0 when that is not yet known."""
        living = [place for place in self._places.values() if not place.failures]
        if any(place.took_s is None for place in living):
            return 0.0
        return sum((place.took_s or 0.0) * period_s / place.interval_s for place in living)

    def _count_skipped(self, polls: int) -> None:
        if polls > 0:
            self.skipped += polls
            self._skipped_at = self._clock.monotonic()

    # Whose turn it is

    async def _wait(self, device: str) -> None:
        own: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[device] = own
        if not self._taken:
            self._pass_on()
        try:
            await own
        except asyncio.CancelledError:
            if self._waiting.pop(device, None) is None:
                self._pass_on()  # it was given the line in the same moment
            raise

    def _pass_on(self) -> None:
        """Give the line to whoever is next; it stays taken, so that nobody gets in between."""
        device = self._next()
        self._taken = device is not None
        if device is not None:
            self._waiting.pop(device).set_result(None)

    def _next(self) -> str | None:
        now = self._clock.monotonic()
        entitled = [device for device in self._waiting if self._is_entitled(device, now)]
        return min(entitled, key=self._wanted_s, default=None)

    def _is_entitled(self, device: str, now: float) -> bool:
        place = self._places[device]
        patient = place.failures and now < (place.due_s or 0.0) + PATIENCE * place.interval_s
        return not patient or self._is_idle_at(now)

    def _wanted_s(self, device: str) -> float:
        """When an interval has passed since the device was asked."""
        place = self._places[device]
        return -math.inf if place.began_s is None else place.began_s + place.interval_s

    def _is_idle_at(self, now: float) -> bool:
        """Whether nobody who answers is due before one try would be over."""
        return all(
            place.failures or (place.due_s is not None and now + self._try_s <= place.due_s)
            for place in self._places.values()
        )

    # When

    async def _until_due(self, place: Place) -> None:
        if place.due_s is None:
            place.due_s = self._clock.monotonic()
        while (left_s := place.due_s - self._clock.monotonic()) > 0:
            if place.unreachable:
                await self._sleep_or_recall(place, left_s)
            else:
                await self._clock.sleep(left_s)

    async def _sleep_or_recall(self, place: Place, seconds: float) -> None:
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        recalled = asyncio.ensure_future(place.recalled.wait())
        try:
            await asyncio.wait({timer, recalled}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            recalled.cancel()
        place.recalled.clear()

    def _recall(self) -> None:
        """The line is there: whoever could not be reached over it is asked on its next mark."""
        for place in self._places.values():
            if place.unreachable and place.due_s is not None:
                place.unreachable, place.failures = False, 0
                place.due_s = min(place.due_s, self._clock.monotonic() + self._until_next(place))
                place.recalled.set()

    def _until_next(self, place: Place) -> float:
        """Seconds from now to the device's next mark, after its back-off if it fails."""
        now_s = self._clock.now_ms() / 1000
        interval_s = place.interval_s
        wait_s = 0.0
        if place.failures:
            longest_s = max(interval_s, LONGEST_BACK_OFF_S)
            wait_s = min(longest_s, interval_s * 2.0 ** (min(place.failures, 20) - 1)) - interval_s
        earliest_s = now_s + wait_s - place.offset_s
        due_s = (earliest_s // interval_s + 1) * interval_s + place.offset_s
        # A poll that ran a little before its time must not run twice.
        if wait_s == 0 and due_s - now_s < interval_s * 0.05:
            due_s += interval_s
        return due_s - now_s


def _step_s(interval_s: float, devices: int, longest_s: float) -> float:
    """From one device's offset to the next one's."""
    used_s = USED_SHARE * interval_s
    if interval_s >= 2 * longest_s:
        used_s = min(used_s, interval_s - longest_s)
    return min(longest_s, used_s / devices)
