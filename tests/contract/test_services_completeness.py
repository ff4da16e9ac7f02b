"""Completeness and the books, asked of each kind of database."""

from collections.abc import Iterable
from dataclasses import astuple
from datetime import UTC, datetime, timedelta

import pytest

from cloud.services import completeness
from cloud.services.book_views import CompletenessView
from cloud.services.store import Store
from common.clock import to_ms
from common.errors import NotFound, Permanent
from common.reading import Quality
from tests.harness.masterdata import MasterData

START = datetime(2026, 6, 1, 21, tzinfo=UTC)  # midnight in Bucharest
END = START + timedelta(days=2)
DAY_1 = to_ms(START)
MINUTE = 60_000
DAY = 86_400_000
NOW = to_ms(END) + DAY
MINUTES = 1440

Counts = tuple[int, ...]


def counts(days: Iterable[CompletenessView]) -> list[Counts]:
    """expected, got, estimated, missing, failing, lost, waiting of each day."""
    return [astuple(day)[2:] for day in days]


@pytest.fixture
def gateway(data: MasterData) -> int:
    return data.add_gateway(data.add_site(), seen_at=NOW)


@pytest.fixture
def register(data: MasterData, gateway: int) -> int:
    return data.add_register(data.add_device(gateway), interval_s=60)


def ask(store: Store, register_id: int, now_ms: int = NOW) -> list[Counts]:
    return counts(completeness.of_register(store, register_id, START, END, now_ms).days)


def test_all_readings_make_a_whole_day(store: Store, data: MasterData, register: int) -> None:
    data.add_readings(register, ((DAY_1 + n * MINUTE + 1234, n) for n in range(2 * MINUTES)))
    assert ask(store, register) == [(MINUTES, MINUTES, 0, 0, 0, 0, 0)] * 2


def test_readings_that_come_twice_hide_no_hole(
    store: Store, data: MasterData, register: int
) -> None:
    minutes = [n for n in range(2 * MINUTES) if n not in {7, 8, MINUTES + 9}]
    twice = [(DAY_1 + n * MINUTE + extra, n) for n in minutes for extra in (0, 11_000)]
    data.add_readings(register, twice)
    assert ask(store, register) == [
        (MINUTES, MINUTES - 2, 0, 2, 0, 0, 0),
        (MINUTES, MINUTES - 1, 0, 1, 0, 0, 0),
    ]


def test_a_value_that_is_not_good_is_estimated_and_none_is_missing(
    store: Store, data: MasterData, register: int
) -> None:
    times = [DAY_1 + n * MINUTE for n in range(2 * MINUTES)]
    data.add_readings(register, [(times[0], None)], Quality.NOT_AVAILABLE)
    data.add_readings(register, [(times[1], 5)], Quality.TIME_UNCERTAIN)
    data.add_readings(register, [(times[2], 5)], Quality.ESTIMATED)
    data.add_readings(register, [(times[3], None)], Quality.DEVICE_ERROR)
    data.add_readings(register, [(times[3] + 5, 5)], Quality.GOOD)
    data.add_readings(register, [(at, 5) for at in times[4:]])
    [first, second] = ask(store, register)
    assert first == (MINUTES, MINUTES - 1, 2, 1, 1, 0, 0)
    assert second == (MINUTES, MINUTES, 0, 0, 0, 0, 0)


def test_nothing_is_expected_before_a_register_was_added_or_after_now(
    store: Store, data: MasterData, gateway: int
) -> None:
    added = DAY_1 + 3600_000
    register = data.add_register(data.add_device(gateway), interval_s=60, added_at=added)
    assert ask(store, register)[0] == (MINUTES - 60, 0, 0, MINUTES - 60, 0, 0, 0)
    noon = DAY_1 + DAY // 2 + 40_001
    assert ask(store, register, noon) == [(661, 0, 0, 661, 0, 0, 0), (0,) * 7]


def test_a_register_without_a_schedule_expects_nothing(
    store: Store, data: MasterData, gateway: int
) -> None:
    register = data.add_register(data.add_device(gateway))
    assert ask(store, register) == [(0,) * 7] * 2


def test_of_a_register_out_of_use_nothing_is_expected_after_its_last_reading(
    store: Store, data: MasterData, gateway: int
) -> None:
    register = data.add_register(data.add_device(gateway), interval_s=60, active=False)
    data.add_readings(register, [(DAY_1 + n * MINUTE, n) for n in range(10)])
    assert ask(store, register) == [(10, 10, 0, 0, 0, 0, 0), (0,) * 7]


def test_what_is_missing_says_why_where_that_is_known(
    store: Store, data: MasterData, register: int, gateway: int
) -> None:
    data.add_readings(register, [(DAY_1 + n * MINUTE, n) for n in range(10)])
    stream = data.add_stream(gateway, [(1, 100)])
    data.add_loss(stream, 20, 59, DAY_1 + 19 * MINUTE, DAY_1 + 60 * MINUTE)
    data.add_event(
        stream, 60, gateway, at=DAY_1 + 100 * MINUTE, severity="info", code="device_failing"
    )
    data.add_event(stream, 61, gateway, at=DAY_1 + 120 * MINUTE, severity="info", code="device_ok")
    [first, _] = ask(store, register)
    assert first == (MINUTES, 10, 0, MINUTES - 10, 21, 42, 0)


def test_what_an_absent_gateway_may_still_have_is_waiting(store: Store, data: MasterData) -> None:
    gateway = data.add_gateway(
        data.add_site(), "gw-away", online=False, seen_at=DAY_1 + 10 * MINUTE
    )
    register = data.add_register(data.add_device(gateway), interval_s=60)
    data.add_readings(register, [(DAY_1 + n * MINUTE, n) for n in range(5)])
    [first, second] = ask(store, register)
    assert first == (MINUTES, 5, 0, MINUTES - 5, 0, 0, MINUTES - 10)
    assert second == (MINUTES, 0, 0, MINUTES, 0, 0, MINUTES)


def test_a_gateway_sums_its_devices_and_they_their_registers(
    store: Store, data: MasterData, gateway: int
) -> None:
    meter, other = data.add_device(gateway, "a"), data.add_device(gateway, "b")
    data.add_register(data.add_device(gateway, "gone", active=False), interval_s=60)
    data.add_register(data.add_device(gateway, "no-schedule"))
    minute = data.add_register(meter, "power", interval_s=60)
    quarter = data.add_register(meter, "volume", interval_s=900)
    hour = data.add_register(other, interval_s=3600)
    for register, width in ((minute, MINUTE), (quarter, 15 * MINUTE), (hour, 60 * MINUTE)):
        data.add_readings(register, [(DAY_1 + n * width, n) for n in range(DAY // width)])
    found = completeness.of_gateway(store, gateway, START, END, NOW)
    assert (found.gateway, found.timezone) == ("gw-1", "Europe/Bucharest")
    assert [device.key for device in found.devices] == ["a", "b"]
    assert [one.register_id for one in found.devices[0].registers] == [minute, quarter]
    assert counts(found.days) == [
        (1440 + 96 + 24, 1440 + 96 + 24, 0, 0, 0, 0, 0),
        (1440 + 96 + 24, 0, 0, 1440 + 96 + 24, 0, 0, 0),
    ]
    assert counts(found.devices[0].days)[0][:2] == (1536, 1536)
    assert counts(found.devices[1].registers[0].days)[1] == (24, 0, 0, 24, 0, 0, 0)


def test_too_much_at_once_is_refused(store: Store, data: MasterData, gateway: int) -> None:
    fast = data.add_register(data.add_device(gateway), interval_s=1)
    with pytest.raises(Permanent, match="fewer days"):
        completeness.of_register(store, fast, START, START + timedelta(days=60), NOW)
    with pytest.raises(Permanent, match="400 days"):
        completeness.of_gateway(store, gateway, START, START + timedelta(days=401), NOW)
    with pytest.raises(NotFound):
        completeness.of_gateway(store, 4711, START, END, NOW)
    with pytest.raises(NotFound):
        completeness.of_register(store, 4711, START, END, NOW)
