"""Flows that do not stop, and nights with more flow than before."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from cloud.domain.analyses import Hour, Severity
from cloud.domain.analyses.continuous_flow import ContinuousFlow
from cloud.domain.analyses.continuous_flow import find as find_flows
from cloud.domain.analyses.night_flow import NightFlow
from cloud.domain.analyses.night_flow import find as find_nights
from tests.unit.analyses_parts import (
    MISSING,
    Litres,
    history,
    hours,
    household,
    office,
    wall,
)

FLOW = ContinuousFlow(threshold=Decimal("0.001"))
NIGHT = NightFlow(least=Decimal("0.005"))


def estimated(of: list[Hour], first: int, last: int) -> list[Hour]:
    """With the hours first..last only estimated."""
    return [
        replace(hour, estimated=True) if first <= n <= last else hour for n, hour in enumerate(of)
    ]


def pattern(*amounts: tuple[int, Litres]) -> list[Hour]:
    """So many hours of each amount of litres, from Monday's first hour on."""
    litres = [amount for count, amount in amounts for _ in range(count)]
    return [
        replace(hour, quantity=None if amount is None else Decimal(amount) / 1000)
        for hour, amount in zip(hours(lambda _: 0, len(litres) // 24 + 1), litres, strict=False)
    ]


# -- continuous flow


def test_a_day_without_a_pause_is_a_leak_with_its_least_hour_and_what_it_loses() -> None:
    (leak,) = find_flows(history(pattern((5, 0), (20, 30), (1, 12), (3, 15))), FLOW)
    assert (leak.code, leak.severity) == ("continuous_flow", Severity.ALARM)
    assert (leak.since, leak.until) == (wall(0, 5), None)
    assert leak.text == (
        "Cold water has flowed for 24 measured hours without a pause, at least 12 l in each "
        "of the last 24: look for a leak or an open tap, which would lose about 288 l a day."
    )
    assert leak.evidence == {
        "measured_hours": 24,
        "unmeasured_hours": 0,
        "least_hour": "0.012",
        "threshold": "0.001",
        "loss_a_day": "0.288",
        "unit": "m³",
    }


def test_hours_before_the_leak_do_not_say_what_it_loses() -> None:
    (leak,) = find_flows(history(pattern((1, 0), (3, 2), (24, 12))), FLOW)
    assert (leak.since, leak.evidence["least_hour"]) == (wall(0, 1), "0.012")


@pytest.mark.parametrize(
    "seen",
    [
        pattern((5, 0), (23, 30)),
        pattern((5, 0), (20, 30), (1, 0), (20, 30)),
        pattern((1, 0), (47, 0.9)),
        estimated(pattern((1, 0), (60, 30)), 0, 60),
        estimated(pattern((1, 0), (28, 30)), 10, 15),
        pattern((1, 0), (20, 30), (7, MISSING), (20, 30)),
    ],
    ids=[
        "23 hours", "a pause in the middle", "less than the threshold", "all are estimated",
        "some are estimated", "two flows with a long gap between",
    ],
)  # fmt: skip
def test_this_is_no_leak(seen: list[Hour]) -> None:
    assert find_flows(history(seen), FLOW) == []


def test_estimated_and_missing_hours_are_no_pause() -> None:
    seen = estimated(pattern((1, 0), (12, 30), (3, MISSING), (3, 0), (12, 30)), 13, 18)
    (leak,) = find_flows(history(seen), FLOW)
    assert leak.since == wall(0, 1)
    assert (leak.evidence["measured_hours"], leak.evidence["unmeasured_hours"]) == (24, 6)


def test_silence_closes_no_leak_and_a_measured_pause_does() -> None:
    silent = pattern((1, 0), (24, 30), (100, MISSING))
    (before,) = find_flows(history(silent[:25]), FLOW)
    (silence,) = find_flows(history(silent), FLOW)
    assert (silence.key, silence.until) == (before.key, None)
    (over,) = find_flows(history(pattern((1, 0), (24, 30), (100, MISSING), (1, 0))), FLOW)
    assert (over.key, over.until) == (before.key, wall(1, 1))
    assert "flowed for 24" in over.text
    assert "has flowed" not in over.text


def test_a_leak_has_the_same_key_an_hour_later() -> None:
    seen = pattern((5, 0), (60, 30))
    keys = {one.key for count in range(29, 60) for one in find_flows(history(seen[:count]), FLOW)}
    assert keys == {"continuous_flow@2026-05-04T02:00:00.000000"}


def test_an_hour_that_is_not_over_is_not_looked_at() -> None:
    seen = pattern((1, 0), (24, 30), (1, 0))
    (leak,) = find_flows(history(seen, now=seen[-1].end - timedelta(seconds=1)), FLOW)
    assert leak.until is None


def test_flows_as_long_as_two_before_are_usual_and_longer_ones_are_not() -> None:
    week = ((120, 30), (48, 0))
    assert len(find_flows(history(pattern(*week, *week)), FLOW)) == 2
    assert len(find_flows(history(pattern(*week, *week, *week, *week)), FLOW)) == 2
    assert len(find_flows(history(pattern(*week, *week, *week, (180, 30))), FLOW)) == 2
    leaking = pattern(*week, *week, *week, (181, 30))
    assert find_flows(history(leaking), FLOW)[-1].since == wall(21)


def test_half_an_hour_where_clocks_go_back_by_thirty_minutes_is_not_half_a_flow() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    flow = ContinuousFlow(threshold=Decimal("0.030"))
    seen = [
        replace(
            hour, quantity=Decimal("0.030") * ((hour.end - hour.start) // timedelta(minutes=30)) / 2
        )
        for hour in hours(lambda _: 0, 4, date(2026, 4, 4), zone)
    ]
    assert len({hour.end - hour.start for hour in seen}) == 2
    (leak,) = find_flows(history(seen, zone=zone), flow)
    assert leak.evidence["measured_hours"] == len(seen)


# -- night flow


def with_nights(litres: dict[int, Litres], days: int = 40, usual: Litres = 0) -> list[Hour]:
    """A household with so many litres in each hour of these nights (days after Monday)."""
    first = wall(0).astimezone(ZoneInfo("Europe/Bucharest")).date()

    def amount(at: datetime) -> Litres:
        if at.hour >= 6:
            return household(at)
        return litres.get((at.date() - first).days, usual)

    return hours(amount, days)


def test_two_nights_above_all_before_are_told_and_one_is_not() -> None:
    assert find_nights(history(with_nights({38: 30})), NIGHT) == []
    assert find_nights(history(with_nights({36: 30, 38: 30})), NIGHT) == []
    (rise,) = find_nights(history(with_nights({38: 35, 39: 30})), NIGHT)
    assert (rise.code, rise.severity) == ("night_flow", Severity.WARNING)
    assert (rise.since, rise.until) == (wall(38, 2), None)
    assert rise.text == (
        "Cold water: at least 30 l an hour between 02:00 and 04:00, where 0 l is usual, in 2 "
        "nights since 2026-06-11: look for what runs at night, about 720 l a day if it never stops."
    )
    assert rise.evidence == {
        "flow": "0.03",
        "usual": "0",
        "limit": "0.005",
        "window": "02:00-04:00",
        "nights": 2,
        "last_night": "2026-06-12",
        "history_nights": 20,
        "unit": "m³",
    }


def test_where_nights_are_alike_not_every_litre_is_an_alarm() -> None:
    alike = NightFlow(least=Decimal(0))
    assert find_nights(history(with_nights({38: 11, 39: 11}, usual=10)), alike) == []
    assert len(find_nights(history(with_nights({38: 20, 39: 20}, usual=10)), alike)) == 1


def test_nights_to_days_off_are_compared_with_their_like() -> None:
    weekends = {day: 50 for day in range(70) if day % 7 >= 5}
    assert find_nights(history(with_nights(dict(weekends), 70)), NIGHT) == []
    (rise,) = find_nights(history(with_nights({**weekends, 65: 50, 66: 50}, 67)), NIGHT)
    assert rise.since == wall(65, 2)
    assert (rise.evidence["usual"], rise.evidence["history_nights"]) == ("0", 20)


def test_a_night_that_was_not_wholly_measured_neither_proves_nor_disproves() -> None:
    seen = with_nights({37: 30, 38: 0, 39: 30})
    gap = [replace(hour, estimated=True) if hour.start == wall(38, 3) else hour for hour in seen]
    assert find_nights(history(seen), NIGHT) == []
    (rise,) = find_nights(history(gap), NIGHT)
    assert (rise.since, rise.evidence["nights"]) == (wall(37, 2), 2)


def test_a_leak_does_not_become_usual_while_it_runs() -> None:
    seen = with_nights(dict.fromkeys(range(30, 60), 30), 62)
    during = [find_nights(history(seen[: day * 24]), NIGHT) for day in range(32, 61)]
    assert {one.key for found in during for one in found} == {
        "night_flow@2026-06-02T23:00:00.000000"
    }
    assert all(found[0].until is None for found in during)
    (over,) = find_nights(history(seen), NIGHT)
    assert over.until == wall(59, 4)


def test_nights_of_a_leak_that_was_repaired_are_not_compared_with() -> None:
    seen = with_nights(dict.fromkeys([*range(24, 41), 45, 46], 30), 48)
    assert [one.since for one in find_nights(history(seen), NIGHT)] == [wall(24, 2), wall(45, 2)]


def test_less_than_ten_nights_are_no_history() -> None:
    assert find_nights(history(with_nights({9: 30, 10: 30}, 11)), NIGHT) == []
    assert len(find_nights(history(with_nights({10: 30, 11: 30}, 12)), NIGHT)) == 1


def test_the_night_that_lacks_an_hour_is_not_judged_and_the_one_with_another_is() -> None:
    late = date(2026, 3, 29), date(2026, 10, 25)
    for change, nights in zip(late, (1, 2), strict=True):
        leaking = (change, change + timedelta(1))

        def amount(at: datetime, leaking: tuple[date, ...] = leaking) -> Litres:
            return 30 if at.date() in leaking else office(at)

        seen = hours(amount, 32, change - timedelta(30))
        assert len(find_nights(history(seen), NIGHT)) == nights - 1
