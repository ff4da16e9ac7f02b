"""A table as CSV, JSON and XLSX: what is in it comes out of it, exactly, and nothing is carried
out."""

import csv
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.export.csv_file import write_csv
from cloud.export.files import write
from cloud.export.formats import Decimals, Format
from cloud.export.json_file import write_json
from cloud.export.table import PAGE_ROWS, Cell, Column, Row, Table, Type
from cloud.export.xlsx_file import write_xlsx
from common.errors import Permanent
from common.reading import from_scaled
from tests.harness.xlsx import XlsxCell, sheets

AT = datetime(2026, 6, 2, 11, 59, 58, 500_000, tzinfo=UTC)
COLUMNS = (
    Column("name", Type.TEXT),
    Column("time", Type.TIME),
    Column("value", Type.DECIMAL),
    Column("raw", Type.INTEGER),
)
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "  =1+1", "\t=1", "\rx", "\nx", "＝1+1"]


def table(*rows: Row, columns: tuple[Column, ...] = COLUMNS) -> Table:
    return Table("readings", columns, ZoneInfo("Europe/Bucharest"), iter(rows))


def texts(*cells: str) -> Table:
    return table(*([cell] for cell in cells), columns=(Column("text", Type.TEXT),))


def numbers(*cells: Cell) -> Table:
    return table(*([cell] for cell in cells), columns=(Column("value", Type.DECIMAL),))


def whole(parts: Iterable[bytes]) -> str:
    return b"".join(parts).decode()


def sheet(of: Table) -> list[dict[str, XlsxCell]]:
    (only,) = sheets(b"".join(write_xlsx(of)))
    return only


def values(row: dict[str, XlsxCell]) -> dict[str, str | Decimal]:
    return {letters: cell.value for letters, cell in row.items()}


def test_csv_says_values_exactly_and_times_with_their_offset() -> None:
    text = whole(write_csv(table(["mill", AT, Decimal("12.000"), 7], ["mill", AT, None, None])))
    assert text == (
        "name,time,value,raw\r\n"
        "mill,2026-06-02T14:59:58.500+03:00,12.000,7\r\n"
        "mill,2026-06-02T14:59:58.500+03:00,,\r\n"
    )


def test_csv_with_a_decimal_comma_is_for_spreadsheets() -> None:
    text = whole(write_csv(table(["a;b", AT, Decimal("-0.5"), -3]), comma=True))
    assert text == ('\ufeffname;time;value;raw\r\n"a;b";2026-06-02T14:59:58.500+03:00;-0,5;-3\r\n')


def test_no_exponent_stands_for_a_value() -> None:
    tiny, huge = from_scaled(0, 9), Decimal("1E+3")
    assert whole(write_csv(numbers(tiny, huge))) == "value\r\n0.000000000\r\n1000\r\n"
    assert json.loads(whole(write_json(numbers(tiny, huge))))["rows"] == [["0.000000000"], ["1000"]]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1)))
def test_any_text_comes_out_of_csv_as_it_went_in(cells: list[str]) -> None:
    read = list(csv.reader(io.StringIO(whole(write_csv(texts(*cells))), newline="")))
    assert [line[0].removeprefix("'") for line in read[1:]] == [
        cell.removeprefix("'") for cell in cells
    ]


@pytest.mark.parametrize("cell", FORMULAS)
def test_no_text_in_csv_is_taken_for_a_formula(cell: str) -> None:
    for comma in (False, True):
        text = whole(write_csv(texts(cell), comma=comma))
        read = list(csv.reader(io.StringIO(text, newline="")))
        assert read[1] == [f"'{cell}"]


def test_a_negative_value_and_a_harmless_text_stay_as_they_are() -> None:
    assert whole(write_csv(numbers(Decimal("-1.5")))) == "value\r\n-1.5\r\n"
    assert whole(write_csv(texts("hall-1", "1=1"))) == "text\r\nhall-1\r\n1=1\r\n"


def test_json_is_one_document_with_typed_columns_and_a_row_a_line() -> None:
    text = whole(write_json(table(["=x", AT, Decimal("12.000"), 2**63 - 1], ["y", AT, None, None])))
    assert json.loads(text) == {
        "columns": [
            {"name": "name", "type": "text"},
            {"name": "time", "type": "time"},
            {"name": "value", "type": "decimal"},
            {"name": "raw", "type": "integer"},
        ],
        "rows": [
            ["=x", "2026-06-02T11:59:58.500000Z", "12.000", 2**63 - 1],
            ["y", "2026-06-02T11:59:58.500000Z", None, None],
        ],
    }
    assert json.loads(text.splitlines()[1].rstrip(","))[0] == "=x"


@pytest.mark.parametrize("rows", [0, 1, PAGE_ROWS, PAGE_ROWS + 1])
def test_no_row_is_left_out_or_said_twice_between_pages(rows: int) -> None:
    expected = [str(number) for number in range(rows)]
    assert [row[0] for row in json.loads(whole(write_json(texts(*expected))))["rows"]] == expected
    assert whole(write_csv(texts(*expected))).split() == ["text", *expected]
    assert [row["A"].value for row in sheet(texts(*expected))] == ["text", *expected]


def test_json_that_was_cut_off_is_not_valid() -> None:
    parts = list(write_json(texts("a", "b")))
    with pytest.raises(json.JSONDecodeError):
        json.loads(b"".join(parts[:-1]))


def test_xlsx_has_dates_of_the_zone_and_numbers_with_their_decimals() -> None:
    head, row = sheet(table(["mill", AT, Decimal("12.000"), 7]))
    assert values(head) == {
        "A": "name",
        "B": "time (Europe/Bucharest)",
        "C": "time: UTC offset",
        "D": "value (over 15 digits: as text)",
        "E": "raw (over 15 digits: as text)",
    }
    assert row["B"].shown_as == "yyyy-mm-dd hh:mm:ss.000"
    days = row["B"].value
    assert isinstance(days, Decimal)
    since = datetime(1899, 12, 30) + timedelta(days=float(days))  # noqa: DTZ001
    shown = since + timedelta(microseconds=500)
    assert f"{shown:%Y-%m-%d %H:%M:%S.%f}"[:-3] == "2026-06-02 14:59:58.500"
    assert row["C"].value == "+03:00"
    assert row["D"] == XlsxCell(Decimal(12), "0.000", formula=False)
    assert row["E"] == XlsxCell(Decimal(7), "0", formula=False)


def test_zeros_at_the_end_make_no_text_of_a_number() -> None:
    _, row = sheet(numbers(Decimal("1234567.000000000")))
    assert row["A"] == XlsxCell(Decimal(1234567), "0.000000000", formula=False)


def test_the_two_hours_of_autumn_are_told_apart() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    times = [[first], [first + timedelta(hours=1)]]
    columns = (Column("time", Type.TIME),)
    assert whole(write_csv(table(*times, columns=columns))).split() == [
        "time",
        "2026-10-25T03:30:00.000+03:00",
        "2026-10-25T03:30:00.000+02:00",
    ]
    _, summer, winter = sheet(table(*times, columns=columns))
    assert summer["A"] == winter["A"]
    assert (summer["B"].value, winter["B"].value) == ("+03:00", "+02:00")


def test_a_time_before_spreadsheets_have_dates_is_text() -> None:
    old = datetime(1800, 1, 1, tzinfo=UTC)
    _, row = sheet(table(["x", old, None, None]))
    assert values(row) == {"A": "x", "B": "1800-01-01 01:44:24.000", "C": "+01:44:24"}


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 9)), min_size=1))
def test_every_value_is_in_xlsx_to_its_last_digit(scaled: list[tuple[int, int]]) -> None:
    cells = [from_scaled(*one) for one in scaled]
    for row, cell in zip(sheet(numbers(*cells))[1:], cells, strict=True):
        found = row["A"].value
        if isinstance(found, Decimal):
            # What a spreadsheet makes of it: a double, of which it shows 15 digits.
            assert Decimal(f"{float(found):.15g}") == cell
        else:
            assert found == format(cell, "f")
            assert len(found.replace(".", "").strip("-0")) > 15


@pytest.mark.parametrize("cell", [*FORMULAS, "https://example.org", "mailto:a@b", "1", "{=1}"])
def test_no_text_in_xlsx_is_a_formula_a_link_or_a_number(cell: str) -> None:
    content = b"".join(write_xlsx(texts(cell)))
    ((_, row),) = sheets(content)
    assert not row["A"].formula
    assert isinstance(row["A"].value, str)
    assert row["A"].value.strip() in {cell.strip(), "_x000D_x"}
    assert b"hyperlink" not in content


def test_where_a_sheet_is_full_another_one_follows() -> None:
    found = sheets(b"".join(write_xlsx(texts(*"abcdefg"), sheet_rows=4)))
    assert [[row["A"].value for row in one] for one in found] == [
        ["text", "a", "b", "c"],
        ["text", "d", "e", "f"],
        ["text", "g"],
    ]


def test_a_decimal_comma_is_for_csv_only() -> None:
    with pytest.raises(Permanent, match="csv"):
        write(texts(), Format.JSON, Decimals.COMMA)
