"""The metering services, on each kind of database, with exact figures."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from cloud.domain.consumption import Step
from cloud.services import metering
from cloud.services.store import Store
from common.clock import to_datetime, to_ms
from common.errors import NotFound, Permanent
from common.messages.uplink import DeviceStatus
from common.reading import Quality
from common.registers import Kind, Medium
from tests.harness.masterdata import MasterData

BUCHAREST = ZoneInfo("Europe/Bucharest")
NOW = to_ms(datetime(2026, 11, 1, 12, tzinfo=UTC))
HOUR = 3_600_000
QUARTER = HOUR // 4


@pytest.fixture
def device(data: MasterData) -> int:
    return data.add_device(data.add_gateway(data.add_site(), seen_at=NOW - 1000))


def _every_quarter(start: datetime, end: datetime, per_quarter: int) -> list[tuple[int, int]]:
    """An index that grows by ``per_quarter`` each 15 minutes, from 1000."""
    first, last = to_ms(start), to_ms(end)
    return [(at, 1000 + n * per_quarter) for n, at in enumerate(range(first, last + 1, QUARTER))]


@pytest.mark.parametrize(
    ("month", Step.DAY, "hours"), [(3, 29, (24, 23, 24)), (10, 25, (24, 25, 24))]
)
def test_consumption_by_day_over_a_change_of_the_clocks(
    *, store: Store, data: MasterData, device: int, month: int, day: int, hours: tuple[int, ...]
) -> None:
    register = data.add_register(device, interval_s=900)
    start = datetime(2026, month, day, tzinfo=BUCHAREST) - timedelta(days=1)
    end = start + timedelta(days=3)
    data.add_readings(register, _every_quarter(start, end, per_quarter=250))
    found = metering.consumption(store, register, Step.DAY, start, end)
    assert [(one.value, one.estimated) for one in found] == [
        (Decimal(hour), False) for hour in hours
    ]
    assert found[0].start == start
    assert found[-1].end == end
    assert str(found[0].value) == "24.000"


@pytest.mark.parametrize(("month", Step.DAY, "hours"), [(3, 29, 23), (10, 25, 25)])
def test_consumption_by_hour_over_a_change_of_the_clocks(
    *, store: Store, data: MasterData, device: int, month: int, day: int, hours: int
) -> None:
    register = data.add_register(device, interval_s=900)
    start = datetime(2026, month, day, tzinfo=BUCHAREST)
    end = datetime(2026, month, day + 1, tzinfo=BUCHAREST)
    data.add_readings(register, _every_quarter(start, end, per_quarter=250))
    found = metering.consumption(store, register, Step.HOUR, start, end)
    assert [(one.value, one.estimated) for one in found] == [(Decimal(1), False)] * hours


def test_a_gap_over_midnight_is_interpolated_and_flagged_on_both_days(
    store: Store, data: MasterData, device: int
) -> None:
    register = data.add_register(device, interval_s=900)
    midnight = datetime(2026, 6, 2, tzinfo=BUCHAREST)
    before, after = midnight - timedelta(hours=3), midnight + timedelta(hours=9)
    first, last = midnight - timedelta(days=1), midnight + timedelta(days=1)
    data.add_readings(
        register,
        [(to_ms(first), 0), (to_ms(before), 800), (to_ms(after), 2000), (to_ms(last), 5000)],
    )
    found = metering.consumption(store, register, Step.DAY, first, last)
    assert [(one.value, one.estimated) for one in found] == [
        (Decimal("1.100"), True),
        (Decimal("3.900"), True),
    ]


def test_an_index_that_went_back_gives_no_value(
    store: Store, data: MasterData, device: int
) -> None:
    register = data.add_register(device, interval_s=3600)
    start = datetime(2026, 6, 1, 10, tzinfo=UTC)
    values = [100, 250, 20, 90]
    data.add_readings(
        register, [(to_ms(start) + n * HOUR, value) for n, value in enumerate(values)]
    )
    found = metering.consumption(store, register, Step.HOUR, start, start + timedelta(hours=3))
    assert [(one.value, one.estimated) for one in found] == [
        (Decimal("0.150"), False),
        (None, True),
        (Decimal("0.070"), False),
    ]


def test_consumption_before_between_and_after_readings(
    store: Store, data: MasterData, device: int
) -> None:
    register = data.add_register(device, interval_s=900)
    start = datetime(2026, 6, 1, 10, tzinfo=UTC)
    half_past = to_ms(start) + 2 * QUARTER
    data.add_readings(
        register,
        [(half_past, 100), (half_past + QUARTER, None), (half_past + 2 * QUARTER, 110),
         (half_past + 4 * QUARTER, 150)],
    )  # fmt: skip
    hour = timedelta(hours=1)
    found = metering.consumption(store, register, Step.HOUR, start - hour, start + 3 * hour)
    assert [(one.value, one.estimated) for one in found] == [
        (None, False),
        (Decimal("0.010"), True),
        (Decimal("0.040"), True),
        (None, False),
    ]


def test_readings_without_a_value_are_passed_over(
    store: Store, data: MasterData, device: int
) -> None:
    register = data.add_register(device, interval_s=900)
    start = datetime(2026, 6, 1, 10, tzinfo=UTC)
    first, last = to_ms(start), to_ms(start) + HOUR
    data.add_readings(
        register,
        [(first - 1000, 100), (first, None), (first + 1000, 102),
         (last - 1000, 200), (last, None), (last + 1000, 202)],
    )  # fmt: skip
    (found,) = metering.consumption(store, register, Step.HOUR, start, start + timedelta(hours=1))
    assert (found.value, found.estimated) == (Decimal("0.100"), False)


def test_an_index_of_doubtful_quality_makes_an_estimate(
    store: Store, data: MasterData, device: int
) -> None:
    register = data.add_register(device, interval_s=900)
    start = datetime(2026, 6, 1, 10, tzinfo=UTC)
    data.add_readings(register, [(to_ms(start), 100)])
    data.add_readings(register, [(to_ms(start) + HOUR, 200)], quality=Quality.TIME_UNCERTAIN)
    (found,) = metering.consumption(store, register, Step.HOUR, start, start + timedelta(hours=1))
    assert (found.value, found.estimated) == (Decimal("0.100"), True)


def test_consumption_without_any_reading_is_unknown(
    store: Store, data: MasterData, device: int
) -> None:
    register = data.add_register(device)
    start = datetime(2026, 6, 1, tzinfo=BUCHAREST)
    found = metering.consumption(store, register, Step.DAY, start, start + timedelta(days=2))
    assert [(one.value, one.estimated) for one in found] == [(None, False)] * 2


def test_two_months_of_hours_add_up(store: Store, data: MasterData, device: int) -> None:
    register = data.add_register(device, interval_s=900)
    start = datetime(2026, 5, 1, tzinfo=UTC)
    end = start + timedelta(days=60)
    data.add_readings(register, _every_quarter(start, end, per_quarter=3))
    found = metering.consumption(store, register, Step.HOUR, start, end)
    assert len(found) == 60 * 24
    assert sum((one.value or Decimal(0)) for one in found) == Decimal("17.280")
    assert not any(one.estimated for one in found)


def test_what_does_not_count_has_no_consumption(
    store: Store, data: MasterData, device: int
) -> None:
    register = data.add_register(device, "power", kind=Kind.POWER)
    start = datetime(2026, 6, 1, tzinfo=UTC)
    with pytest.raises(Permanent, match="no index"):
        metering.consumption(store, register, Step.DAY, start, start + timedelta(days=1))
    with pytest.raises(NotFound):
        metering.consumption(store, 4711, Step.DAY, start, start + timedelta(days=1))


def test_a_time_zone_that_nobody_knows_is_an_error_and_not_utc(
    store: Store, data: MasterData
) -> None:
    site = data.add_site("mars", timezone="Mars/Olympus")
    register = data.add_register(data.add_device(data.add_gateway(site)))
    start = datetime(2026, 6, 1, tzinfo=UTC)
    with pytest.raises(Permanent, match="Mars/Olympus"):
        metering.consumption(store, register, Step.DAY, start, start + timedelta(days=1))


def test_pages_of_readings_join_without_loss_or_repetition(
    store: Store, data: MasterData, device: int
) -> None:
    register = data.add_register(device)
    data.add_readings(register, [(at, at) for at in range(0, 100, 10)])
    seen: list[int] = []
    after = None
    while page := metering.readings(store, register, 10, 90, 3, after):
        seen += [to_ms(reading.at) for reading in page]
        after = seen[-1]
    assert seen == [10, 20, 30, 40, 50, 60, 70, 80]


def test_a_reading_is_exact_and_says_what_it_is_worth(
    store: Store, data: MasterData, device: int
) -> None:
    register = data.add_register(device, decimals=9)
    data.add_readings(register, [(5, 2**63 - 1)], quality=Quality.ESTIMATED)
    (found,) = metering.readings(store, register, 0, 10, 5)
    assert found.value == Decimal("9223372036.854775807")
    assert (found.quality, found.raw) == (Quality.ESTIMATED, 7)
    with pytest.raises(NotFound):
        metering.readings(store, 4711, 0, 10, 5)


def test_a_short_series_is_every_reading_that_has_a_value(
    store: Store, data: MasterData, device: int
) -> None:
    register = data.add_register(device)
    data.add_readings(register, [(10, 1), (20, None), (30, 3), (40, 4)])
    assert metering.series(store, register, 0, 40, 100) == [
        (to_datetime(10), Decimal("0.001")),
        (to_datetime(30), Decimal("0.003")),
    ]
    assert metering.series(store, register, 11, 30, 100) == []


def test_a_long_series_of_an_index_keeps_its_ends_and_only_real_readings(
    store: Store, data: MasterData, device: int
) -> None:
    register = data.add_register(device)
    readings = [(at * 1000, at * at) for at in range(1000)]
    data.add_readings(register, readings)
    found = metering.series(store, register, 0, 10**12, 100)
    assert len(found) == 100
    points = [(to_ms(at), int(value * 1000)) for at, value in found]
    assert points[0] == readings[0]
    assert points[-1] == readings[-1]
    assert set(points) <= set(readings)
    assert points == sorted(points)


def test_a_long_series_of_a_rate_keeps_its_peaks(
    store: Store, data: MasterData, device: int
) -> None:
    register = data.add_register(device, "power", kind=Kind.POWER, decimals=0)
    values = [5] * 1000
    values[333], values[777] = 9000, -40
    data.add_readings(register, [(n * 1000, value) for n, value in enumerate(values)])
    found = metering.series(store, register, 0, 1_000_000, 20)
    assert len(found) == 20
    assert max(value for _, value in found) == 9000
    assert min(value for _, value in found) == -40
    times = [at for at, _ in found]
    assert times == sorted(times)


def test_a_long_series_of_a_rate_rises_and_falls_as_it_did(
    store: Store, data: MasterData, device: int
) -> None:
    register = data.add_register(device, "power", kind=Kind.POWER, decimals=0)
    readings = [(n * 1000, abs(500 - n)) for n in range(1000)]
    data.add_readings(register, readings)
    found = metering.series(store, register, 0, 1_000_000, 40)
    assert {(to_ms(at), int(value)) for at, value in found[2:]} <= set(readings)


def test_a_gap_in_a_series_takes_no_points(store: Store, data: MasterData, device: int) -> None:
    register = data.add_register(device)
    late = 1_000_000
    readings = [(n, n) for n in range(500)] + [(late + n, 500 + n) for n in range(500)]
    data.add_readings(register, readings)
    found = metering.series(store, register, 0, 2 * late, 20)
    assert [to_ms(at) for at, _ in found] == [0, 499, late, late + 499]


def test_a_meter_is_a_device_that_counts(store: Store, data: MasterData) -> None:
    gateway = data.add_gateway(
        data.add_site(),
        seen_at=NOW - 1000,
        devices=[DeviceStatus("water-1", "ok"), DeviceStatus("power-1", "failing")],
    )
    water = data.add_device(gateway, "water-1")
    flow = data.add_register(water, "flow", kind=Kind.FLOW)
    pulses = data.add_register(water, "pulses", kind=Kind.PULSES, decimals=0)
    volume = data.add_register(water, interval_s=10)
    data.add_register(water, "gone", active=False)
    data.add_readings(volume, [(NOW - 5000, 12345)])
    electricity = data.add_device(gateway, "power-1")
    data.add_register(electricity, "energy", kind=Kind.ENERGY_IMPORT, medium=Medium.ELECTRICITY)
    roof = data.add_device(gateway, "roof")
    data.add_register(roof, "output", kind=Kind.OUTPUT)
    removed = data.add_device(gateway, "old", active=False)
    data.add_register(removed)

    second, first = metering.meters(store, NOW)
    assert (first.key, second.key) == ("water-1", "power-1")
    assert first.index is not None
    assert first.index.reading is not None
    assert first.index.register.id == volume
    assert first.index.reading.value == Decimal("12.345")
    assert first.rate is not None
    assert first.rate.register.id == flow
    assert [one.register.id for one in first.registers] == [pulses, volume, flow]
    assert (first.medium, second.medium) == (Medium.COLD_WATER, Medium.ELECTRICITY)
    assert (first.online, second.online) == (True, False)
    assert first.timezone == "Europe/Bucharest"
    assert metering.meter(store, removed, NOW).key == "old"
    for nothing in (roof, 4711):
        with pytest.raises(NotFound):
            metering.meter(store, nothing, NOW)


@pytest.mark.parametrize(
    ("interval_s", "age_s", "stale"),
    [(5, 30, False), (5, 31, True), (60, 180, False), (60, 181, True), (0, 10**6, False)],
)
def test_a_reading_is_stale_when_a_newer_one_should_have_come(
    *, store: Store, data: MasterData, device: int, interval_s: int, age_s: int, stale: bool
) -> None:
    register = data.add_register(device, interval_s=interval_s)
    data.add_readings(register, [(NOW - age_s * 1000, 1)])
    found = metering.latest(store, [register, 4711], NOW)
    assert found.keys() == {register}
    assert found[register].stale is stale


def test_a_register_that_never_gave_what_it_promised_is_stale(
    store: Store, data: MasterData, device: int
) -> None:
    register = data.add_register(device, interval_s=5)
    found = metering.latest(store, [register], NOW)[register]
    assert (found.reading, found.stale) == (None, True)
    assert metering.latest(store, [], NOW) == {}
