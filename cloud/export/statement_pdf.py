"""A statement as a PDF of A4 pages. The same statement gives the same bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from cloud.domain.cost import Line
from cloud.domain.gas_energy import GasUse
from cloud.domain.pricing import PricedSpan
from cloud.domain.statements import Difference, Differences, MeterUse, Statement
from cloud.export.pdf_page import ACCENT, FAINT, MARGIN, PALE, WIDTH, Cells, Page
from cloud.export.statement_chart import HEIGHT, draw_days

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
METERS = Cells((46, 34, 27, 27, 23, 23), "LLLLRR")
COST = Cells((58, 38, 34, 28, 22), "LLRRR")
GAS = Cells((52, 32, 24, 40, 32), "LRRRR")
SUMS = Cells((130, 50), "LR")
SINCE = Cells((62, 40, 26, 26, 26), "LLRRR")
NOTHING = "–"

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is put on paper: a statement, how it was issued, and what has changed since."""

    number: int
    issued_at: datetime
    issued_by: str
    hash: str
    content: Statement
    since: Differences


@dataclass(frozen=True, slots=True)
class _Unit:
    """What quantities are shown in, ``exponent`` powers of ten from what they are kept in."""

    name: str
    exponent: int

    def of(self, quantity: Decimal | None) -> str:
        if quantity is None:
            return NOTHING
        shown = quantity.scaleb(self.exponent).normalize() if self.exponent else quantity
        return f"{shown:f}"

    def named(self, quantity: Decimal) -> str:
        return f"{self.of(quantity)} {self.name}"


def write_pdf(sheet: Sheet) -> bytes:
    """The file."""
    content = sheet.content
    unit = _Unit("kWh", -3) if content.unit == "Wh" else _Unit(content.unit, 0)
    page = Page(
        f"inMetter · Statement {sheet.number} · {content.point} · {content.month}"
        f" · SHA-256 {sheet.hash[:16]}…",
        sheet.issued_at,
    )
    page.set_title(f"Statement {sheet.number}: {content.point}, {content.month}")
    _top(page, sheet)
    _tiles(page, content, unit)
    page.heading(f"Consumption by day, in {unit.name}", HEIGHT + 14)
    draw_days(page, content.days, unit.exponent)
    _meters(page, content, unit)
    if content.gas:
        _gas(page, content.gas)
    _cost(page, content, unit)
    _quality(page, content, unit)
    if sheet.since.changed:
        _since(page, sheet.since, unit, ZoneInfo(content.timezone))
    return bytes(page.output())


def _top(page: Page, sheet: Sheet) -> None:
    content, zone = sheet.content, ZoneInfo(sheet.content.timezone)
    year, month = content.month.split("-")
    page.letters(20, ACCENT, bold=True)
    page.text_at(MARGIN, MARGIN, 110, "Statement")
    page.letters(12)
    end = page.text_at(MARGIN, MARGIN + 8, 110, f"{MONTHS[int(month) - 1]} {year}")
    page.letters(8.5, FAINT)
    issued = sheet.issued_at.astimezone(zone)
    said = f"No. {sheet.number}\nissued on {issued:%Y-%m-%d} by {sheet.issued_by}"
    end = max(end, page.text_at(MARGIN + 110, MARGIN + 1, 70, said, "R")) + 2
    page.set_draw_color(*ACCENT)
    page.set_line_width(0.6)
    page.line(MARGIN, end, MARGIN + WIDTH, end)
    first, last = content.start.astimezone(zone), content.end.astimezone(zone) - _DAY / 2
    columns = (
        ("Metering point", content.name or content.point, content.point),
        ("Site", content.site, f"time zone {content.timezone}"),
        ("Period", f"{first:%Y-%m-%d} to {last:%Y-%m-%d}", content.medium),
    )
    top, lowest = end + 3, end
    for x, width, (label, main, small) in zip(
        (MARGIN, MARGIN + 82, MARGIN + 132), (78, 46, 48), columns, strict=True
    ):
        page.letters(7.5, FAINT)
        y = page.text_at(x, top, width, label)
        page.letters(10 if len(main) < 22 or " " in main else 8, bold=True)
        y = page.text_at(x, y, width, main)
        page.letters(8, FAINT)
        lowest = max(lowest, page.text_at(x, y, width, small))
    page.set_xy(MARGIN, lowest + 3)


def _tiles(page: Page, content: Statement, unit: _Unit) -> None:
    totals = content.priced.totals
    due = "\n".join(f"{one.gross:f} {one.currency}" for one in totals)
    tiles = (
        ("Consumption", unit.named(content.quantity)),
        ("Measured, of the time", f"{content.measured_percent:f} %"),
        ("Total, tax included", due or NOTHING),
    )
    top, wide, height = page.get_y(), (WIDTH - 8) / 3, 11 + 6 * max(1, len(totals))
    for place, (label, value) in enumerate(tiles):
        x = MARGIN + place * (wide + 4)
        page.set_fill_color(*PALE)
        page.rect(x, top, wide, height, style="F", round_corners=True, corner_radius=1.5)
        page.letters(7.5, FAINT)
        page.text_at(x + 4, top + 2.2, wide - 8, label)
        page.letters(13 if len(value) < 22 else 9.5, bold=True)
        page.set_xy(x + 4, top + 7.6)
        page.multi_cell(wide - 8, 6, value, align="L")
    page.set_xy(MARGIN, top + height)


def _meters(page: Page, content: Statement, unit: _Unit) -> None:
    zone = ZoneInfo(content.timezone)
    page.heading("Meters")
    if not content.meters:
        page.paragraph("No meter was installed.")
        return
    page.listing(METERS, _meter_head(unit), [_meter(one, unit, zone) for one in content.meters])
    if any(one.start_estimated or one.end_estimated for one in content.meters):
        page.letters(7.5, FAINT)
        page.text_at(MARGIN, page.get_y() + 1, WIDTH, "* estimated: no reading is near")


def _meter_head(unit: _Unit) -> tuple[str, ...]:
    start, end = f"Start, {unit.name}", f"End, {unit.name}"
    return "Meter", "Serial number", "From", "To", start, end


def _meter(one: MeterUse, unit: _Unit, zone: ZoneInfo) -> tuple[str, ...]:
    def index(value: Decimal | None, estimated: bool) -> str:
        return unit.of(value) + ("*" if estimated and value is not None else "")

    times = "" if one.multiplier == 1 else f"\n× {one.multiplier:f}"
    return (
        one.device + times,
        one.serial or NOTHING,
        f"{one.start.astimezone(zone):%Y-%m-%d %H:%M}",
        f"{one.end.astimezone(zone):%Y-%m-%d %H:%M}",
        index(one.start_index, one.start_estimated),
        index(one.end_index, one.end_estimated),
    )


def _cost(page: Page, content: Statement, unit: _Unit) -> None:
    priced = content.priced
    for span in priced.spans:
        page.heading(f"Cost by the tariff {span.name or span.tariff}", 30)
        head = ("Charge", "Days", "Quantity", "Price", f"Amount, {span.cost.currency}")
        page.listing(COST, head, [_line(line, span) for line in span.cost.lines])
        page.sums(SUMS, list(_sums(span)))
        for gone in span.cost.not_priced:
            page.paragraph(
                f"{_days(gone.start, gone.end)}: the tariff has no price;"
                f" {gone.quantity:f} {span.cost.unit} are not in the cost."
            )
    if len(priced.spans) > 1:
        page.heading("All tariffs together")
        page.sums(SUMS, [(f"Total, {one.currency}", f"{one.gross:f}") for one in priced.totals])
    for bare in priced.without_tariff:
        page.paragraph(
            f"{_days(bare.start, bare.end)}: there is no tariff;"
            f" {unit.named(bare.quantity)} are not in the cost."
        )


def _line(line: Line, span: PricedSpan) -> tuple[str, ...]:
    named = f"{line.charge}: {line.part}" if line.part else line.charge
    if line.estimated:
        named += f"\n{(line.estimated * 100).normalize():f} % estimated"
    return (
        named,
        _days(line.start, line.end),
        f"{line.quantity:f} {'days' if line.unit == 'day' else line.unit}",
        f"{line.price:f} / {line.per}",
        f"{line.net:f}",
    )


def _sums(span: PricedSpan) -> Iterator[tuple[str, str]]:
    cost = span.cost
    yield "Without tax", f"{cost.net:f}"
    for one in cost.taxes:
        yield f"Tax, {one.percent:f} % of {one.net:f}", f"{one.tax:f}"
    yield f"Total, {cost.currency}", f"{cost.gross:f}"


def _gas(page: Page, uses: Sequence[GasUse]) -> None:
    """How the volume became the energy that is charged."""
    page.heading("Energy of the gas: volume · z · Hs")
    rows = [
        (
            f"{one.start} to {one.end - _DAY}",
            f"{one.volume:f}",
            _said(one.z),
            f"{_said(one.hs)}, preliminary" if one.preliminary else _said(one.hs),
            _said(one.energy),
        )
        for one in uses
    ]
    page.listing(GAS, ("Days", "Volume, m³", "z", "Hs, kWh/m³", "Energy, kWh"), rows)


def _said(number: Decimal | None) -> str:
    return NOTHING if number is None else f"{number.normalize():f}"


def _quality(page: Page, content: Statement, unit: _Unit) -> None:
    page.heading("How well it is known")
    words = [
        f"{content.measured_percent:f} % of the time lies between readings that are near each"
        " other.",
        f"{unit.named(content.estimated)} of {unit.named(content.quantity)} are estimated."
        if content.estimated
        else "Nothing is estimated.",
    ]
    if content.corrected:
        words.append(f"{unit.named(content.corrected)} lie where somebody corrected readings.")
    if content.missing_s:
        hours, rest = divmod(content.missing_s, 3600)
        words.append(f"Of {hours} h {rest // 60} min nothing is known, and nothing is charged.")
    page.paragraph(" ".join(words))


def _since(page: Page, since: Differences, unit: _Unit, zone: ZoneInfo) -> None:
    page.heading("What has changed since it was issued", 30)
    page.paragraph("The statement stays as it was issued. These figures would be others now:")
    rows = [_changed("all of it", one, unit) for one in since.totals]
    for line in since.lines:
        named = f"{line.charge}: {line.part}" if line.part else line.charge
        rows += [_changed(f"{named}, from {line.start}", one) for one in line.figures]
    for one in since.days:
        rows += [
            _changed(f"{one.day}", figure, unit)
            for figure in one.figures
            if figure.figure == "quantity"
        ]
    page.listing(SINCE, ("Of", "Figure", "Then", "Now", "Difference"), rows)
    if since.meters:
        page.ln(2)
        page.paragraph("The meters would be:")
        page.listing(METERS, _meter_head(unit), [_meter(one, unit, zone) for one in since.meters])


QUANTITIES = ("quantity", "estimated", "corrected", "without_tariff")
FIGURES = {
    "missing_s": "missing, s",
    "measured_percent": "measured, %",
    "tax_percent": "tax, %",
    "without_tariff": "without a tariff",
}


def _changed(of: str, one: Difference, unit: _Unit | None = None) -> tuple[str, ...]:
    """A row; quantities of the whole are in ``unit``, those of a line in the tariff's."""
    name = FIGURES.get(one.figure, one.figure)
    shown = _Unit("", 0)
    if unit and one.figure in QUANTITIES:
        shown, name = unit, f"{name}, {unit.name}"
    sign = "+" if one.difference > 0 else ""
    return of, name, shown.of(one.then), shown.of(one.now), sign + shown.of(one.difference)


def _days(start: date, end: date) -> str:
    last = end - _DAY
    return f"{start}" if last == start else f"{start} to {last}"
