"""Files as tables, lines as readings: whatever comes in, it is taken exactly, or refused in words
that a person can act on."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from cloud.export.csv_file import write_csv
from cloud.export.table import Table as Export
from cloud.export.xlsx_file import write_xlsx
from cloud.importing import points, readings, xlsx_file
from cloud.importing.cells import Wrong, decimal, moment, scaled
from cloud.importing.files import open_table
from cloud.importing.growth import misfits
from cloud.importing.readings import COLUMNS, Checked, Place
from cloud.importing.table import Unreadable
from cloud.importing.xlsx_file import MAX_BLANK
from cloud.services.exports import READINGS
from common.clock import to_datetime, to_ms
from common.errors import InMetterError
from common.reading import from_scaled

NOW = to_ms(datetime(2026, 7, 1, tzinfo=UTC))
BUCHAREST = ZoneInfo("Europe/Bucharest")
PLACES = {
    ("gw-1", "water-1", "volume"): Place(1, "mill", "m³", 3, counting=True),
    ("gw-1", "power-1", "power"): Place(2, "mill", "W", 1, counting=False),
}
HEAD = "site,gateway,device,register,unit,time,value,quality,raw"
GOOD = "mill,gw-1,water-1,volume,m³,2026-06-02T14:00:00+03:00,12.5,good,7"


def taken(text: str | bytes, zone: ZoneInfo | None = None, comma: bool | None = None) -> Checked:
    content = text.encode() if isinstance(text, str) else text
    return readings.check(open_table(content, COLUMNS), PLACES, NOW, zone=zone, comma=comma)


def rows_of(checked: Checked) -> list[tuple[int | None, ...]]:
    assert not checked.refusals
    return [tuple(one) for one in checked.readings]


def workbook(*rows: Sequence[object], sheets: Mapping[str, Sequence[object]] = {}) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    for title, row in sheets.items():
        book.create_sheet(title).append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


AT = 1_780_398_000_000
ROW = (2, 1, AT, 12_500, 0, 7)


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}\n{GOOD}\n",
        f"\ufeff{HEAD}\r\n{GOOD}",
        f"{HEAD}\n{GOOD}\n".replace(",", "\t"),
        f"{HEAD};\n{GOOD};\n".replace(",", ";"),
        f"{HEAD}\n{GOOD.replace(',', ';').replace('12.5', '12,5')}\n".replace(HEAD, HEAD.replace(",", ";")),  # noqa: E501
        'time,value,raw,unit,register,device,gateway\n'
        '2026-06-02T11:00:00Z,"12.500000",7,m³,volume, water-1 ,"gw-1"\n',
    ],
)  # fmt: skip
def test_the_same_comes_of_every_way_to_write_it(text: str) -> None:
    assert rows_of(taken(text)) == [ROW]


def test_a_spreadsheet_is_read_as_its_cells_say() -> None:
    head = ["gateway", "device", "register", "unit", "time", "value", "raw"]
    at = datetime(2026, 6, 2, 14)  # noqa: DTZ001  (a spreadsheet's)
    numbers = [12.5, 0.1 + 0.2, "12.500"]
    rows = [
        ["gw-1", "water-1", "volume", "m³", at.replace(minute=n), value, 7]
        for n, value in enumerate(numbers)
    ]
    found = rows_of(taken(workbook(head, *rows[:1], [], *rows[1:]), BUCHAREST))
    assert [row[0] for row in found] == [2, 4, 5]
    assert [row[2:4] for row in found] == [
        (AT, 12_500),
        (AT + 60_000, 300),
        (AT + 120_000, 12_500),
    ]


@given(
    values=st.dictionaries(
        st.integers(631_152_000_000, NOW), st.integers(-(2**63) + 1, 2**63 - 1), max_size=9
    ),
    comma=st.booleans(),
)
@settings(max_examples=25)
def test_what_was_exported_comes_in_as_it_was(values: dict[int, int], *, comma: bool) -> None:
    stored = sorted(values.items())

    def table() -> Export:
        place = ("mill", "gw-1", "power-1", "power", "W")
        rows = (
            (*place, to_datetime(at), from_scaled(value, 1), "estimated", value)
            for at, value in stored
        )
        return Export("readings", READINGS, BUCHAREST, rows)

    wanted = [(n, 2, at, value, 1, value) for n, (at, value) in enumerate(stored, 2)]
    assert rows_of(taken(b"".join(write_csv(table(), comma=comma)))) == wanted
    assert rows_of(taken(b"".join(write_xlsx(table())))) == wanted


@pytest.mark.parametrize(
    ("line", "column", "wrong", "advice"),
    [
        (GOOD.replace("gw-1", "gw-9"), "register", "there is no register", "keys"),
        (GOOD.replace("mill", "hall"), "register", "hall/gw-1", "keys"),
        (GOOD.replace("m³", "l"), "unit", "'m³'", "convert"),
        (GOOD.replace("+03:00", ""), "time", "no offset", "Z"),
        (GOOD.replace("06-02", "07-02"), "time", "future", "correct"),
        (GOOD.replace("2026-06", "1970-06"), "time", "before 1990", "correct"),
        (GOOD.replace("2026-06-02", "02.06.2026"), "time", "not a time", "2026-06-01T"),
        (GOOD.replace("00+03", "00.0001+03"), "time", "finer", "leave"),
        (GOOD.replace("12.5", "12.3456"), "value", "4 decimals, the register 3", "round"),
        (GOOD.replace("12.5", '"1,234.5"'), "value", "not a number", "thousands"),
        (GOOD.replace("12.5", "1e3"), "value", "not a number", "digits"),
        (GOOD.replace("12.5", "9" * 17), "value", "out of range", "correct"),
        (GOOD.replace("12.5", ""), "value", "none", "quality"),
        (GOOD.replace("good", "fine"), "quality", "no quality", "estimated"),
        (GOOD.replace(",7", ",7.5"), "raw", "whole number", "digits"),
        (GOOD.rpartition(",")[0], "", "8 cells for 9", "whole"),
        (f"{GOOD},x", "", "10 cells for 9", "quoted"),
        (GOOD.replace("14:00:00+03:00", "11:00:00Z"), "time", "line 2 has the same", "keep one"),
    ],
)
def test_a_bad_line_is_named_with_what_to_do(
    *, line: str, column: str, wrong: str, advice: str
) -> None:
    lines = [HEAD, GOOD, line] if "same" in wrong else [HEAD, line, GOOD]
    (fault,) = taken("\n".join(lines)).refusals
    assert (fault.line, fault.column) == (lines.index(line) + 1, column)
    assert wrong in fault.wrong
    assert advice in fault.advice


def test_a_line_is_counted_as_an_editor_shows_it() -> None:
    text = f'{HEAD}\n\n"mi\nll",{GOOD[5:]}\n{GOOD.replace("good", "x")}\n'
    assert [fault.line for fault in taken(text).refusals] == [3, 5]


def test_no_value_needs_a_quality_that_says_why() -> None:
    line = GOOD.replace("12.5", "").replace("good", "not_available")
    assert rows_of(taken(f"{HEAD}\n{line}")) == [(2, 1, AT, None, 3, 7)]


def test_a_comma_is_not_taken_for_thousands_and_both_marks_at_once_for_nothing() -> None:
    quoted = f"{HEAD}\n{GOOD.replace('12.5', chr(34) + '12,500' + chr(34))}"
    assert taken(quoted).refusals
    assert rows_of(taken(quoted, comma=True)) == [ROW]
    german = f"{HEAD}\n{GOOD}\n".replace(",", ";")
    both = german + GOOD.replace(",", ";").replace("12.5", "12,5") + "\n"
    assert [fault.line for fault in taken(both).refusals] == [2]
    assert [fault.line for fault in taken(german, comma=True).refusals] == [2]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "missing columns: gateway"),
        (f"{HEAD},colour\n{GOOD},red".encode(), "unknown columns: colour"),
        (f"{HEAD},raw\n{GOOD},1".encode(), "twice: raw"),
        (b"device,value\n", "missing columns: gateway, register, unit, time"),
        (f"{HEAD}\n{GOOD}".encode("latin-1"), "line 2 is not UTF-8"),
        (f'{HEAD}\n{GOOD}\n"mill,gw-1'.encode(), "line 3 is no CSV"),
        (b"PK\x03\x04 and so on", "no XLSX file"),
        (workbook(["device"], sheets={"more": ["device"]}), "sheets Sheet and more"),
    ],
)
def test_a_file_that_is_no_table_is_refused_as_a_whole(content: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        taken(content)


def test_lines_beyond_what_is_stored_at_once_are_refused_with_advice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readings, "MAX_LINES", 2)
    with pytest.raises(Unreadable, match="split it"):
        taken("\n".join([HEAD, GOOD, GOOD, GOOD]))


def repacked(content: bytes, part: str, new: bytes) -> bytes:
    found = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as changed,
    ):
        for name in old.namelist():
            changed.writestr(name, new if name == part else old.read(name))
    return found.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def test_what_is_too_much_unpacked_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_file, "MAX_UNPACKED", 2_000_000)
    bomb = repacked(workbook(["device"]), SHEET, b" " * 2_000_000)
    assert len(bomb) < 20_000
    with pytest.raises(Unreadable, match="more than 2 MB"):
        taken(bomb)


def test_a_row_that_is_far_away_does_not_take_long() -> None:
    far = (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        b'<row r="1"><c r="A1"><v>1</v></c></row>'
        b'<row r="99999999999"><c r="A99999999999"><v>1</v></c></row></sheetData></worksheet>'
    )
    with pytest.raises(Unreadable, match=f"{MAX_BLANK:,} blank rows"):
        list(open_table(repacked(workbook([1]), SHEET, far), COLUMNS).lines())


@given(st.one_of(st.binary(), st.text().map(lambda text: f"{HEAD}\n{text}".encode())))
def test_no_csv_makes_anything_but_readings_and_refusals(content: bytes) -> None:
    try:
        taken(content)
    except Unreadable as error:
        assert str(error)


SMALL = workbook(HEAD.split(","), GOOD.split(","))


@pytest.mark.filterwarnings("ignore::UserWarning:openpyxl")
@settings(max_examples=60)
@given(st.sampled_from(zipfile.ZipFile(io.BytesIO(SMALL)).namelist()), st.data())
def test_no_xlsx_makes_anything_but_readings_and_refusals(part: str, data: st.DataObject) -> None:
    with zipfile.ZipFile(io.BytesIO(SMALL)) as archive:
        whole = archive.read(part)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    changed = whole[:start] + data.draw(st.binary(max_size=8)) + whole[end:]
    for content in (repacked(SMALL, part, changed), SMALL[:start] + SMALL[end:]):
        try:
            taken(content)
        except Unreadable as error:
            assert str(error)


@given(st.text(st.sampled_from("0123456789.,+-e "), max_size=12), st.integers(0, 9))
def test_a_number_is_exact_or_refused(text: str, decimals: int) -> None:
    try:
        found = scaled(text, decimals, "value", comma=False)
    except Wrong:
        return
    assert from_scaled(found, decimals) == Decimal(text) == decimal(text, "value", comma=False)


@given(st.text(max_size=30))
def test_any_text_for_a_time_is_a_time_or_refused(text: str) -> None:
    try:
        moment(text, "time", BUCHAREST)
    except InMetterError as error:
        assert isinstance(error, Wrong)


@pytest.mark.parametrize(
    ("text", "why"),
    [("2026-10-25T03:30:00", "comes twice"), ("2026-03-29T03:30:00", "does not exist")],
)
def test_a_local_time_that_is_not_one_instant_is_refused(text: str, why: str) -> None:
    with pytest.raises(Wrong, match=why):
        moment(text, "time", BUCHAREST)
    assert moment(f"{text}+02:00", "time", BUCHAREST) == to_ms(
        datetime.fromisoformat(f"{text}+02:00")
    )


def test_one_that_is_far_too_high_is_named_and_not_those_after_it() -> None:
    assert misfits([1, 2, 900, 3, 4, 5]) == [2]
    assert misfits([100, 101, 2, 102]) == [2]
    assert misfits([1, 1, 2]) == misfits([]) == []


@given(st.lists(st.integers(0, 9)))
def test_without_the_misfits_an_index_only_grows(values: list[int]) -> None:
    wrong = set(misfits(values))
    kept = [value for at, value in enumerate(values) if at not in wrong]
    assert all(one <= other for one, other in pairwise(kept))
    for n in range(len(values)):
        if all(one <= other for one, other in pairwise(values[:n] + values[n + 1 :])):
            assert len(wrong) <= 1


POINT = "key,name,site,medium,kind,gateway,device,register,start_time,start_index,multiplier"


@pytest.mark.parametrize(
    ("line", "column", "wrong"),
    [
        ("Flat 1,Flat 1,mill,cold water,volume,,,,,,", "key", "not a key"),
        ("flat-1,,mill,cold water,volume,,,,,,", "name", "none"),
        (f"flat-1,{'x' * 201},mill,cold water,volume,,,,,,", "name", "more than 200"),
        ("flat-1,Flat 1,mill,beer,volume,,,,,,", "medium", "'beer' is no medium"),
        ("flat-1,Flat 1,mill,cold water,litres,,,,,,", "kind", "no kind"),
        ("flat-1,Flat 1,mill,cold water,volume,gw-1,,,,,", "device", "none"),
        ("flat-1,Flat 1,mill,cold water,volume,gw-1,a,b,,,", "start_time", "none"),
        ("flat-1,Flat 1,mill,cold water,volume,g,a,b,2026-01-01Z,-1,", "start_time", "not a time"),
        ("flat-1,Flat 1,mill,cold water,volume,g,a,b,2026-01-01,-1,", "start_index", "no index"),
        ("flat-1,Flat 1,mill,cold water,volume,g,a,b,2026-01-01,1,x", "multiplier", "no number"),
    ],
)
def test_a_metering_point_that_is_none_is_refused(line: str, column: str, wrong: str) -> None:
    table = open_table(f"{POINT}\n{line}\n".encode(), points.COLUMNS)
    (fault,) = points.check(table, zone=BUCHAREST).refusals
    assert (fault.line, fault.column) == (2, column)
    assert wrong.replace("no number", "not a number") in fault.wrong
