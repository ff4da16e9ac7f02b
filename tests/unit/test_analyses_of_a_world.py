"""The analyses of simulated water points: ten weeks without a leak, and a leak in the last days."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from cloud.domain.analyses import Finding, Hour, analyse, defaults
from common.clock import to_ms
from common.registers import Medium
from edge_agent.simulators.series import HOURS, draw_offs
from edge_agent.simulators.world import HOUR_MS, Curve, Flow, Meter, Timeline
from tests.unit.analyses_parts import BUCHAREST, history, marks

FIRST = date(2026, 8, 17)  # a Monday; in the tenth week summer time ends
WEEKS = 10
PULSE_ML = 1000
ORIGIN_MS = to_ms(datetime.combine(FIRST, time(), UTC))
LEAK = datetime.combine(FIRST + timedelta(64), time(), BUCHAREST).astimezone(UTC)
WATER = defaults(Medium.COLD_WATER, "m³")


def point(seed: str, litres_a_day: int, *, days_off: bool = False, leak_l: int = 0) -> list[Hour]:
    """Ten weeks of taps, no four of them alike, behind a transmitter of a litre a pulse."""
    span = HOURS * HOUR_MS
    flows = []
    for n in range(3):
        minutes, step_ms = draw_offs(f"{seed}/{n}", litres_a_day, 8, days_off)
        flows.append(Flow(Curve(minutes, step_ms), ((n * span, (n + 1) * span),)))
    leak_ms = to_ms(LEAK) - ORIGIN_MS
    flows.append(Flow(Curve((leak_l * 1000,), HOUR_MS), ((leak_ms, None),)))
    meter = Meter("m", Medium.COLD_WATER, 0, tuple(flows), Timeline(ORIGIN_MS, 1))
    seen = [(at, meter.pulses(to_ms(at), PULSE_ML)) for at in marks(FIRST, WEEKS * 7, BUCHAREST)]
    return [
        Hour(start, end, Decimal((after - before) * PULSE_ML).scaleb(-6))
        for (start, before), (end, after) in pairwise(seen)
    ]


def told(seen: list[Hour], *, days: range) -> dict[str, Finding]:
    """All that is found on these days, in the evening, by key; of each what was seen first."""
    found: dict[str, Finding] = {}
    for day in days:
        now = datetime.combine(FIRST + timedelta(day), time(22), BUCHAREST).astimezone(UTC)
        so_far = [hour for hour in seen if hour.end <= now]
        for one in analyse(history(so_far), WATER):
            found.setdefault(one.key, one)
    return found


@pytest.mark.parametrize(("litres_a_day", "days_off"), [(120, False), (120, True), (250, False)])
def test_ten_weeks_without_a_leak_have_no_alarm(litres_a_day: int, days_off: bool) -> None:
    counts: Counter[str] = Counter()
    for seed in ("a", "b"):
        found = told(point(seed, litres_a_day, days_off=days_off), days=range(6, 70, 7))
        counts.update(one.code for one in found.values())
    assert counts["continuous_flow"] == 0
    assert counts["night_flow"] == 0
    assert counts["unusual_consumption"] <= 1
    assert counts["standstill"] == counts["data_missing"] == 0


@pytest.mark.parametrize("seed", ["a", "b"])
@pytest.mark.parametrize("leak_l", [10, 40])
def test_a_leak_is_found_within_two_days(seed: str, leak_l: int) -> None:
    seen = point(seed, 120, leak_l=leak_l)
    assert told(seen, days=range(57, 64)) == {}
    by_code = {one.code: one for one in told(seen, days=range(64, 66)).values()}
    flow, nights = by_code["continuous_flow"], by_code["night_flow"]
    assert LEAK - timedelta(hours=5) <= flow.since <= LEAK
    assert nights.since == LEAK + timedelta(hours=2)
    assert flow.until is nights.until is None
    fresh = told(seen, days=range(66, 67))[flow.key]
    loss_l = Decimal(str(fresh.evidence["loss_a_day"])) * 1000
    assert leak_l * 24 * 0.8 < loss_l <= leak_l * 24
