"""Consumption taken out, on each kind of database: as it is asked for, however long the span."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import psutil
import pytest

from cloud.domain.consumption import MAX_PERIODS, Step
from cloud.export.files import write
from cloud.export.formats import Format
from cloud.export.table import Table
from cloud.services import consumption_export, installing, metering, points
from cloud.services.consumption_export import MOST_PERIODS
from cloud.services.exports import Selection
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from common.clock import to_ms
from common.errors import NotFound, Permanent
from common.registers import Kind, Medium
from tests.harness.masterdata import MasterData

D = Decimal
ZONE = ZoneInfo("Europe/Bucharest")
START, END = datetime(2026, 1, 1, tzinfo=ZONE), datetime(2027, 1, 1, tzinfo=ZONE)
HOURS = 365 * 24
EXCHANGED = START + timedelta(hours=100)
BY = Change("ana", to_ms(END + timedelta(days=1)))
ANY = Selection()
MB = 1_000_000


class Flat:
    """A flat that uses 0.007 m³ each hour of 2026 and is read a seventh into each hour; from the
    300th on every fifth day, after a hundred hours of nothing. Its meter is exchanged in the
    100th."""

    def __init__(self, store: Store, data: MasterData) -> None:
        self.device = data.add_device(data.add_gateway(data.add_site()))
        self.registers = [data.add_register(self.device, key, interval_s=3600) for key in "ab"]
        data.add_readings(self.registers[0], self.readings(range(-2, 100)))
        read = [*range(100, 200), *range(300, HOURS + 121, 120)]
        data.add_readings(self.registers[1], self.readings(read))
        wanted = NewPoint("flat-1", "Flat 1", "mill", Medium.COLD_WATER, Kind.VOLUME)
        self.point = points.create(store, wanted, BY).id
        first = NewMeter(self.registers[0], D(0), "A1")
        installing.install(store, self.point, first, self.at(-2), BY)
        after, at = NewMeter(self.registers[1], D("0.714"), "B2"), self.at(100)
        installing.exchange(store, self.point, D("0.714"), after, at=at, change=BY)

    @staticmethod
    def at(hours: float) -> int:
        return to_ms(START.astimezone(UTC) + timedelta(hours=hours))

    def readings(self, hours: Iterable[int]) -> list[tuple[int, int | None]]:
        return [(self.at(n + 1 / 7), 7 * n + 15) for n in hours]


@pytest.fixture
def flat(store: Store, data: MasterData) -> Flat:
    found = Flat(store, data)
    roll_up(store)
    return found


def of_flat(store: Store, step: Step, start: datetime = START, end: datetime = END) -> Table:
    return consumption_export.consumption(store, ANY, "flat-1", step, start, end)


def values(table: Table) -> list[Decimal]:
    return [row[6] for row in table.rows if isinstance(row[6], Decimal)]


def test_a_row_says_of_what_when_how_much_and_how_well_it_is_known(
    store: Store, flat: Flat
) -> None:
    start = START + timedelta(hours=199)
    table = of_flat(store, Step.HOUR, start, start + timedelta(hours=3))
    assert [column.name for column in table.columns] == [
        *("site", "point", "name", "unit"),
        *("start", "end", "value", "quality", "measured_percent"),
    ]
    first, second, _ = table.rows
    hour = timedelta(hours=1)
    assert first[:6] == ("mill", "flat-1", "Flat 1", "m³", start, start + hour)
    assert (first[6:8], second[6:8]) == ((D("0.007"), "estimated"), (D("0.007"), "estimated"))
    assert (first[8], second[8]) == (D("14.2"), D(0))
    assert table.zone.key == "Europe/Bucharest"
    assert table.name == "consumption_flat-1_hour_2026-01-09_2026-01-09"
    later = of_flat(store, Step.DAY, END + timedelta(days=9), END + timedelta(days=10))
    assert [row[6:] for row in later.rows] == [(None, "missing", D(0))]
    earlier = of_flat(store, Step.HOUR, START, START + hour)
    assert [row[6:] for row in earlier.rows] == [(D("0.007"), "measured", D(100))]


def test_the_hours_of_a_year_add_up_to_the_year(store: Store, flat: Flat) -> None:
    hours, days = values(of_flat(store, Step.HOUR)), values(of_flat(store, Step.DAY))
    [year] = values(of_flat(store, Step.YEAR))
    assert (len(hours), len(days)) == (HOURS, 365)
    assert HOURS > MAX_PERIODS
    assert sum(hours) == sum(days) == year == HOURS * D("0.007")


@pytest.mark.parametrize("step", [Step.HOUR, Step.DAY, Step.WEEK])
def test_a_span_in_pieces_is_answered_as_in_one(
    store: Store, flat: Flat, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, end = EXCHANGED - timedelta(days=3), EXCHANGED + timedelta(days=8)
    monkeypatch.setattr("cloud.domain.consumption.PIECE", 5)
    for of_point in (True, False):
        if of_point:
            rows = list(of_flat(store, step, start, end).rows)
            whole = points.consumption(store, flat.point, step, start, end)
        else:
            one = Selection(register_id=flat.registers[1])
            rows = list(consumption_export.consumption(store, one, None, step, start, end).rows)
            whole = metering.consumption(store, flat.registers[1], step, start, end)
        assert [(row[-5], row[-4], row[-3], row[-1]) for row in rows] == [
            (one.start, one.end, one.value, one.measured_percent) for one in whole
        ]


def test_points_are_chosen_by_site_and_key_and_registers_by_theirs(
    store: Store, data: MasterData, flat: Flat
) -> None:
    hall = data.add_device(data.add_gateway(data.add_site("hall", "Europe/Lisbon"), "gw-2"))
    data.add_register(hall, "power", kind=Kind.POWER)
    meter = data.add_register(hall, "energy", kind=Kind.ENERGY_IMPORT, decimals=0)
    data.add_readings(meter, [(flat.at(n), n) for n in range(3)])
    points.create(store, NewPoint("hall-1", "H", "hall", Medium.COLD_WATER, Kind.VOLUME), BY)

    def found(selection: Selection, point: str | None = None) -> list[tuple[object, ...]]:
        table = consumption_export.consumption(store, selection, point, Step.MONTH, START, END)
        return list(dict.fromkeys(tuple(row[:-5]) for row in table.rows))

    one, other = ("mill", "flat-1", "Flat 1", "m³"), ("hall", "hall-1", "H", "m³")
    assert found(ANY) == [other, one]
    assert found(Selection(site="mill")) == [one]
    assert found(ANY, "hall-1") == [other]
    assert [row[3] for row in found(Selection(device="water-1"))] == ["energy", "a", "b"]
    assert found(Selection(register_id=meter)) == [("hall", "gw-2", "water-1", "energy", "Wh")]
    with pytest.raises(NotFound, match="metering point"):
        found(Selection(site="mill"), "hall-1")
    with pytest.raises(NotFound, match="counts"):
        found(Selection(register="power"))
    with pytest.raises(Permanent, match="not both"):
        found(Selection(device="water-1"), "flat-1")


def test_a_span_that_cannot_be_told_is_refused_before_the_first_row(
    store: Store, flat: Flat
) -> None:
    hour = timedelta(hours=1)
    of_flat(store, Step.HOUR, START, START + MOST_PERIODS * hour)
    for start, end, reason in (
        (START, START, "later than start"),
        (START, START + (MOST_PERIODS + 1) * hour, f"more than {MOST_PERIODS}"),
        (datetime.max.replace(tzinfo=UTC) - hour, datetime.max.replace(tzinfo=UTC), "calendar"),
    ):
        with pytest.raises(Permanent, match=reason):
            of_flat(store, Step.HOUR, start, end)


def test_memory_does_not_grow_with_the_periods(sqlite_store: Store, sqlite_url: str) -> None:
    data = MasterData(sqlite_url)
    register = data.add_register(data.add_device(data.add_gateway(data.add_site())))
    data.add_readings(register, [(Flat.at(n), n) for n in range(2)])
    data.close()
    one, end = Selection(register_id=register), START + timedelta(hours=17_000)
    table = consumption_export.consumption(sqlite_store, one, None, Step.HOUR, START, end)
    process = psutil.Process()
    taken, early, most = 0, 0, 0
    for part in write(table, Format.CSV):
        taken += 1
        most = max(most, process.memory_info().rss)
        early = most if taken <= 3 else early
        del part
    assert taken > 15
    assert most - early < 8 * MB
