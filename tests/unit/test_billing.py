"""Billing periods of one's own: local midnights, without a hole, without an overlap."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.billing import MONTHS, Billing, bounds, check
from common.errors import Permanent

ZONE = ZoneInfo("Europe/Bucharest")
READ = (date(2026, 1, 12), date(2026, 2, 9), date(2026, 3, 31))
TIMES = st.integers(0, 3 * 10**9).map(lambda second: datetime.fromtimestamp(second, UTC))


def _days(billing: Billing, start: date, end: date) -> list[str]:
    """The local days on which the periods begin that overlap these days."""
    first, last = (datetime(day.year, day.month, day.day, tzinfo=ZONE) for day in (start, end))
    found = [one.astimezone(ZONE) for one in bounds(billing, first, last, ZONE)]
    assert all(one.hour == one.minute == 0 for one in found)
    return [f"{one:%m-%d}" for one in found]


@pytest.mark.parametrize(
    ("billing", "start", "end", "days"),
    [
        (Billing(day=15), (2, 1), (3, 20), ["01-15", "02-15", "03-15", "04-15"]),
        (Billing(day=15), (2, 15), (3, 15), ["02-15", "03-15"]),
        (Billing(day=28), (2, 27), (3, 1), ["01-28", "02-28", "03-28"]),
        (Billing(day=1, months=2), (1, 1), (3, 2), ["01-01", "03-01", "05-01"]),
        (Billing(day=1, months=2, first_month=2), (1, 1), (2, 2), ["12-01", "02-01", "04-01"]),
        (Billing(day=10, months=12, first_month=10), (10, 9), (10, 11), ["10-10"] * 3),
        (Billing(dates=READ), (1, 1), (12, 1), ["01-12", "02-09", "03-31"]),
        (Billing(dates=READ), (1, 20), (1, 21), ["01-12", "02-09"]),
        (Billing(dates=READ), (2, 9), (2, 10), ["02-09", "03-31"]),
        (Billing(dates=READ), (1, 1), (1, 12), []),
        (Billing(dates=READ), (3, 31), (4, 1), []),
        (Billing(), (1, 1), (2, 1), []),
        (Billing(day=15), (2, 1), (2, 1), []),
    ],
)
def test_periods(
    billing: Billing, start: tuple[int, int], end: tuple[int, int], days: list[str]
) -> None:
    check(billing)
    assert _days(billing, date(2026, *start), date(2026, *end)) == days


def test_a_period_over_a_change_of_the_clocks_is_an_hour_shorter_or_longer() -> None:
    start, end = datetime(2026, 1, 20, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    found = {
        f"{one.astimezone(ZONE):%m-%d}": (other - one) % timedelta(days=1)
        for one, other in pairwise(bounds(Billing(day=15), start, end, ZONE))
    }
    changed = {"03-15": timedelta(hours=23), "10-15": timedelta(hours=1)}
    assert {day: rest for day, rest in found.items() if rest} == changed


@given(
    st.builds(
        Billing,
        day=st.integers(1, 28),
        months=st.sampled_from(MONTHS),
        first_month=st.integers(1, 12),
    ),
    TIMES,
    st.timedeltas(timedelta(microseconds=1), timedelta(days=3000)),
)
def test_every_instant_is_in_one_period_whatever_is_asked(
    billing: Billing, start: datetime, length: timedelta
) -> None:
    end = start + length
    found = bounds(billing, start, end, ZONE)
    assert found[0] <= start < found[1]
    assert found[-2] < end <= found[-1]
    assert found == sorted(set(found))
    later = bounds(billing, found[1], end, ZONE) if found[1] < end else found[1:]
    assert later == found[1:]


@pytest.mark.parametrize(
    ("billing", "reason"),
    [
        (Billing(day=29), "day"),
        (Billing(day=0), "day"),
        (Billing(day=1, months=5), "months"),
        (Billing(day=1, first_month=13), "first_month"),
        (Billing(day=1, dates=READ), "not by both"),
        (Billing(dates=READ[:1]), "needs two"),
        (Billing(dates=(*READ, READ[-1])), "must be later"),
        (Billing(dates=READ[::-1]), "must be later"),
        (Billing(dates=(date(1, 1, 1), READ[0])), "from 1970"),
        (Billing(dates=tuple(READ[0] + timedelta(n) for n in range(1502))), "more than 1500"),
    ],
)
def test_periods_that_cannot_be_are_refused(billing: Billing, reason: str) -> None:
    with pytest.raises(Permanent, match=reason):
        check(billing)


@pytest.mark.parametrize(
    ("start", "end"), [((1, 1), (9999, 1)), ((1, 1), (1, 3)), ((9999, 12), (9999, 12))]
)
def test_a_span_without_end_is_refused(start: tuple[int, int], end: tuple[int, int]) -> None:
    first, last = datetime(*start, 1, tzinfo=UTC), datetime(*end, 31, tzinfo=UTC)
    with pytest.raises(Permanent):
        bounds(Billing(day=15), first, last, ZONE)
