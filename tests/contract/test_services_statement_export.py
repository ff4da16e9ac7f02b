"""Issued statements taken out, on each kind of database: each line once, and it adds up."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest
from pypdf import PdfReader

from cloud.domain.tariffs import PerUnit, Standing, Tariff, Version
from cloud.export.table import Row
from cloud.services import installing, points, statement_export, statements, tariffs
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from common.clock import to_datetime, to_ms
from common.errors import NotFound, Permanent
from common.registers import Kind, Medium
from tests.harness.masterdata import MasterData

D = Decimal
SEPTEMBER = datetime(2026, 9, 1, tzinfo=ZoneInfo("Europe/Bucharest"))
ISSUED = to_ms(datetime(2026, 12, 1, 9, tzinfo=UTC))
BY = Change("ana", ISSUED)
HOURS = (30 + 31) * 24 + 1
TARIFF = Tariff(
    key="water",
    name="Apă rece",
    currency="RON",
    unit="m³",
    versions=(
        Version(
            valid_from=date(2026, 1, 1),
            tax_percent=D(9),
            charges=(
                Standing(name="Meter", amount=D("3.17"), per="month"),
                PerUnit(name="Water", price=D("2.51")),
                PerUnit(name="Sewage", price=D("1.13")),
            ),
        ),
    ),
)


def at(hours: float) -> int:
    return to_ms(SEPTEMBER.astimezone(UTC) + timedelta(hours=hours))


class Flats:
    """Two flats that are read at midnight (UTC-wise every 24 hours) in September and October."""

    def __init__(self, store: Store, data: MasterData) -> None:
        self.store, self.data = store, data
        tariffs.put(store, TARIFF, BY)
        self.points = []
        for site, key in (("mill", "flat-1"), ("hall", "flat-2")):
            device = data.add_device(data.add_gateway(data.add_site(site), f"gw-{site}"))
            register = data.add_register(device, interval_s=86_400)
            rows = [(at(n), 20 * n + 500) for n in range(0, HOURS + 24, 24)]
            data.add_readings(register, [*rows, (at(HOURS + 24), 20 * (HOURS + 24) + 500)])
            wanted = NewPoint(key, f"Flat {key[-1]}", site, Medium.COLD_WATER, Kind.VOLUME)
            point = points.create(store, wanted, BY).id
            installing.install(store, point, NewMeter(register, serial="A1"), at(0), BY)
            tariffs.assign(store, point, date(2026, 1, 1), "water", BY)
            self.points.append(point)
        roll_up(store)

    def issue(self) -> list[statements.StatementView]:
        return [
            statements.issue(self.store, point, month, BY)
            for point in self.points
            for month in ("2026-09", "2026-10")
        ]


@pytest.fixture
def flats(store: Store, data: MasterData) -> Flats:
    return Flats(store, data)


def lines(
    store: Store,
    site: str | None = None,
    point: str | None = None,
    start: str | None = None,
    end: str | None = None,
) -> list[Row]:
    return list(statement_export.statements(store, site, point, start, end).rows)


def months(rows: list[Row]) -> list[tuple[object, object]]:
    return list(dict.fromkeys((row[1], row[3]) for row in rows))


def test_each_line_says_what_of_when_and_how_much(store: Store, flats: Flats) -> None:
    [_, view, *_] = flats.issue()
    table = statement_export.statements(store, "mill", None, "2026-10", None)
    assert table.name == "statements_mill_2026-10"
    assert [column.name for column in table.columns] == [
        *("site", "point", "name", "month", "statement", "issued_at"),
        *("tariff", "charge", "part", "start", "end"),
        *("quantity", "unit", "price", "per"),
        *("currency", "amount", "tax_percent", "tax", "total", "estimated"),
    ]
    head = ("mill", "flat-1", "Flat 1", "2026-10", view.issued.id, to_datetime(ISSUED), "water")
    days = ("2026-10-01", "2026-11-01")
    assert list(table.rows) == [
        (*head, "Meter", "", *days, D(31), "day", D("3.17"), "month",
         "RON", D("3.17"), D(9), D("0.29"), D("3.46"), D(0)),
        (*head, "Water", "", *days, D("14.9"), "m³", D("2.51"), "m³",
         "RON", D("37.40"), D(9), D("3.36"), D("40.76"), D(0)),
        (*head, "Sewage", "", *days, D("14.9"), "m³", D("1.13"), "m³",
         "RON", D("16.84"), D(9), D("1.52"), D("18.36"), D(0)),
    ]  # fmt: skip


def test_tax_and_total_of_the_lines_add_up_to_the_statement(store: Store, flats: Flats) -> None:
    for view in flats.issue():
        [total] = view.content.priced.totals
        rows = [row for row in lines(store) if row[4] == view.issued.id]
        for column, whole in ((16, total.net), (18, total.tax), (19, total.gross)):
            assert sum((D(str(row[column])) for row in rows), D(0)) == whole


def test_statements_are_chosen_by_site_point_and_months(store: Store, flats: Flats) -> None:
    flats.issue()
    hall = [("flat-2", "2026-09"), ("flat-2", "2026-10")]
    mill = [("flat-1", "2026-09"), ("flat-1", "2026-10")]
    assert months(lines(store)) == [*hall, *mill]
    assert months(lines(store, site="hall")) == hall
    assert months(lines(store, point="flat-1")) == mill
    assert months(lines(store, start="2026-10")) == [hall[1], mill[1]]
    assert months(lines(store, site="mill", end="2026-10")) == [mill[0]]
    assert lines(store, start="2027-01") == []
    with pytest.raises(NotFound, match="metering point"):
        lines(store, site="hall", point="flat-1")
    with pytest.raises(Permanent, match="later than start"):
        lines(store, start="2026-10", end="2026-10")


def test_a_statement_that_was_altered_is_not_taken_out(store: Store, flats: Flats) -> None:
    view = flats.issue()[0]
    flats.data.alter_statement(view.issued.id, "Flat 1", "Flat 9")
    with pytest.raises(Permanent, match="altered in the database"):
        lines(store)
    with pytest.raises(Permanent, match="altered in the database"):
        statement_export.statement_pdf(store, view.issued.id)


def test_a_pdf_says_what_the_statement_says_and_is_the_same_again(
    store: Store, flats: Flats
) -> None:
    view = flats.issue()[1]
    name, content = statement_export.statement_pdf(store, view.issued.id)
    assert name == f"statement_flat-1_2026-10_{view.issued.id}.pdf"
    assert statement_export.statement_pdf(store, view.issued.id) == (name, content)
    text = PdfReader(BytesIO(content)).pages[0].extract_text()
    [total] = view.content.priced.totals
    for said in ("October 2026", "Flat 1", "14.900 m³", "Apă rece", f"{total.gross} RON"):
        assert said in text
    assert "What has changed" not in text


def test_a_pdf_says_what_has_changed_since(store: Store, flats: Flats) -> None:
    view = flats.issue()[1]
    version = TARIFF.versions[0]
    changed = Version(
        valid_from=version.valid_from, tax_percent=D(9), charges=(version.charges[0],)
    )
    tariff = Tariff(key="water", name="Apă", currency="RON", unit="m³", versions=(changed,))
    tariffs.put(store, tariff, BY)
    _, content = statement_export.statement_pdf(store, view.issued.id)
    text = "".join(page.extract_text() for page in PdfReader(BytesIO(content)).pages)
    assert "What has changed since it was issued" in text
    assert "gross RON" in text
