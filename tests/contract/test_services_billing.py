"""Billing periods of one's own: over a year with both changes of the clocks, nothing is lost."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from cloud.domain.billing import Billing
from cloud.domain.consumption import Step
from cloud.services import installing, points
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from common.clock import to_ms
from common.errors import NotFound, Permanent
from common.registers import Kind, Medium
from tests.harness.masterdata import MasterData

ZONE = ZoneInfo("Europe/Bucharest")
START, END = (datetime(year, 1, 15, tzinfo=ZONE).astimezone(UTC) for year in (2026, 2027))
BY = Change("ana", to_ms(END) + 1, "as in the contract")
DAY = timedelta(days=1)


@pytest.fixture
def point(store: Store, data: MasterData) -> int:
    """Read each day at midnight of UTC; consumption differs from one to the next."""
    device = data.add_device(data.add_gateway(data.add_site(timezone=ZONE.key)))
    register = data.add_register(device, interval_s=86_400)
    times = range((END - START) // DAY + 2)
    data.add_readings(register, [(to_ms(START + n * DAY), n * n % 7 + 9 * n) for n in times])
    wanted = NewPoint("flat-1", "Flat 1", "mill", Medium.COLD_WATER, Kind.VOLUME)
    id_ = points.create(store, wanted, BY).id
    installing.install(store, id_, NewMeter(register), to_ms(START), BY)
    return id_


def _asked(store: Store, point: int, billing: Billing) -> list[tuple[str, Decimal]]:
    points.set_billing(store, point, billing, BY)
    found = points.consumption(store, point, "billing", START, END)
    assert all(one.estimated is False for one in found)
    return [(f"{one.start.astimezone(ZONE):%m-%d %H:%M}", one.value or Decimal(0)) for one in found]


def test_a_year_is_the_exact_sum_of_its_billing_periods(store: Store, point: int) -> None:
    roll_up(store)
    [whole] = _asked(store, point, Billing(day=15, months=12))
    assert whole[1] > 3
    days = points.consumption(store, point, Step.DAY, START, END)
    for months in (1, 6):
        found = _asked(store, point, Billing(day=15, months=months))
        assert len(found) == 12 // months
        assert {start[2:5] + start[6:] for start, _ in found} == {"-1500:00"}
        assert sum(value for _, value in found) == whole[1]
    dates = (date(2026, 1, 15), date(2026, 2, 28), date(2026, 10, 25), date(2027, 1, 15))
    read = _asked(store, point, Billing(dates=dates))
    assert [start for start, _ in read] == ["01-15 00:00", "02-28 00:00", "10-25 00:00"]
    assert sum(value for _, value in read) == whole[1]
    assert read[0][1] == sum((one.value or Decimal(0) for one in days[:44]), Decimal(0))


def test_without_billing_periods_none_are_made_up(store: Store, point: int) -> None:
    with pytest.raises(Permanent, match="set them first"):
        points.consumption(store, point, "billing", START, END)
    with pytest.raises(Permanent, match="day"):
        points.set_billing(store, point, Billing(day=31), BY)
    assert points.billing(store, point) == Billing()
    assert points.set_billing(store, point, Billing(day=5), BY) == Billing(day=5)
    assert points.billing(store, point) == Billing(day=5)
    [newest] = points.changes(store, point)[:1]
    assert (newest.action, newest.detail) == ("billing_set", {"billing": '{"day":5}'})
    points.set_billing(store, point, Billing(), BY)
    assert points.billing(store, point) == Billing()
    with pytest.raises(NotFound):
        points.set_billing(store, 9999, Billing(day=5), BY)
