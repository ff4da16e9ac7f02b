"""How complete a day is at every gateway, from what is summed up."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from cloud.services import fleet
from cloud.services.fleet import GatewayDayView
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from common.clock import to_ms
from common.errors import Permanent
from tests.harness.masterdata import MasterData

DAY = date(2026, 10, 25)
"""In Bucharest, it has 25 hours; in UTC, 24."""
BUCHAREST = to_ms(datetime(2026, 10, 24, 21, tzinfo=UTC))
GREENWICH = to_ms(datetime(2026, 10, 25, tzinfo=UTC))
NOW = to_ms(datetime(2026, 11, 1, tzinfo=UTC))
QUARTER = 900_000


@pytest.fixture
def registers(data: MasterData) -> list[int]:
    """Two of a gateway in Bucharest, one of a gateway in Greenwich, each quarter of an hour."""
    mill = data.add_device(data.add_gateway(data.add_site("mill"), "gw-1"))
    dome = data.add_device(data.add_gateway(data.add_site("dome", "UTC"), "gw-2"), "water-2")
    return [
        data.add_register(mill, "volume", interval_s=900),
        data.add_register(mill, "other", interval_s=900),
        data.add_register(dome, "volume", interval_s=900),
    ]


def _days(store: Store, now_ms: int = NOW) -> dict[str, GatewayDayView]:
    return {one.gateway: one for one in fleet.completeness(store, DAY, now_ms)}


def test_each_gateway_has_the_day_of_its_site(
    store: Store, data: MasterData, registers: list[int]
) -> None:
    around = range(-8, 4 * 25 + 8)
    for register, start in zip(registers, (BUCHAREST, BUCHAREST, GREENWICH), strict=True):
        data.add_readings(register, [(start + n * QUARTER, n) for n in around])
    roll_up(store)
    found = _days(store)
    assert [found[key].expected for key in ("gw-1", "gw-2")] == [2 * 100, 96]
    assert [(one.got, one.missing, one.percent, one.behind) for one in found.values()] == [
        (96, 0, Decimal("100.0"), 0),
        (200, 0, Decimal("100.0"), 0),
    ]
    assert found["gw-1"].end - found["gw-1"].start == timedelta(hours=25)


def test_what_one_register_has_too_much_hides_no_hole_of_another(
    store: Store, data: MasterData, registers: list[int]
) -> None:
    twice = [(BUCHAREST + n * QUARTER + extra, n) for n in range(100) for extra in (0, 9)]
    data.add_readings(registers[0], twice)
    data.add_readings(registers[1], [(BUCHAREST + n * QUARTER, n) for n in range(100) if n != 7])
    roll_up(store)
    one = _days(store)["gw-1"]
    assert (one.registers, one.whole, one.expected, one.got, one.missing) == (2, 1, 200, 199, 1)
    assert one.percent == Decimal("99.5")


def test_a_gateway_that_is_silent_is_there_and_has_nothing(
    store: Store, registers: list[int]
) -> None:
    one = _days(store)["gw-2"]
    assert (one.expected, one.got, one.percent, one.behind) == (96, 0, Decimal(0), 0)


def test_what_is_not_summed_up_yet_is_said(
    store: Store, data: MasterData, registers: list[int]
) -> None:
    data.add_readings(registers[2], [(GREENWICH + n * QUARTER, n) for n in range(9)])
    assert (_days(store)["gw-2"].got, _days(store)["gw-2"].behind) == (0, 3)
    roll_up(store)
    assert (_days(store)["gw-2"].got, _days(store)["gw-2"].behind) == (9, 0)


def test_nothing_is_expected_that_is_still_to_come(store: Store, registers: list[int]) -> None:
    noon = GREENWICH + 48 * QUARTER
    assert _days(store, noon)["gw-2"].expected == 48
    tomorrow = fleet.completeness(store, DAY + timedelta(days=1), noon)
    assert [(one.expected, one.percent) for one in tomorrow] == [(0, None), (0, None)]


@pytest.mark.parametrize("day", [date.min, date.max])
def test_a_day_at_the_edge_of_the_calendar_is_refused(
    store: Store, registers: list[int], day: date
) -> None:
    with pytest.raises(Permanent, match="edge of the calendar"):
        fleet.completeness(store, day, NOW)
