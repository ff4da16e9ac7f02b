"""Entries made before the time was known: dated when it is, in order, and marked."""

from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from common.messages.batch import ClockQuality, Entry
from common.messages.envelope import encode
from common.messages.uplink import Body, Event, Readings, Value, decode_body
from edge_agent.store.rebase import Fix, rebase

NOW = 1_795_000_000_000
DAY = 86_400_000
FIX = Fix(NOW, ClockQuality.CLOUD, 60_000)
GOOD, UNCERTAIN, ERROR = 0, 2, 4


def entry(body: Body, mono: int, *, ahead: int = 0, clock: int = ClockQuality.UNKNOWN) -> Entry:
    """One whose wall clock was ``ahead`` of the monotonic one."""
    return Entry(1, msgspec.Raw(encode(body)), mono + ahead, 1, mono, clock)


def readings(at: int) -> Readings:
    return Readings(at, [Value(1, 5, GOOD, 7), Value(2, None, ERROR)])


def test_what_was_measured_before_the_time_was_known_is_dated_and_marked() -> None:
    moved = rebase(entry(readings(4000), 5000), FIX)
    assert (moved.at, moved.mono, moved.clock) == (NOW + 5000, 5000, ClockQuality.UNKNOWN)
    marked = [Value(1, 5, UNCERTAIN, 7), Value(2, None, ERROR)]
    assert decode_body(moved.body) == Readings(NOW + 4000, marked)


def test_what_a_device_dated_itself_stays_as_it_is() -> None:
    before = entry(readings(NOW - DAY), 5000)
    moved = rebase(before, FIX)
    assert moved.at == NOW + 5000
    assert bytes(moved.body) == bytes(before.body)


def test_what_was_measured_before_and_appended_after_is_dated_too() -> None:
    late = entry(readings(4000), 70_000, ahead=NOW, clock=ClockQuality.CLOUD)
    moved = rebase(late, FIX)
    assert moved.at == late.at
    assert decode_body(moved.body).at == NOW + 4000


def test_a_clock_that_ran_by_itself_is_moved_only_when_it_was_off() -> None:
    hour = 3_600_000
    for off, expected in [(1900, 0), (-1900, 0), (2100, 2100), (-hour, -hour)]:
        free = entry(readings(NOW - off + 4000), 5000, ahead=NOW - off, clock=ClockQuality.FREE)
        moved = rebase(free, FIX)
        assert moved.at == free.at + expected
        body = decode_body(moved.body)
        assert isinstance(body, Readings)
        assert body.at == NOW - off + 4000 + expected
        assert body.r[0].quality == (UNCERTAIN if expected else GOOD)


def test_what_a_long_offline_clock_lost_little_by_little_is_left() -> None:
    lost = 40_000
    after_ten_days = Fix(NOW + lost, ClockQuality.CLOUD, 10 * DAY)
    free = entry(readings(NOW + 4000), 5000, ahead=NOW, clock=ClockQuality.FREE)
    assert rebase(free, after_ten_days) == free


def test_a_devices_old_record_is_not_moved_with_a_clock_that_was_off() -> None:
    free = entry(readings(NOW - DAY), 5000, ahead=NOW + 9000, clock=ClockQuality.FREE)
    assert decode_body(rebase(free, FIX).body) == readings(NOW - DAY)


def test_what_is_known_or_has_no_fix_or_cannot_be_read_keeps_its_body() -> None:
    for clock in (ClockQuality.CLOUD, ClockQuality.SYNCED):
        sure = entry(readings(NOW + 5000), 5000, ahead=NOW + DAY, clock=clock)
        assert rebase(sure, FIX) == sure
    assert rebase(entry(readings(1), 1), None) == entry(readings(1), 1)
    foreign = Entry(1, msgspec.Raw(b'{"k":"later","at":3}'), 3, 1, 3)
    assert rebase(foreign, FIX) == msgspec.structs.replace(foreign, at=NOW + 3)


monotonic = st.lists(st.integers(0, 10**11), min_size=2, max_size=20).map(sorted)
fixes = st.builds(Fix, st.integers(0, 2**42), st.sampled_from(ClockQuality), st.integers(0, 10**11))


@given(
    monotonic,
    fixes,
    st.sampled_from([ClockQuality.UNKNOWN, ClockQuality.FREE]),
    st.integers(NOW - DAY, NOW + DAY),
)
def test_the_order_of_a_boot_is_kept(
    monos: list[int], fix: Fix, clock: ClockQuality, free: int
) -> None:
    ahead = 0 if clock is ClockQuality.UNKNOWN else free
    made = [
        entry(Event(mono + ahead, "test", "info", ""), mono, ahead=ahead, clock=clock)
        for mono in monos
    ]
    moved = [rebase(one, fix) for one in made]
    assert [one.at for one in moved] == sorted(one.at for one in moved)
    gaps = [later.at - one.at for one, later in pairwise(moved)]
    assert gaps == [b - a for a, b in pairwise(monos)]
    assert [decode_body(one.body).at for one in moved] == [one.at for one in moved]
    assert moved == [rebase(one, fix) for one in made]
