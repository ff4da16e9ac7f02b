"""Standstill, an index that falls, and hours that were not measured."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from cloud.domain.analyses import Hour, Readings, Severity
from cloud.domain.analyses.data_missing import DataMissing
from cloud.domain.analyses.data_missing import find as find_gaps
from cloud.domain.analyses.reverse_flow import ReverseFlow
from cloud.domain.analyses.reverse_flow import find as find_falls
from cloud.domain.analyses.standstill import Standstill
from cloud.domain.analyses.standstill import find as find_pauses
from cloud.domain.consumption import HOUR_MS, Index
from common.registers import Medium
from tests.unit.analyses_parts import MISSING, Litres, history, hours, household, office, wall

STILL = Standstill(hours=24)
FALL = ReverseFlow(jitter=Decimal("0.020"), largest=Decimal(5))
GAP = DataMissing()


def closed(first: int, last: int, litres: Litres = 0, days: int = 42) -> list[Hour]:
    """An office with only so many litres in each hour of the days first..last."""
    return [
        replace(hour, quantity=None if litres is None else Decimal(litres) / 1000)
        if wall(first) <= hour.start < wall(last + 1)
        else hour
        for hour in hours(office, days)
    ]


# -- standstill


def test_a_weekend_is_no_standstill_and_two_working_days_are() -> None:
    assert find_pauses(history(hours(office, 42)), STILL) == []
    (pause,) = find_pauses(history(closed(36, 37, days=38)), STILL)
    assert (pause.code, pause.severity) == ("standstill", Severity.WARNING)
    assert (pause.since, pause.until) == (wall(35, 18), None)
    assert pause.text == (
        "No cold water has been consumed for 54 measured hours since 2026-06-08 18:00; 20 of them "
        "usually have some, and no pause before missed more than 0: see whether the meter or its "
        "transmitter is stuck, the supply is shut or nobody is there."
    )
    assert pause.evidence == {
        "measured_hours": 54,
        "missed_hours": "20",
        "most_missed_before": "0",
        "longest_before_hours": 62,
        "history_hours": 858,
        "unit": "m³",
    }


def test_a_pause_is_the_same_while_it_lasts_and_over_when_something_is_consumed() -> None:
    seen = closed(36, 37, days=39)
    lasting = [
        one
        for count in range(36 * 24 + 16, 38 * 24)
        for one in find_pauses(history(seen[:count]), STILL)
    ]
    assert {one.key for one in lasting} == {"standstill@2026-06-08T15:00:00.000000"}
    assert {one.until for one in lasting} == {None}
    (over,) = find_pauses(history(seen), STILL)
    assert (over.key, over.until) == (lasting[0].key, wall(38, 8))


def test_a_pause_as_long_as_one_before_is_usual() -> None:
    closed_before = [
        replace(hour, quantity=Decimal(0)) if wall(15) <= hour.start < wall(17) else hour
        for hour in closed(36, 37, days=38)
    ]
    assert find_pauses(history(closed_before), STILL) == []


def test_missing_hours_are_no_standstill_and_estimated_consumption_ends_one() -> None:
    assert find_pauses(history(closed(36, 37, MISSING, days=38)), STILL) == []
    unsure = [
        replace(hour, estimated=True) if hour.start >= wall(36) else hour
        for hour in closed(36, 37, days=38)
    ]
    assert find_pauses(history(unsure), STILL) == []
    moved = [
        replace(hour, quantity=Decimal("0.001"), estimated=True)
        if hour.start in (wall(36, 12), wall(37, 6))
        else hour
        for hour in closed(36, 37, days=38)
    ]
    assert find_pauses(history(moved), STILL) == []


def test_what_never_stops_is_missed_at_once_and_what_never_runs_is_not() -> None:
    power = Standstill(hours=12)

    def cut(at: datetime) -> Litres:
        return 0 if wall(20, 6) <= at else 200_000

    (pause,) = find_pauses(history(hours(cut, 21), medium=Medium.ELECTRICITY), power)
    assert (pause.since, pause.evidence["measured_hours"]) == (wall(20, 6), 18)
    assert find_pauses(history(hours(lambda _: 0, 42)), STILL) == []


def test_of_two_weeks_nothing_is_usual_yet() -> None:
    assert find_pauses(history(closed(11, 13, days=14)), STILL) == []
    assert len(find_pauses(history(closed(15, 17, days=18)), STILL)) == 1


# -- reverse flow


def readings(*litres: int, start: int = 0) -> Readings:
    """One each hour, in whole litres."""
    begin = int(wall(0).timestamp() * 1000)
    return Readings(
        [Index(begin + (start + n) * HOUR_MS, value) for n, value in enumerate(litres)], 3
    )


def test_an_index_that_falls_is_told_with_how_much_and_since_when() -> None:
    fallen = readings(1000, 1200, 1150, 1100, 1105, 1090)
    (fall,) = find_falls(fallen, history([]), FALL)
    assert (fall.code, fall.severity) == ("reverse_flow", Severity.WARNING)
    assert (fall.since, fall.until) == (wall(0, 1), None)
    assert fall.text == (
        "Cold water: the index has fallen by 110 l since 2026-05-04 01:00: look for a missing or "
        "broken check valve, or a meter that is fitted or wired the wrong way round. If it was "
        "reset or exchanged, record a reset or an exchange."
    )
    assert fall.evidence == {
        "amount": "0.11",
        "index_before": "1.2",
        "lowest_index": "1.09",
        "jitter": "0.02",
        "unit": "m³",
    }


FALLS = {
    "no readings": ((), []),
    "it rises": ((1000, 1000, 1100), []),
    "jitter": ((1000, 980, 1000, 985, 1100), []),
    "more than jitter": ((1000, 979), [(0, None)]),
    "by little and little": ((1000, 990, 980, 970), [(0, None)]),
    "over when it rises": ((1000, 900, 910, 921, 922), [(0, 1)]),
    "twice": ((1000, 900, 950, 850), [(0, 1), (2, None)]),
    "it stands after the fall": ((1000, 1000, 900, 900), [(1, None)]),
    "a reset is none": ((9000, 10, 20), []),
    "a fall before a reset": ((9000, 8900, 10, 20), [(0, 1)]),
}


@pytest.mark.parametrize(("litres", "expected"), FALLS.values(), ids=FALLS)
def test_falls(litres: tuple[int, ...], expected: list[tuple[int, int | None]]) -> None:
    found = find_falls(readings(*litres), history([]), FALL)
    spans = [(wall(0, first), last if last is None else wall(0, last)) for first, last in expected]
    backwards = [one for one in found if one.code == "reverse_flow"]
    assert [(one.since, one.until) for one in backwards] == spans


def test_a_fall_beyond_anything_that_flows_back_is_told_as_such_when_it_is_borne_out() -> None:
    assert find_falls(readings(9000, 9010, 10), history([]), FALL) == []
    (fell,) = find_falls(readings(9000, 9010, 10, 20), history([]), FALL)
    assert (fell.code, fell.severity) == ("index_fell", Severity.WARNING)
    assert (fell.since, fell.until) == (wall(0, 1), wall(0, 2))
    assert fell.text == (
        "Cold water: the index fell from 9.01 to 0.01 m³ after 2026-05-04 01:00. If the meter was "
        "reset or exchanged, record a reset or an exchange; if it was misread, correct the reading."
    )
    assert fell.evidence == {"index_before": "9.01", "index_after": "0.01", "unit": "m³"}


def test_a_reading_that_is_not_sure_is_no_fall() -> None:
    good = readings(1000, 1010, 1020)
    doubtful = [*good.indices[:2], good.indices[2]._replace(value=500).doubtful]
    assert find_falls(Readings(doubtful, 3), history([]), FALL) == []


# -- data missing


def gap(*places: int, estimated: bool = False) -> list[Hour]:
    return [
        replace(hour, estimated=True) if estimated and n in places
        else replace(hour, quantity=None) if n in places
        else hour
        for n, hour in enumerate(hours(household, 2))
    ]  # fmt: skip


def test_three_hours_that_were_not_measured_are_told_though_later_ones_came() -> None:
    assert find_gaps(history(gap(10, 11, 13)), GAP) == []
    (found,) = find_gaps(history(gap(10, 11, 12)), GAP)
    assert (found.code, found.severity) == ("data_missing", Severity.WARNING)
    assert (found.since, found.until) == (wall(0, 10), wall(0, 13))
    assert found.text == (
        "Cold water: 3 hours were not measured from 2026-05-04 10:00 to 2026-05-04 13:00, 0 of "
        "them could be estimated: see how meter, gateway and network are doing."
    )
    assert found.evidence == {
        "hours": 3,
        "estimated_hours": 0,
        "expected_hours": 48,
        "unit": "m³",
    }
    (guessed,) = find_gaps(history(gap(10, 11, 12, estimated=True)), GAP)
    assert guessed.evidence["estimated_hours"] == 3


def test_what_may_still_come_in_time_is_not_missing() -> None:
    seen = gap(45, 46, 47)
    assert find_gaps(history(seen), GAP) == []
    (found,) = find_gaps(history(seen, now=seen[-1].end + timedelta(hours=1)), GAP)
    assert (found.since, found.until) == (wall(1, 21), None)
    assert "since 2026-05-05 21:00" in found.text


def test_hours_that_are_not_there_at_the_end_are_missing_too() -> None:
    seen = gap()
    (found,) = find_gaps(history(seen, now=seen[-1].end + timedelta(hours=4)), GAP)
    assert (found.since, found.until, found.evidence["hours"]) == (wall(2), None, 3)
