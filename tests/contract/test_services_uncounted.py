"""What is read of a meter that is installed nowhere counts for no point, and that is told."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from cloud.services import installing, points
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.services.store import Store
from cloud.services.uncounted import MOST, When, uncounted
from common.clock import to_ms
from common.errors import NotFound
from common.registers import Kind, Medium
from tests.harness.masterdata import MasterData

HOUR = 3_600_000
START = to_ms(datetime(2026, 6, 1, tzinfo=UTC))
NOW = to_ms(datetime(2026, 7, 1, tzinfo=UTC))
BY = Change("ana", NOW)


def at(hour: int) -> int:
    return START + hour * HOUR


@pytest.fixture
def register(data: MasterData) -> int:
    """Read each hour, 24 times, from 100 m³ on, 1 m³ an hour."""
    device = data.add_device(data.add_gateway(data.add_site("mill", "UTC")))
    found = data.add_register(device, "volume", interval_s=3600)
    data.add_readings(found, [(at(n), 100_000 + n * 1000) for n in range(24)])
    return found


def new_point(store: Store, key: str) -> int:
    wanted = NewPoint(key, key, "mill", Medium.COLD_WATER, Kind.VOLUME)
    return points.create(store, wanted, BY).id


def test_readings_before_it_was_installed_and_since_it_was_removed_are_told(
    store: Store, register: int
) -> None:
    point = new_point(store, "flat-1")
    installing.install(store, point, NewMeter(register), at(5), BY)
    [before] = uncounted(store, point, NOW)
    installing.remove(store, point, None, at(20), BY)
    assert uncounted(store, point, NOW)[0] == before
    after = uncounted(store, point, NOW)[1]
    assert (before.when, before.readings, before.last_index) == (When.BEFORE, 5, Decimal(104))
    assert (after.when, after.readings) == (When.AFTER, 3)
    assert (to_ms(after.first), to_ms(after.last)) == (at(21), at(23))
    assert (after.first_index, after.last_index) == (Decimal(121), Decimal(123))
    assert after.text == (
        f"3 readings since {after.device} was removed are not counted (2026-06-01 20:00 UTC);"
        " its index grew: install it where it counts now, or take it off the gateway"
    )


def test_what_a_meter_counts_elsewhere_is_not_uncounted(store: Store, register: int) -> None:
    first, second = new_point(store, "flat-1"), new_point(store, "flat-2")
    installing.install(store, first, NewMeter(register), at(0), BY)
    installing.remove(store, first, None, at(10), BY)
    installing.install(store, second, NewMeter(register), at(12), BY)
    [between] = uncounted(store, first, NOW)
    assert (to_ms(between.first), to_ms(between.last)) == (at(11), at(11))
    assert "grew" not in between.text
    assert [one.when for one in uncounted(store, second, NOW)] == [When.BEFORE]


def test_many_readings_are_told_without_being_counted_all(
    store: Store, data: MasterData, register: int
) -> None:
    data.add_readings(register, [(at(30) + n, 200_000 + n) for n in range(MOST + 5)])
    point = new_point(store, "flat-1")
    installing.install(store, point, NewMeter(register), at(0), BY)
    installing.remove(store, point, None, at(23), BY)
    [after] = uncounted(store, point, NOW)
    assert (after.readings, after.last_index) == (MOST, Decimal("201.004"))
    assert after.text.startswith("1000 and more readings")


def test_a_point_that_is_not_there_has_no_readings(store: Store) -> None:
    with pytest.raises(NotFound):
        uncounted(store, 99_999, NOW)
