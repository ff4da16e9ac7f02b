"""For how long what is kept, and from when on readings may still come.

Readings and hours go by whole months (UTC). Times are epoch milliseconds.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

DAY_MS = 86_400_000
FROZEN_MS = 2 * DAY_MS
"""So long after the oldest reading that is kept nothing may come any more: a day of any calendar
that has something of what may still come then lies in what is kept."""

SURELY_KEPT_MS = 27 * DAY_MS
"""What is younger is never before the floor: a month and what of the next has passed are kept."""

Months = Annotated[int, Meta(ge=0, le=1200)]
Days = Annotated[int, Meta(ge=0, le=36_500)]


class Retention(Struct, frozen=True, forbid_unknown_fields=True):
    """How long what is kept; 0: for ever, but of messages and telegrams none. Days are always kept
    for ever."""

    readings_months: Months = 0
    hours_months: Months = 0
    events_days: Days = 0
    rejected_days: Days = 365
    quarantine_days: Days = 90
    messages_days: Days = 14
    telegrams_days: Days = 90

    @property
    def hours_outlast_readings(self) -> bool:
        """As they must."""
        return not self.hours_months or 0 < self.readings_months <= self.hours_months

    def months_kept(self, now_ms: int) -> "Since":
        """From when on readings and hours are to be kept."""
        return Since(
            _months_before(now_ms, self.readings_months), _months_before(now_ms, self.hours_months)
        )


class Since(NamedTuple):
    """From when on readings, and hours, are kept; 0: all. Hours go no earlier than readings do."""

    readings: int = 0
    hours: int = 0

    @property
    def floor(self) -> int:
        """Readings from before are not taken any more: their hours would be summed up anew from
        less than there was."""
        return self.readings + FROZEN_MS if self.readings else 0

    def has_readings(self, at: int) -> bool:
        """Whether readings of this time are kept."""
        return not self.readings or at >= self.readings

    def has_hours(self, at: int) -> bool:
        """Whether hours of this time are kept."""
        return not self.hours or at >= self.hours

    def waiting_for(self, mark: int | None) -> "Since":
        """The same, without anything that an hour needs which is not summed up: the first of those
        begins at ``mark``."""
        if mark is None or self.floor <= mark:
            return self
        most = max(0, _month_of(mark - FROZEN_MS))
        return Since(min(self.readings, most), min(self.hours, most))

    def later(self, other: "Since") -> "Since":
        """What is kept when neither goes back."""
        return Since(max(self.readings, other.readings), max(self.hours, other.hours))


def why_older(at: int, floor: int) -> str:
    """The reason why a reading is rejected that was measured before the floor."""
    return (
        f"older than what is kept: measured at {_day(at)}; what was measured before {_day(floor)}"
        " is summed up for good ([retention] in the cloud's configuration)"
    )


def _day(at: int) -> str:
    return f"{_instant(at):%Y-%m-%d %H:%M:%S} UTC"


def _months_before(now_ms: int, months: int) -> int:
    """When the month began that was ``months`` before this one; 0 for no months."""
    if not months:
        return 0
    now = _instant(now_ms)
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    return max(0, _ms(datetime(year, month + 1, 1, tzinfo=UTC)))


def _month_of(at: int) -> int:
    instant = _instant(at)
    return _ms(datetime(instant.year, instant.month, 1, tzinfo=UTC))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _instant(at: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at)


def _ms(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(milliseconds=1)
