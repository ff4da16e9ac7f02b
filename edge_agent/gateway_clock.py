"""The gateway's clock, which knows what it is worth.

The computer may boot in 1970, or in 2036, and learn the time later: from NTP, or from the cloud.
Until then the clock counts from its boot as if that were 1970, so that a time of this clock before
2020 is always a monotonic one, and every time after it is a real one or a device's own.

Once the time is known it goes on by the monotonic clock: whoever sets the computer's clock moves
nothing here, unless the kernel says that the clock is kept right.
"""

from collections.abc import Callable

from common.clock import Clock, to_datetime
from common.messages.batch import ClockQuality
from common.messages.uplink import Event
from edge_agent.store.rebase import Fix

NOT_BEFORE_MS = 1_767_225_600_000
"""2026-01-01: this program did not exist. Where nothing keeps the time over a power cut, computers
begin at 1970, or at the day on which their system was made."""

NOT_AFTER_MS = 2_051_222_400_000
"""2035-01-01: as long as no entry says that so much time has passed, nobody is believed so much."""

OFF_AT_MOST_MS = 366 * 86_400_000
"""Nobody believes a clock that nobody keeps right that the gateway was off for longer."""

BEFORE_MS = 300_000
"""So far before the newest entry of the journal a clock may begin that nobody keeps right."""

STEP_MS = 1000
"""By so much a clock does not move of itself between two looks: it was set."""

DIFFERS_MS = 300_000
"""Two clocks that are kept right are not so far apart."""

WORTH = {
    ClockQuality.UNKNOWN: "not known",
    ClockQuality.FREE: "the computer's, which nothing keeps right",
    ClockQuality.CLOUD: "the cloud's",
    ClockQuality.SYNCED: "the computer's, which is kept right",
}


class GatewayClock:
    """A ``Clock`` over the computer's, ``source``. ``synchronised``: whether that is kept right.

    ``quality`` is what ``now_ms`` was worth when last asked. ``news`` are events to append.
    """

    def __init__(self, source: Clock, synchronised: Callable[[], bool]) -> None:
        self._source = source
        self._synchronised = synchronised
        self._newest_ms: int | None = None
        self._begun_ms = self._mono_ms()
        self._offset: int | None = None
        self._by_cloud = False
        self._shift = source.now_ms() - self._begun_ms
        self._differs = False
        self.quality = ClockQuality.UNKNOWN
        self.news: list[Event] = []

    def begin(self, newest_ms: int | None, fix: Fix | None) -> None:
        """What the journal knows: when its newest entry was made, and this boot's time."""
        self._newest_ms = newest_ms
        if fix:
            self._offset, self._by_cloud = fix.offset, fix.quality is ClockQuality.CLOUD
        self._judge()
        if self.quality is ClockQuality.UNKNOWN:
            self._tell(
                "clock_unknown",
                "warning",
                f"the clock is not set, it says {to_datetime(self._source.now_ms()):%Y-%m-%d}:"
                " what is measured will be dated when the time is known",
                {"says": self._source.now_ms()},
            )

    def now_ms(self) -> int:
        """The time; milliseconds since boot while it is not known (``known`` tells them apart)."""
        mono_ms = self._mono_ms()
        if abs(self._source.now_ms() - mono_ms - self._shift) > STEP_MS:
            self.look()
        return mono_ms + self._ahead_ms()

    def monotonic(self) -> float:
        return self._source.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._source.sleep(seconds)

    @property
    def fix(self) -> Fix | None:
        """What dates the entries of this boot; None before the time is known."""
        if self._offset is None:
            return None
        return Fix(self._offset, self.quality, self._mono_ms())

    def look(self) -> None:
        """See whether the clock was set, and whether it is kept right."""
        before, ahead_ms, shift = self.quality, self._ahead_ms(), self._shift
        self._judge()
        stepped_ms, moved_ms = self._shift - shift, self._ahead_ms() - ahead_ms
        unknown = ClockQuality.UNKNOWN
        if before is unknown and self.quality is not unknown:
            self._tell_known()
        elif self.quality is unknown and before is not unknown:
            says = {"says": self._source.now_ms()}
            self._tell("clock_unknown", "warning", "the clock was set to what cannot be", says)
        elif abs(stepped_ms) > STEP_MS or abs(moved_ms) > STEP_MS:
            self._tell_step(stepped_ms, moved_ms)

    def hear(self, at_ms: int, waited_s: float = 0.0) -> None:
        """The cloud says that it is ``at_ms``, in an answer that took ``waited_s`` at most."""
        if at_ms < NOT_BEFORE_MS:
            return
        self.look()
        difference_ms = at_ms - self.now_ms()
        if self.quality is ClockQuality.SYNCED:
            self._compare(difference_ms, round(waited_s * 1000))
            return
        before = self.quality
        self._by_cloud = True
        self.quality = ClockQuality.CLOUD
        if before is not ClockQuality.UNKNOWN and (
            abs(difference_ms) <= STEP_MS + round(waited_s * 1000)
        ):
            self._offset = self._shift if self._offset is None else self._offset
            return
        self._offset = at_ms - self._mono_ms()
        if before is ClockQuality.UNKNOWN:
            self._tell_known()
        else:
            self._tell_step(0, difference_ms)

    def _mono_ms(self) -> int:
        return round(self._source.monotonic() * 1000)

    def _ahead_ms(self) -> int:
        """How far the time is ahead of the monotonic clock."""
        if self.quality is ClockQuality.UNKNOWN:
            return 0
        return self._shift if self._offset is None else self._offset

    def _judge(self) -> None:
        wall_ms, mono_ms = self._source.now_ms(), self._mono_ms()
        self._shift = wall_ms - mono_ms
        if self._synchronised():
            self._offset, self.quality = self._shift, ClockQuality.SYNCED
        elif self._offset is not None:
            self.quality = ClockQuality.CLOUD if self._by_cloud else ClockQuality.FREE
        elif self._is_plausible(wall_ms, mono_ms - self._begun_ms):
            self.quality = ClockQuality.FREE
        else:
            self.quality = ClockQuality.UNKNOWN

    def _is_plausible(self, wall_ms: int, running_ms: int) -> bool:
        earliest_ms, latest_ms = NOT_BEFORE_MS, NOT_AFTER_MS
        if self._newest_ms is not None:
            earliest_ms = max(earliest_ms, self._newest_ms - BEFORE_MS)
            latest_ms = self._newest_ms + OFF_AT_MOST_MS
        return earliest_ms <= wall_ms <= latest_ms + running_ms

    def _compare(self, difference_ms: int, waited_ms: int) -> None:
        differs = abs(difference_ms) > DIFFERS_MS + waited_ms
        if differs and not self._differs:
            text = (
                f"the cloud's clock is {_seconds(difference_ms)} of this gateway's, which is kept"
                " right: one of the two is wrong; this one's is taken"
            )
            self._tell("clock_differs", "warning", text, {"difference_ms": difference_ms})
        self._differs = differs

    def _tell_known(self) -> None:
        text = f"the time is known: {WORTH[self.quality]}"
        self._tell("clock_known", "info", text, {"uptime_ms": self._mono_ms()})

    def _tell_step(self, stepped_ms: int, moved_ms: int) -> None:
        if abs(moved_ms) > STEP_MS:
            text = f"the clock was set: it is {_seconds(moved_ms)} of what it was"
        else:
            text = (
                f"the computer's clock was set: it is {_seconds(stepped_ms)} of what it was; the"
                " time that was known before is kept"
            )
        text = f"{text} (taken now: {WORTH[self.quality]})"
        self._tell("clock_step", "warning", text, {"by_ms": stepped_ms, "moved_ms": moved_ms})

    def _tell(self, code: str, severity: str, text: str, data: dict[str, int]) -> None:
        at_ms = self._mono_ms() + self._ahead_ms()
        self.news.append(Event(at_ms, code, severity, text, data={**data}))


def _seconds(difference_ms: int) -> str:
    return f"{abs(difference_ms) / 1000:.1f} s {'ahead' if difference_ms > 0 else 'behind'}"
