"""Flow and power from counters: exact however it is asked, and fast where much is asked."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from cloud.services import rates
from cloud.services.rates import SliceView
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from common.clock import to_ms
from common.errors import NotFound, Permanent
from common.registers import Kind
from tests.harness.masterdata import MasterData

START = to_ms(datetime(2026, 6, 1, tzinfo=UTC))
MINUTE, HOUR = 60_000, 3_600_000
HOURS = 72


@pytest.fixture
def register(data: MasterData) -> int:
    """Read every ten minutes for three days: n % 5 l each time, and two hours of a night flow."""
    device = data.add_device(data.add_gateway(data.add_site(timezone="UTC")))
    id_ = data.add_register(device, interval_s=600)
    index, readings = 1000, []
    for n in range(HOURS * 6 + 1):
        readings.append((START + n * 10 * MINUTE, index))
        index += n % 5 + (10 if 240 <= n < 252 else 0)
    data.add_readings(id_, readings)
    return id_


def _asked(store: Store, register: int, points: int, hours: float = HOURS) -> list[SliceView]:
    end = START + round(hours * HOUR) + 1
    return list(rates.rate(store, register, START, end, points).slices)


@pytest.mark.parametrize("rolled_up", [False, True])
@pytest.mark.parametrize("points", [1, 3, 10, 50, 200, 500])
def test_whatever_is_asked_the_amounts_are_those_of_the_index(
    store: Store, register: int, points: int, *, rolled_up: bool
) -> None:
    if rolled_up:
        roll_up(store)
    found = [one for one in _asked(store, register, points) if one.amount is not None]
    assert 0 < len(found) <= points
    gained = sum(n % 5 + (10 if 240 <= n < 252 else 0) for n in range(HOURS * 6))
    assert sum(one.amount or Decimal(0) for one in found) == Decimal(gained) / 1000
    for one in found:
        assert one.amount is not None
        hours = Decimal((one.end - one.start).total_seconds()) / 3600
        assert abs((one.rate or Decimal(0)) * hours - one.amount) < Decimal("0.000001")
    if points == 10:
        assert max(one.greatest or Decimal(0) for one in found) == Decimal("0.071")


def test_few_readings_are_told_one_by_one(store: Store, register: int) -> None:
    found = _asked(store, register, 6, hours=1)
    assert [one.amount for one in found] == [Decimal(n % 5) / 1000 for n in range(6)]
    assert found[1].rate == Decimal("0.006")
    assert {one.greatest for one in found} == {None}


def test_a_unit_is_that_of_flow_or_power(store: Store, data: MasterData) -> None:
    device = data.add_device(data.add_gateway(data.add_site()))
    for kind, unit in ((Kind.ENERGY_IMPORT, "W"), (Kind.VOLUME, "m³/h"), (Kind.PULSES, "1/h")):
        id_ = data.add_register(device, kind.value, kind=kind, decimals=0)
        data.add_readings(id_, [(START, 0), (START + 15 * MINUTE, 250)])
        found = rates.rate(store, id_, START, START + HOUR, 10)
        assert (found.unit, [one.rate for one in found.slices]) == (unit, [Decimal(1000)])
    flow = data.add_register(device, "flow", kind=Kind.FLOW)
    with pytest.raises(Permanent, match="is no index"):
        rates.rate(store, flow, START, START + HOUR, 10)
    with pytest.raises(NotFound):
        rates.rate(store, 9999, START, START + HOUR, 10)
    empty = data.add_register(device, "empty")
    assert rates.rate(store, empty, START, START + HOUR, 10).slices == ()
