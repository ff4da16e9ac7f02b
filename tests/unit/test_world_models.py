"""Consumption models and counters: pure functions of the scenario and the time."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ConfigError
from common.registers import Medium
from edge_agent.simulators.counter import Change, Counter
from edge_agent.simulators.scenario import load_site
from edge_agent.simulators.series import STANDARD, standard
from edge_agent.simulators.world import HOUR_MS, Curve, Flow, Meter, Timeline, World

ORIGIN_MS = 1_767_571_200_000  # 2026-01-05T00:00Z, a Monday
DAY_MS = 24 * HOUR_MS

TEXT = """
seed = "models"
origin = 2026-01-05T00:00:00Z
speed = {speed}

[[source]]
key = "home"
series = "standard_household"
scale = 0.5

[[source]]
key = "leak"
series = "steady"
base = 20
from = "2h"

[[source]]
key = "sun"
series = "steady"
base = 1000
from = "10h"
until = "12h"
back = true

[[source]]
key = "taps"
series = "draw_offs"
litres_a_day = 400

[[meter]]
key = "power"
medium = "electricity"
sources = ["home", "sun"]

[[meter]]
key = "water"
medium = "cold_water"
start = 700
sources = ["leak"]
standstill = [{{ from = "5h", until = "6h" }}, {{ from = "8h", until = "2026-01-05T09:00:00Z" }}]

[[meter]]
key = "jitter"
medium = "cold_water"
start = 100_000
sources = ["leak", "sun"]

[[meter]]
key = "flat"
medium = "cold_water"
count = 3
sources = ["taps"]
"""


def world(folder: Path, *, speed: int = 1, text: str = TEXT) -> World:
    path = folder / "scenario.toml"
    path.write_text(text.format(speed=speed), "utf-8")
    return load_site(path).world


def test_a_leak_begins_at_its_hour_and_stays(tmp_path: Path) -> None:
    water = world(tmp_path).meters["water"]
    assert water.consumed(ORIGIN_MS + 2 * HOUR_MS) == 0
    assert water.consumed(ORIGIN_MS + 3 * HOUR_MS) == 20_000
    assert water.rate(ORIGIN_MS + 2 * HOUR_MS - 1) == 0
    assert water.rate(ORIGIN_MS + 2 * HOUR_MS) == 20_000


def test_in_a_standstill_nothing_flows_and_afterwards_it_goes_on(tmp_path: Path) -> None:
    water = world(tmp_path).meters["water"]
    at = [water.consumed(ORIGIN_MS + hours * HOUR_MS) // 1000 for hours in range(2, 12)]
    assert at == [0, 20, 40, 60, 60, 80, 100, 100, 120, 140]
    assert water.rate(ORIGIN_MS + 5 * HOUR_MS) == 0


def test_what_is_fed_in_stands_in_a_register_of_its_own(tmp_path: Path) -> None:
    power = world(tmp_path).meters["power"]
    noon = ORIGIN_MS + 13 * HOUR_MS
    assert power.exported(noon) == 2000
    assert power.returned(noon) == 2_000_000
    assert power.turned(noon) == power.consumed(noon)
    assert power.rate(ORIGIN_MS + 11 * HOUR_MS) < 0 < power.rate(noon)


def test_water_that_flows_back_turns_the_index_back(tmp_path: Path) -> None:
    jitter = world(tmp_path).meters["jitter"]
    before, after = (jitter.index(ORIGIN_MS + hours * HOUR_MS) for hours in (10, 12))
    assert after < before
    assert jitter.pulses(ORIGIN_MS + 12 * HOUR_MS, 10_000) == 20


def test_meters_that_are_many_differ_and_are_the_same_again(tmp_path: Path) -> None:
    first, second = world(tmp_path).meters, world(tmp_path).meters
    keys = ["flat-1", "flat-2", "flat-3"]
    week = ORIGIN_MS + 7 * DAY_MS + 12345
    counts = [first[key].index(week) for key in keys]
    assert len(set(counts)) == 3
    assert counts == [second[key].index(week) for key in keys]
    assert first["flat-1"].index(ORIGIN_MS) == 0


@given(speed=st.integers(1, 1000), elapsed_s=st.integers(0, 40 * 86_400))
@settings(max_examples=25)
def test_the_same_seed_gives_the_same_counts_at_any_speed(
    tmp_path_factory: pytest.TempPathFactory, speed: int, elapsed_s: int
) -> None:
    text = (
        TEXT.split("[[meter]]", maxsplit=1)[0]
        .replace('from = "2h"\n', "")
        .replace('from = "10h"\n', "")
    )
    text = text.replace('until = "12h"\n', "")
    text += '[[meter]]\nkey = "m"\nmedium = "electricity"\nsources = ["home", "leak", "taps"]\n'
    folder = tmp_path_factory.mktemp("speed")
    fast, slow = world(folder, speed=speed, text=text), world(folder, text=text)
    at_fast, at_slow = ORIGIN_MS + elapsed_s * 1000, ORIGIN_MS + elapsed_s * 1000 * speed
    assert fast.meters["m"].consumed(at_fast) == slow.meters["m"].consumed(at_slow)
    assert fast.meters["m"].rate(at_fast) == speed * slow.meters["m"].rate(at_slow)


spans = st.lists(st.integers(0, 5 * DAY_MS), min_size=2, max_size=6, unique=True).map(sorted)


@given(spans=spans, instants=st.lists(st.integers(0, 6 * DAY_MS), min_size=2, max_size=8))
def test_a_flow_adds_up_over_any_split_of_its_spans(spans: list[int], instants: list[int]) -> None:
    curve = Curve((1000, 9000, 4000), HOUR_MS)
    edges = spans[: len(spans) // 2 * 2]
    pairs = tuple(zip(edges[::2], edges[1::2], strict=True))
    flow = Flow(curve, pairs, 7_777)
    for at in sorted(instants):
        parts = sum(Flow(curve, (pair,), 7_777).integral(at) for pair in pairs)
        assert flow.integral(at) == parts
    totals = [flow.integral(at) for at in sorted(instants)]
    assert all(a <= b for a, b in pairwise(totals))
    if edges:
        assert flow.integral(7 * DAY_MS) == sum(
            curve.integral(7_777 + end) - curve.integral(7_777 + begin) for begin, end in pairs
        )


@pytest.mark.parametrize("name", STANDARD)
def test_a_standard_week_has_168_hours_and_a_mean_of_1000(name: str) -> None:
    hours = standard(name)
    assert len(hours) == 168
    assert sum(hours) == 168_000
    assert min(hours) > 0


def test_businesses_work_by_day_and_households_live_in_the_evening() -> None:
    business, household = standard("standard_business"), standard("standard_household")
    assert business[10] > 2 * business[22]
    assert household[19] > household[10] > household[3]
    assert sum(business[120:144]) < sum(business[:24])


def test_only_the_three_standard_profiles_are_there() -> None:
    with pytest.raises(ConfigError, match="not one of standard_business"):
        standard("standard_moon")


# -- counters


def counter(modulus: int | None = None) -> Counter:
    """One count a millisecond."""
    return Counter(lambda at_ms: at_ms, modulus)


def test_a_counter_shows_the_world_until_something_befalls_it() -> None:
    one = counter()
    one.reset(1000)
    one.exchange(3000, 500)
    assert [one.count(at) for at in (999, 1000, 2999, 3000, 3100)] == [999, 0, 1999, 500, 600]
    assert [(j.change, j.before, j.after) for j in one.jumps(3000)] == [
        (Change.RESET, 1000, 0),
        (Change.EXCHANGE, 2000, 500),
    ]
    assert one.jumps(2999) == one.jumps(1000)


def test_a_power_cut_loses_just_what_came_while_it_lasted() -> None:
    one = counter()
    one.stand(1000, 1300)
    assert [one.count(at) for at in (1000, 1299, 1300, 1400)] == [1000, 1000, 1000, 1100]
    (jump,) = one.jumps(2000)
    assert jump.before - jump.after == 300


def test_a_rollover_of_the_time_line_comes_by_itself_and_at_its_instant() -> None:
    one = counter()
    one.roll_over(5000, 10_000)
    assert [one.count(at) for at in (4990, 4999, 5000, 5010)] == [9990, 9999, 0, 10]
    assert one.jumps(9000) == ()


def test_a_rollover_by_hand_is_at_the_end_of_the_range_first() -> None:
    one = counter()
    one.bring_to_its_end(700, 1000)
    assert [one.count(at) for at in (699, 700, 701)] == [699, 999, 0]


def test_a_counter_with_an_end_starts_again() -> None:
    assert [counter(100).count(at) for at in (99, 100, 250)] == [99, 0, 50]
    with pytest.raises(ValueError, match="cannot start again"):
        counter(0)


def test_a_meter_that_is_made_by_hand_is_the_same_as_ever() -> None:
    one = Meter("m", Medium.GAS, 0, (Curve((1,), HOUR_MS), Flow(Curve((1,), HOUR_MS))), Timeline(0))
    assert one.consumed(10 * HOUR_MS) == 20
