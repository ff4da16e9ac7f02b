"""A statement on paper: whole, readable, and the same bytes for the same statement."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO

import msgspec
import pytest
from pypdf import PdfReader

from cloud.domain.gas_energy import GasUse
from cloud.domain.pricing import Assignment, price
from cloud.domain.statements import Differences, MeterUse, Statement, days_of
from cloud.domain.tariffs import PerUnit, Standing, Tariff, Version
from cloud.domain.usage import Usage
from cloud.export.statement_pdf import Sheet, write_pdf
from cloud.services.boundaries import zone_of

D = Decimal
ZONE = zone_of("Europe/Bucharest")
LONG = "Apartamentul 12, scara B, Strada Ștefan cel Mare și Sfânt nr. 148 – Αθήνα, Димитров"


def sheet(
    month: int = 10,
    *,
    name: str = "Flat 1",
    unit: str = "m³",
    charges: int = 1,
    estimated: range = range(0),
    missing: range = range(0),
) -> Sheet:
    """A month of 12 units an hour; days of it (from 0) are estimated, or missing."""
    start, end = (datetime(2026, one, 1, tzinfo=ZONE).astimezone(UTC) for one in (month, month + 1))
    hour = timedelta(hours=1)
    usage = [
        Usage(
            start + n * hour,
            start + (n + 1) * hour,
            None if n // 24 in missing else D(12),
            n // 24 in estimated,
        )
        for n in range((end - start) // hour)
    ]
    tariff = Tariff(
        key="t",
        name="Tarif",
        currency="RON",
        unit="kWh" if unit == "Wh" else unit,
        versions=(
            Version(
                valid_from=date(2026, 1, 1),
                tax_percent=D(9),
                charges=(
                    PerUnit(name="Use", price=D("2.50")),
                    *(
                        Standing(name=f"Fee number {n}", amount=D(1), per="month")
                        for n in range(charges - 1)
                    ),
                ),
            ),
        ),
    )
    known = [one for one in usage if one.quantity is not None]
    content = Statement(
        point="flat-1",
        name=name,
        site="mill",
        timezone=ZONE.key,
        medium="cold water",
        kind="volume",
        unit=unit,
        month=f"2026-{month:02}",
        start=start,
        end=end,
        meters=(MeterUse("M", "A-17", 1, D(1), start, D("7.5"), False, end, D("99.25"), True),),
        days=days_of(usage, ZONE),
        quantity=D(12 * len(known)),
        estimated=D(12 * sum(one.estimated for one in known)),
        missing_s=3600 * (len(usage) - len(known)),
        measured_percent=D("87.5"),
        priced=price([Assignment(date(2026, 1, 1), tariff, 1)], usage, ZONE),
    )
    issued = datetime(2026, 12, 2, 9, 30, tzinfo=UTC)
    return Sheet(7, issued, "ana", "ab" * 32, content, Differences((), (), (), ()))


def pages(content: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(BytesIO(content)).pages]


def bars(content: bytes) -> int:
    """How many rectangles are filled and drawn around: the estimated parts of days."""
    page = PdfReader(BytesIO(content)).pages[0].get_contents()
    assert page is not None
    return len(re.findall(rb" re B\b", page.get_data()))


@pytest.mark.parametrize("month", [2, 10])
def test_a_month_of_usual_length_is_one_page_that_says_it_all(month: int) -> None:
    [text] = pages(write_pdf(sheet(month)))
    for said in ("Statement", "No. 7", "2026-12-02 by ana", "Flat 1", "flat-1", "mill", "A-17"):
        assert said in text
    for said in ("7.5", "99.25*", "Use", "2.50 / m³", "Tax, 9 %", "87.5 %", "Page 1 of 1"):
        assert said in text
    assert {str(day) for day in range(1, 29)} <= set(text.split())
    assert "Nothing is estimated." in text


def test_the_same_statement_gives_the_same_bytes() -> None:
    assert write_pdf(sheet()) == write_pdf(sheet())
    assert write_pdf(sheet()) != write_pdf(sheet(name="Flat 2"))


def test_a_long_name_in_three_alphabets_is_readable() -> None:
    [text] = pages(write_pdf(sheet(name=LONG)))
    assert LONG in " ".join(text.split())


def test_estimated_and_unknown_days_are_drawn_and_told() -> None:
    usual, known = (
        write_pdf(sheet()),
        write_pdf(sheet(estimated=range(3, 8), missing=range(20, 21))),
    )
    assert bars(known) - bars(usual) == 5
    [text] = pages(known)
    assert "1440 m³ of 8652 m³ are estimated." in text
    assert "Of 24 h 0 min nothing is known" in text


def test_energy_is_shown_in_kilowatt_hours() -> None:
    [text] = pages(write_pdf(sheet(unit="Wh")))
    assert "8.94 kWh" in text
    assert "Start, kWh" in text


def test_the_energy_of_gas_and_what_was_corrected_are_told() -> None:
    usual = sheet(estimated=range(3, 5))
    uses = (
        GasUse(date(2026, 10, 1), date(2026, 10, 15), D("812.5"), D("0.9674"), D("11.302"), "v",
               preliminary=False, energy=D("8883.5128")),
        GasUse(date(2026, 10, 15), date(2026, 11, 1), D("900"), D("0.9674"), D("11.28"), "v",
               preliminary=True, energy=D("9821.0448")),
    )  # fmt: skip
    content = msgspec.structs.replace(usual.content, gas=uses, corrected=D("24"))
    [text] = pages(write_pdf(replace(usual, content=content)))
    assert "2026-10-01 to 2026-10-14 812.5 0.9674 11.302 8883.5128" in text
    assert "11.28, preliminary" in text
    assert "24 m³ lie where somebody corrected readings." in " ".join(text.split())


def test_lines_that_do_not_fit_go_on_under_the_same_head_and_none_is_lost() -> None:
    found = pages(write_pdf(sheet(charges=40)))
    assert len(found) == 2
    assert "Charge" in found[1]
    for n in range(39):
        assert sum(f"Fee number {n} 2026" in text for text in found) == 1


def test_a_month_of_which_nothing_is_known_has_a_page() -> None:
    [text] = pages(write_pdf(sheet(missing=range(32))))
    assert "0 m³" in text
