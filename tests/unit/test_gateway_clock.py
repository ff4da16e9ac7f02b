"""The gateway's clock: what it is worth, what is believed, and what a step does to it."""

from datetime import UTC, datetime

import pytest

from common.clock import ManualClock, to_ms
from common.messages.batch import ClockQuality
from edge_agent.gateway_clock import DIFFERS_MS, GatewayClock
from edge_agent.metering.scaling import known
from edge_agent.store.rebase import Fix

NOW = to_ms(datetime(2026, 11, 27, 12, tzinfo=UTC))
HOUR = 3_600_000
DAY = 24 * HOUR


class Bench:
    """A gateway's clock on a computer whose clock says ``wall``."""

    def __init__(self, wall: int, newest: int | None = None, fix: Fix | None = None) -> None:
        self.computer = ManualClock(wall)
        self.synchronised = False
        self.clock = GatewayClock(self.computer, lambda: self.synchronised)
        self.clock.begin(newest, fix)

    def told(self) -> list[str]:
        codes = [event.code for event in self.clock.news]
        self.clock.news.clear()
        return codes


@pytest.mark.parametrize(
    ("wall", "newest"),
    [
        (0, None),
        (to_ms(datetime(2025, 4, 1, tzinfo=UTC)), None),
        (to_ms(datetime(2036, 2, 7, tzinfo=UTC)), None),
        (to_ms(datetime(2036, 2, 7, tzinfo=UTC)), NOW),
        (NOW - HOUR, NOW),
        (NOW + 400 * DAY, NOW),
    ],
)
def test_a_clock_that_cannot_be_right_counts_from_boot(wall: int, newest: int | None) -> None:
    bench = Bench(wall, newest)
    bench.computer.advance(5)
    assert bench.clock.now_ms() == 5000
    assert not known(bench.clock.now_ms())
    assert bench.clock.quality is ClockQuality.UNKNOWN
    assert bench.clock.fix is None
    assert bench.told() == ["clock_unknown"]


@pytest.mark.parametrize("newest", [None, NOW + 200_000, NOW - 300 * DAY])
def test_a_clock_that_may_be_right_is_taken(newest: int | None) -> None:
    bench = Bench(NOW, newest)
    assert (bench.clock.now_ms(), bench.clock.quality) == (NOW, ClockQuality.FREE)
    assert bench.told() == []


def test_what_the_kernel_keeps_right_is_believed_whatever_the_journal_says() -> None:
    bench = Bench(NOW, NOW + 3 * DAY)
    assert bench.clock.quality is ClockQuality.UNKNOWN
    bench.synchronised = True
    bench.clock.look()
    assert (bench.clock.now_ms(), bench.clock.quality) == (NOW, ClockQuality.SYNCED)
    assert bench.told() == ["clock_unknown", "clock_known"]


def test_the_cloud_tells_the_time_to_whom_nobody_else_does() -> None:
    bench = Bench(0)
    bench.computer.advance(7)
    bench.clock.hear(NOW)
    assert (bench.clock.now_ms(), bench.clock.quality) == (NOW, ClockQuality.CLOUD)
    bench.computer.set_wall(HOUR)
    bench.computer.advance(1)
    assert bench.clock.now_ms() == NOW + 1000
    assert bench.told() == ["clock_unknown", "clock_known", "clock_step"]


def test_a_cloud_that_does_not_know_the_time_itself_is_not_believed() -> None:
    bench = Bench(0)
    bench.clock.hear(0)
    bench.clock.hear(HOUR)
    assert bench.clock.quality is ClockQuality.UNKNOWN


def test_a_clock_that_runs_by_itself_is_set_right_by_the_cloud_only_where_it_is_off() -> None:
    close, off, late = Bench(NOW), Bench(NOW), Bench(NOW)
    close.clock.hear(NOW + 900)
    assert (close.clock.now_ms(), close.told()) == (NOW, [])
    off.clock.hear(NOW + HOUR)
    assert (off.clock.now_ms(), off.told()) == (NOW + HOUR, ["clock_step"])
    late.clock.hear(NOW - 3000, waited_s=4)
    assert (late.clock.now_ms(), late.told()) == (NOW, [])
    assert {b.clock.quality for b in (close, off, late)} == {ClockQuality.CLOUD}


def test_two_clocks_that_are_kept_right_and_differ_are_told_once_and_ones_own_is_kept() -> None:
    bench = Bench(0)
    bench.computer.set_wall(NOW)
    bench.synchronised = True
    bench.clock.look()
    bench.told()
    for at, told in [
        (NOW + DIFFERS_MS, []),
        (NOW - DIFFERS_MS - 1, ["clock_differs"]),
        (NOW - HOUR, []),
        (NOW, []),
        (NOW + HOUR, ["clock_differs"]),
    ]:
        bench.clock.hear(at)
        assert bench.told() == told
        assert bench.clock.now_ms() == NOW


def test_a_step_is_told_with_its_size_and_followed_only_by_a_clock_that_is_kept_right() -> None:
    kept, free = Bench(NOW), Bench(NOW)
    kept.synchronised = True
    kept.clock.look()
    for bench in (kept, free):
        bench.computer.advance(60)
        bench.computer.set_wall(NOW + 60_000 - HOUR)
        bench.clock.look()
        [event] = bench.clock.news
        assert (event.code, event.data["by_ms"], event.data["moved_ms"]) == (
            "clock_step",
            -HOUR,
            -HOUR,
        )
        assert bench.clock.now_ms() == NOW + 60_000 - HOUR == event.at


def test_once_the_time_was_known_it_is_not_forgotten_when_nobody_keeps_the_clock_any_more() -> None:
    bench = Bench(NOW)
    bench.synchronised = True
    bench.clock.look()
    bench.synchronised = False
    bench.computer.set_wall(0)
    bench.computer.advance(1)
    assert (bench.clock.now_ms(), bench.clock.quality) == (NOW + 1000, ClockQuality.FREE)


def test_an_agent_that_is_started_anew_in_the_same_boot_knows_the_time_at_once() -> None:
    bench = Bench(0, NOW, Fix(NOW, ClockQuality.CLOUD, 5000))
    assert (bench.clock.now_ms(), bench.clock.quality) == (NOW, ClockQuality.CLOUD)
    assert bench.told() == []


def test_a_drift_too_slow_to_be_a_step_is_none() -> None:
    bench = Bench(NOW)
    bench.synchronised = True
    for second in range(100):
        bench.computer.set_wall(NOW + second * 1500)
        bench.computer.advance(1)
        bench.clock.look()
    assert bench.told() == []
