"""The bars of a month's days."""

from collections.abc import Sequence
from decimal import Decimal

from fpdf.enums import Align

from cloud.domain.statements import DayUse
from cloud.export.pdf_page import ACCENT, FAINT, MARGIN, RULE, WIDTH, Page

HEIGHT = 34.0
SCALE = 14.0
"""The room for the numbers of the scale, on the left."""

PART = 0.66
"""Of a day's room is its bar's."""

LIGHT = (198, 221, 236)
ZERO = Decimal(0)


def draw_days(page: Page, days: Sequence[DayUse], exponent: int) -> None:
    """A bar a day: what was measured full, above it what is estimated pale; where nothing is known
    a stroke. ``exponent``: of ten, from the unit of the days to that of the scale."""
    used = [(one.quantity or ZERO).scaleb(exponent) for one in days]
    step = _step(max(used, default=ZERO))
    ticks = 1
    while ticks * step < max(used, default=ZERO):
        ticks += 1
    top, left = page.get_y() + 2, MARGIN + SCALE
    base, wide = top + HEIGHT, (WIDTH - SCALE) / max(len(days), 1)
    per_unit = HEIGHT / float(ticks * step)
    page.set_line_width(0.15)
    page.set_draw_color(*RULE)
    page.letters(7, FAINT)
    for tick in range(ticks + 1):
        y = base - HEIGHT * tick / ticks
        page.line(left, y, MARGIN + WIDTH, y)
        page.set_xy(MARGIN, y - 2)
        page.cell(SCALE - 2, 4, f"{(tick * step).normalize():f}", align=Align.R)
    for place, (one, quantity) in enumerate(zip(days, used, strict=True)):
        x = left + place * wide
        estimated = float(min(one.estimated.scaleb(exponent), quantity)) * per_unit
        whole = float(quantity) * per_unit
        at, width = x + wide * (1 - PART) / 2, wide * PART
        _measured(page, at, base - whole + estimated, width, whole - estimated)
        _estimated(page, at, base - whole, width, estimated)
        if one.quantity is None:
            _nothing(page, at, base, width)
        page.letters(6.5, FAINT)
        page.set_xy(x, base + 0.8)
        page.cell(wide, 3.5, str(one.day.day), align=Align.C)
    _legend(page, left, base + 6.2)
    page.set_xy(MARGIN, base + 10)


def _measured(page: Page, x: float, y: float, width: float, height: float) -> None:
    if height > 0:
        page.set_fill_color(*ACCENT)
        page.rect(x, y, width, height, style="F")


def _estimated(page: Page, x: float, y: float, width: float, height: float) -> None:
    if height > 0:
        page.set_fill_color(*LIGHT)
        page.set_draw_color(*ACCENT)
        page.set_line_width(0.2)
        page.set_dash_pattern(0.8, 0.6)
        page.rect(x, y, width, height, style="DF")
        page.set_dash_pattern()


def _nothing(page: Page, x: float, base: float, width: float) -> None:
    page.set_draw_color(*FAINT)
    page.set_line_width(0.5)
    page.line(x, base - 1.2, x + width, base - 1.2)


def _legend(page: Page, x: float, y: float) -> None:
    _measured(page, x, y + 0.4, 3.4, 2.6)
    page.letters(7, FAINT)
    page.set_xy(x + 4.6, y)
    page.cell(22, 3.5, "measured")
    _estimated(page, x + 24, y + 0.4, 3.4, 2.6)
    page.set_xy(x + 28.6, y)
    page.cell(22, 3.5, "estimated")
    _nothing(page, x + 48, y + 2.9, 3.4)
    page.set_xy(x + 52.6, y)
    page.cell(30, 3.5, "nothing is known")


def _step(most: Decimal) -> Decimal:
    """What is between two lines of the scale: 1, 2 or 5 of a power of ten, four lines at most."""
    if not most:
        return Decimal(1)
    quarter = most / 4
    power = quarter.adjusted()
    steps = (Decimal(one).scaleb(power) for one in (1, 2, 5))
    return next((one for one in steps if one >= quarter), Decimal(1).scaleb(power + 1))
