"""Files that are taken in, on each kind of database: as a whole or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from cloud.domain.consumption import HOUR_MS
from cloud.domain.retention import FROZEN_MS, Since
from cloud.export.files import write
from cloud.export.formats import Format
from cloud.importing.growth import misfits
from cloud.services import exports, imports, point_imports, points
from cloud.services.exports import Selection
from cloud.services.imports import PAGE, File, ImportRefused
from cloud.services.points import Change
from cloud.services.store import Store
from common.clock import to_datetime, to_ms
from common.registers import Kind
from tests.harness.masterdata import MasterData
from tests.harness.tables import rows_of

START = datetime(2026, 6, 1, tzinfo=UTC)
FIRST = to_ms(START)
NOW = to_ms(datetime(2026, 7, 1, tzinfo=UTC))
BY = Change("ana", NOW, "from the old system")
MINUTE = 60_000


def file(*lines: tuple[int, object], register: str = "volume", unit: str = "m³") -> File:
    """(ms after START, value) each."""
    text = "gateway,device,register,unit,time,value\n" + "".join(
        f"gw-1,water-1,{register},{unit},{to_datetime(FIRST + ms).isoformat()},{value}\n"
        for ms, value in lines
    )
    return File("old.csv", text.encode())


@dataclass(frozen=True, slots=True)
class Site:
    store: Store
    data: MasterData
    device: int
    volume: int

    def stored(self) -> list[tuple[object, ...]]:
        return rows_of(
            self.store, "SELECT register_id, at, value, quality FROM reading ORDER BY 1, 2"
        )

    def untouched(self) -> bool:
        tables = ("reading", "latest", "mark", "audit", "metering_point", "installation")
        return not any(rows_of(self.store, f"SELECT 1 FROM {table} LIMIT 1") for table in tables)


@pytest.fixture
def site(store: Store, data: MasterData) -> Site:
    device = data.add_device(data.add_gateway(data.add_site()))
    return Site(store, data, device, data.add_register(device))


def test_readings_are_stored_their_hours_marked_and_the_file_written_down(site: Site) -> None:
    old = file((0, 1), (MINUTE, "1.5"), (HOUR_MS, 2))
    report = imports.store(site.store, old, BY)
    assert (report.new, report.stored, report.bad) == (3, True, 0)
    assert site.stored() == [
        (site.volume, FIRST, 1000, 0),
        (site.volume, FIRST + MINUTE, 1500, 0),
        (site.volume, FIRST + HOUR_MS, 2000, 0),
    ]
    assert rows_of(site.store, "SELECT register_id, at FROM mark ORDER BY at") == [
        (site.volume, FIRST),
        (site.volume, FIRST + HOUR_MS),
    ]
    with site.store.read() as uow:
        (line,) = uow.audit.of("import", 9)
    assert (line.at, line.by, line.action, line.reason) == (NOW, "ana", "imported", BY.reason)
    assert msgspec.json.decode(line.detail) == {
        "what": "readings",
        "file": "old.csv",
        "sha256": old.sha256,
        "new": "3",
        "already_there": "0",
    }


def test_the_same_file_again_changes_nothing_and_says_so(site: Site) -> None:
    old = file((0, 1), (MINUTE, 2))
    imports.store(site.store, old, BY)
    before = rows_of(site.store, "SELECT * FROM mark"), rows_of(site.store, "SELECT * FROM audit")
    again = imports.store(site.store, old, BY)
    assert (again.new, again.already_there, again.stored) == (0, 2, False)
    assert again.verdict() == "nothing changes: all 2 lines are there already"
    after = rows_of(site.store, "SELECT * FROM mark"), rows_of(site.store, "SELECT * FROM audit")
    assert after == before


def test_what_is_older_than_what_is_kept_is_refused(site: Site) -> None:
    with site.store.begin() as uow:
        uow.kept.claim()
        uow.kept.move(Since(FIRST - FROZEN_MS + MINUTE))
    report = imports.check(site.store, file((0, 1), (MINUTE, 2)), NOW)
    [fault] = report.faults
    assert (report.new, fault.line, fault.column) == (1, 2, "time")
    assert "older than what is kept" in fault.wrong


def test_a_dry_run_says_what_would_be_and_stores_nothing(site: Site) -> None:
    report = imports.check(site.store, file((0, 1), (MINUTE, 2)), NOW)
    assert (report.new, report.stored) == (2, False)
    assert report.verdict() == "2 of 2 lines are new and can be imported"
    assert site.untouched()


def test_one_bad_line_of_many_is_named_and_nothing_is_stored(site: Site) -> None:
    count = 100_000
    lines: list[tuple[int, object]] = [(n * 1000, n) for n in range(count)]
    lines[70_000] = (70_000_000, "70 000")
    with pytest.raises(ImportRefused) as refused:
        imports.store(site.store, file(*lines), BY)
    report = refused.value.report
    assert (report.lines, report.new, report.refused) == (count, count - 1, 1)
    assert [(one.line, one.column) for one in report.faults] == [(70_002, "value")]
    assert site.untouched()


def test_an_index_must_fit_what_is_stored_around_it_and_what_is_in_the_file(site: Site) -> None:
    site.data.add_readings(site.volume, [(FIRST, 10_000), (FIRST + HOUR_MS, 20_000)])
    lines: list[tuple[int, object]] = [
        (-MINUTE, 11),
        (MINUTE, 9),
        (2 * MINUTE, 12),
        (3 * MINUTE, 19),
        (4 * MINUTE, 13),
        (5 * MINUTE, 14),
        (6 * MINUTE, 21),
        (HOUR_MS + MINUTE, 19),
        (HOUR_MS + 2 * MINUTE, 20),
    ]
    report = imports.check(site.store, file(*lines), NOW)
    assert report.new == 4
    assert [(one.line, one.wrong) for one in report.faults] == [
        (2, "the index is more than 10.000 that is stored for 2026-06-01T00:00:00.000+00:00"),
        (3, "the index is less than 10.000 that is stored for 2026-06-01T00:00:00.000+00:00"),
        (5, "the index is more than 13.000 after it, in line 6"),
        (8, "the index is more than 20.000 that is stored for 2026-06-01T01:00:00.000+00:00"),
        (9, "the index is less than 20.000 that is stored for 2026-06-01T01:00:00.000+00:00"),
    ]


def test_what_is_no_index_may_fall(site: Site) -> None:
    site.data.add_register(site.device, "power", kind=Kind.POWER)
    falling = file((0, 9), (MINUTE, 5), (2 * MINUTE, -1), register="power", unit="W")
    assert imports.store(site.store, falling, BY).new == 3


def test_another_value_for_an_instant_is_a_conflict_and_what_is_stored_stays(site: Site) -> None:
    site.data.add_readings(site.volume, [(FIRST, 1000)])
    before = site.stored()
    both = file((0, 2), (MINUTE, 3))
    with pytest.raises(ImportRefused) as refused:
        imports.store(site.store, both, BY)
    report = refused.value.report
    assert (report.new, report.conflicting, report.refused) == (1, 1, 0)
    assert report.faults[0].wrong == "1.000 (good) is stored for this time"
    assert site.stored() == before


def test_history_never_becomes_the_latest_and_what_is_newest_does(site: Site) -> None:
    site.data.add_readings(site.volume, [(FIRST + HOUR_MS, 5000)])
    latest = "SELECT at, value FROM latest"
    imports.store(site.store, file((0, 1)), BY)
    assert rows_of(site.store, latest) == [(FIRST + HOUR_MS, 5000)]
    imports.store(site.store, file((2 * HOUR_MS, 6)), BY)
    assert rows_of(site.store, latest) == [(FIRST + 2 * HOUR_MS, 6000)]


def test_each_line_meets_its_neighbours_however_many_are_stored(site: Site) -> None:
    stored = [(FIRST + n * 1000, n) for n in range(2 * PAGE + 10)]
    site.data.add_readings(site.volume, stored)

    def between(n: int, thousandths: int) -> tuple[int, object]:
        return n * 1000 + 500, Decimal(thousandths) / 1000

    places = (0, 5, PAGE - 1, PAGE, 2 * PAGE - 1, 2 * PAGE + 8)
    good = [between(n, n + 1) for n in places]
    assert imports.check(site.store, file(*good), NOW).new == len(places)
    for wrong in (-1, 2):
        report = imports.check(site.store, file(*(between(n, n + wrong) for n in places)), NOW)
        assert report.refused == len(places)


def test_what_was_exported_comes_in_elsewhere_as_it_was(site: Site) -> None:
    site.data.add_readings(site.volume, [(FIRST + n * 999, n * n) for n in range(50)])
    site.data.add_readings(
        site.data.add_register(site.device, "flow", kind=Kind.FLOW), [(FIRST, None)], quality=3
    )
    before = site.stored()
    for kind in (Format.CSV, Format.XLSX):
        table = exports.readings(site.store, Selection(), START, START + timedelta(days=1))
        taken = File(f"export.{kind}", b"".join(write(table, kind)))
        report = imports.store(site.store, taken, BY)
        assert (report.already_there, report.bad, report.new) == (51, 0, 0)
        for one in ("reading", "latest", "mark"):
            _empty(site, one)
        assert imports.store(site.store, taken, BY).new == 51
        assert site.stored() == before


def _empty(site: Site, table: str) -> None:
    with site.data._engine.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM {table}")


HEAD = (
    "key,name,site,medium,kind,parent,gateway,device,register,serial,start_time,start_index"
    ",rollover\n"
)
FLATS = (
    HEAD
    + "flat-1,Flat 1,mill,cold water,volume,house,gw-1,water-1,volume,A1,2026-06-01T00:00:00Z"
    + ",7,1000\n"
    + "house,House,mill,cold water,volume,,,,,,,,\n"
)


def points_file(text: str) -> File:
    return File("points.csv", text.encode())


def test_metering_points_are_made_with_their_meters_and_parents_first(site: Site) -> None:
    report = point_imports.store(site.store, points_file(FLATS), BY)
    assert (report.new, report.stored) == (2, True)
    flat, house = points.points(site.store)
    assert (flat.key, flat.parent_id, house.installations) == ("flat-1", house.id, ())
    (meter,) = flat.installations
    assert (meter.register_id, meter.serial, meter.start) == (site.volume, "A1", START)
    assert meter.start_index == 7
    assert meter.rollover == 1000
    assert [one.action for one in points.changes(site.store, flat.id)] == ["installed", "created"]
    again = point_imports.store(site.store, points_file(FLATS), BY)
    assert (again.new, again.already_there, again.stored) == (0, 2, False)
    with site.store.read() as uow:
        assert [line.action for line in uow.audit.of("import", 9)] == ["imported"]


def test_a_dry_run_of_metering_points_leaves_nothing(site: Site) -> None:
    report = point_imports.check(site.store, points_file(FLATS), NOW)
    assert (report.new, report.bad, report.stored) == (2, 0, False)
    assert site.untouched()


@pytest.mark.parametrize(
    ("change", "column", "wrong"),
    [
        (("mill", "hall"), "site", "no site 'hall'"),
        (("volume,house", "volume,barn"), "parent", "no metering point 'barn'"),
        (("water-1,volume", "water-1,flow"), "register", "no register 'gw-1/water-1/flow'"),
        (("2026-06-01T", "2026-08-01T"), "start_time", "still to come"),
        (("Z,7,", "Z,,"), "start_index", "no reading around"),
        (("Z,7,", "Z,7.0001,"), "start_index", "more than 3 decimals"),
        (("7,1000\n", "7,6\n"), "rollover", "more than the start index"),
    ],
)
def test_one_bad_metering_point_keeps_all_of_them_out(
    *, site: Site, change: tuple[str, str], column: str, wrong: str
) -> None:
    with pytest.raises(ImportRefused) as refused:
        point_imports.store(site.store, points_file(FLATS.replace(*change, 1)), BY)
    fault = refused.value.report.faults[0]
    assert (fault.line, fault.column) == (2, column)
    assert wrong in fault.wrong
    assert site.untouched()


def test_a_metering_point_that_is_there_is_not_changed(site: Site) -> None:
    point_imports.store(site.store, points_file(FLATS), BY)
    for old, new, column in (
        ("Flat 1", "Flat 2", "name"),
        ("A1", "B2", "serial"),
        ("7,1000", "7,100", "rollover"),
    ):
        report = point_imports.check(site.store, points_file(FLATS.replace(old, new)), NOW)
        assert (report.conflicting, report.already_there) == (1, 1)
        assert report.faults[0].column == column


def test_a_file_that_is_overtaken_is_looked_at_again(
    mariadb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the insert a gateway's reading of the same instant is committed."""
    data, store = MasterData(mariadb_url), Store(mariadb_url)
    device = data.add_device(data.add_gateway(data.add_site()))
    site = Site(store, data, device, data.add_register(device))

    def overtaken(values: Sequence[int]) -> list[int]:
        if not site.stored():
            data.add_readings(site.volume, [(FIRST, 900)])
        return misfits(values)

    monkeypatch.setattr("cloud.services.imports.misfits", overtaken)
    with pytest.raises(ImportRefused) as refused:
        imports.store(store, file((0, 1), (MINUTE, 2)), BY)
    assert refused.value.report.conflicting == 1
    assert site.stored() == [(site.volume, FIRST, 900, 0)]
    data.close()
    store.close()
