"""The simulated world: exact, continuous, and in the ranges that the demo promises."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.registers import Medium
from edge_agent.simulators.scenario import load_site
from edge_agent.simulators.series import HOURLY, HOURS, draw_off_shares, draw_offs, hourly
from edge_agent.simulators.world import HOUR_MS, Curve, Meter, Timeline

DEMO = Path(__file__).parents[2] / "deploy" / "demo" / "scenario.toml"
ORIGIN_MS = 1_736_121_600_000
DAY_MS = 24 * HOUR_MS
FOUR_WEEKS_MS = 28 * DAY_MS

METERS = load_site(DEMO).world.meters


def meter(*curves: Curve, speed: int = 1, until_ms: int | None = None) -> Meter:
    timeline = Timeline(ORIGIN_MS, speed, until_ms)
    return Meter("m", Medium.ELECTRICITY, 0, curves, timeline)


def test_a_straight_rise_is_half_of_its_end() -> None:
    """From 0 to 3,600,000 mW in an hour, and back: 1.8 million mWh in each."""
    triangle = meter(Curve((0, 3_600_000), HOUR_MS))
    assert triangle.consumed(ORIGIN_MS + HOUR_MS) == 1_800_000
    assert triangle.consumed(ORIGIN_MS + 2 * HOUR_MS) == 3_600_000
    assert triangle.consumed(ORIGIN_MS + HOUR_MS // 2) == 450_000
    assert triangle.rate(ORIGIN_MS + HOUR_MS // 2) == 1_800_000


@given(
    points=st.lists(st.integers(0, 10**9), min_size=1, max_size=6),
    pace=st.sampled_from([1, 20, 60, 3600]),
    instants=st.lists(st.integers(0, 10 * DAY_MS), min_size=2, max_size=12),
)
def test_increments_add_up_to_the_total_over_any_split_of_time(
    points: list[int], pace: int, instants: list[int]
) -> None:
    one = meter(Curve(tuple(points), HOUR_MS // pace), Curve((1234,), HOUR_MS))
    totals = [one.consumed(ORIGIN_MS + instant) for instant in sorted(instants)]
    increments = [later - earlier for earlier, later in pairwise(totals)]
    assert all(increment >= 0 for increment in increments)
    assert totals[0] + sum(increments) == totals[-1]


@given(
    points=st.lists(st.integers(0, 10**8), min_size=2, max_size=5),
    start_s=st.integers(0, 100_000),
    length_s=st.integers(1, 20_000),
)
@settings(max_examples=40)
def test_the_total_is_the_integral_of_the_rate(
    points: list[int], start_s: int, length_s: int
) -> None:
    """Straight lines, summed by trapezoids over the seconds: equal but for the corners."""
    one = meter(Curve(tuple(points), 60_000))
    rates = [one.rate(ORIGIN_MS + (start_s + s) * 1000) for s in range(length_s + 1)]
    summed = sum((a + b) / 2 for a, b in pairwise(rates)) / 3600
    end_ms = ORIGIN_MS + (start_s + length_s) * 1000
    counted = one.consumed(end_ms) - one.consumed(ORIGIN_MS + start_s * 1000)
    assert counted == pytest.approx(summed, abs=2 + length_s / 3600)


@given(st.integers(0, 400 * DAY_MS))
def test_a_second_process_sees_the_same_meter(elapsed_ms: int) -> None:
    again = load_site(DEMO).world.meters if elapsed_ms % 50 == 0 else METERS
    for key, one in METERS.items():
        assert again[key].consumed(ORIGIN_MS + elapsed_ms) == one.consumed(ORIGIN_MS + elapsed_ms)


def test_the_series_goes_on_without_a_seam_where_it_starts_again() -> None:
    for one in METERS.values():
        round_1, round_2 = (
            one.consumed(ORIGIN_MS + (n + 1) * FOUR_WEEKS_MS)
            - one.consumed(ORIGIN_MS + n * FOUR_WEEKS_MS)
            for n in (0, 1)
        )
        assert abs(round_1 - round_2) <= 1
        seam_ms = ORIGIN_MS + FOUR_WEEKS_MS
        assert abs(one.rate(seam_ms) - one.rate(seam_ms - 1)) <= one.rate(seam_ms) // 1000 + 1


def test_speed_multiplies_consumption_and_rate() -> None:
    curve = Curve((1000, 5000, 2000), HOUR_MS)
    slow, fast = meter(curve), meter(curve, speed=600)
    assert fast.consumed(ORIGIN_MS + 60_000) == slow.consumed(ORIGIN_MS + 36_000_000)
    assert fast.rate(ORIGIN_MS + 60_000) == 600 * slow.rate(ORIGIN_MS + 36_000_000)


def test_after_its_end_the_world_consumes_nothing() -> None:
    until_ms = ORIGIN_MS + 90_000
    one = meter(Curve((40_000_000,), HOUR_MS), speed=60, until_ms=until_ms)
    last = one.consumed(until_ms)
    assert last == 60_000_000
    assert one.rate(until_ms - 1) == 60 * 40_000_000
    assert one.rate(until_ms) == 0
    assert one.consumed(until_ms + DAY_MS) == last


def test_before_its_origin_the_world_stands_still() -> None:
    one = meter(Curve((40_000_000,), HOUR_MS))
    assert one.consumed(ORIGIN_MS - DAY_MS) == 0
    assert one.rate(ORIGIN_MS - 1) == 0


def test_a_pulse_comes_when_its_weight_is_full() -> None:
    one = meter(Curve((3_600_000,), HOUR_MS))  # one unit a millisecond
    weight = 1000
    assert one.pulses(ORIGIN_MS + 1_999, weight) == 1
    assert one.pulses(ORIGIN_MS + 2_000, weight) == 2


def test_the_index_starts_at_what_stood_on_the_face() -> None:
    gas = METERS["gas"]
    assert str(gas.index(ORIGIN_MS)) == "5871.020000"
    water = METERS["cold-water"]
    assert water.index(ORIGIN_MS + DAY_MS) > water.index(ORIGIN_MS)


@pytest.mark.parametrize(
    ("key", "lowest", "highest"),
    [
        ("gas", 10_000_000, 30_000_000),  # ml in an hour
        ("hot-water", 500_000, 1_000_000),
        ("cold-water", 2_000_000, 4_000_000),
        ("electricity-main", 20_000_000, 60_000_000),  # mWh in an hour
        ("electricity-greenhouse", 8_000_000, 30_000_000),
    ],
)
def test_every_hour_of_the_four_weeks_is_in_its_range(key: str, lowest: int, highest: int) -> None:
    one = METERS[key]
    totals = [one.consumed(ORIGIN_MS + hour * HOUR_MS) for hour in range(HOURS + 1)]
    hours = [later - earlier for earlier, later in pairwise(totals)]
    assert lowest <= min(hours)
    assert max(hours) <= highest


def test_the_greenhouse_is_about_half_of_the_electricity() -> None:
    end_ms = ORIGIN_MS + FOUR_WEEKS_MS
    share = METERS["electricity-greenhouse"].consumed(end_ms) / METERS["electricity-main"].consumed(
        end_ms
    )
    assert 0.4 < share < 0.6


def test_power_swings_over_both_thresholds_every_few_minutes_at_any_hour() -> None:
    one, high, swings = METERS["electricity-main"], False, [0] * HOURS
    minutes: list[float] = []
    for tick in range(HOURS * 360):
        power_w = one.rate(ORIGIN_MS + tick * 10_000) // 1000
        if not high and power_w > 40_000:
            high = True
            swings[tick // 360] += 1
            minutes.append(tick / 6)
        elif high and power_w < 33_000:
            high = False
    gaps = sorted(later - earlier for earlier, later in pairwise(minutes))
    assert min(swings) >= 4
    assert max(gaps) < 20
    assert 5 <= sum(gaps) / len(gaps) <= 15


@pytest.mark.parametrize("name", HOURLY)
def test_a_series_is_four_whole_weeks(name: str) -> None:
    values = hourly(name)
    assert len(values) == HOURS
    assert min(values) >= 0
    assert max(values) > 1000


def test_the_shares_of_a_working_day_are_all_of_it() -> None:
    work, off = draw_off_shares()
    assert len(work) == len(off) == 24
    assert abs(sum(work) - 1_000_000) <= 24
    assert sum(off) == 0


def test_draw_offs_follow_their_seed_and_their_volume() -> None:
    flow, step_ms = draw_offs("a", 3_000, 10, True)
    assert (flow, step_ms) == draw_offs("a", 3_000, 10, True)
    assert flow != draw_offs("b", 3_000, 10, True)[0]
    litres = sum(flow) / 60 / 1000
    assert litres == pytest.approx(20 * 3_000, rel=0.05)
    assert sum(flow[5 * 1440 : 7 * 1440]) == 0


def test_a_curve_refuses_what_it_cannot_add_up() -> None:
    with pytest.raises(ValueError, match="divide"):
        Curve((1,), 7_000_000)
    with pytest.raises(ValueError, match="negative"):
        Curve((1, -1), HOUR_MS)
