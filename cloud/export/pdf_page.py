"""A4 pages as a statement needs them: letters, headings, tables whose cells wrap."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import font_roboto
from fpdf import FPDF
from fpdf.enums import Align, MethodReturnValue, XPos, YPos

FONTS = Path(font_roboto.__file__).parent / "files"
MARGIN = 15.0
WIDTH = 210.0 - 2 * MARGIN
FOOT = 18.0
LINE = 4.6
GAP = 1.1
"""Above and below the text of a row."""

Color = tuple[int, int, int]
INK: Color = (33, 41, 52)
FAINT: Color = (107, 118, 132)
RULE: Color = (214, 220, 227)
PALE: Color = (240, 244, 248)
ACCENT: Color = (13, 96, 145)


class Cells(NamedTuple):
    """The columns of a table: how wide each is (mm), and on which side its text stands."""

    widths: Sequence[float]
    sides: str


class Page(FPDF):
    """Pages with a foot, which says what they are of and how many they are."""

    def __init__(self, foot: str, created_at: datetime) -> None:
        super().__init__(format="A4", unit="mm")
        self._foot = foot
        self.set_creation_date(created_at)
        self.set_lang("en")
        self.set_margin(MARGIN)
        self.set_auto_page_break(auto=True, margin=FOOT)
        self.c_margin = 0
        self.add_font("Roboto", "", FONTS / "Roboto-Regular.ttf")
        self.add_font("Roboto", "B", FONTS / "Roboto-Bold.ttf")
        self.add_page()

    def footer(self) -> None:
        """Drawn by fpdf2 at the end of each page."""
        self.set_y(-12)
        self.letters(7, FAINT)
        self.cell(WIDTH - 30, 4, self._foot)
        self.cell(30, 4, f"Page {self.page_no()} of {{nb}}", align=Align.R)

    def letters(self, size: float, color: Color = INK, *, bold: bool = False) -> None:
        """What the next text is written with."""
        self.set_font("Roboto", "B" if bold else "", size)
        self.set_text_color(*color)

    def heading(self, text: str, needed: float = 16) -> None:
        """A heading, on a new page where less than ``needed`` mm would be left below it."""
        self.ln(4.5)
        if self.will_page_break(needed):
            self.add_page()
        self.letters(10.5, ACCENT, bold=True)
        self.multi_cell(WIDTH, 5.5, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT, align=Align.L)
        self.ln(0.8)

    def text_at(self, x: float, y: float, width: float, text: str, side: str = "L") -> float:
        """``text`` from there on, as wide as that at the most; returns where it ends."""
        self.set_xy(x, y)
        self.multi_cell(width, LINE, text, align=side, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        return self.get_y()

    def paragraph(self, text: str) -> None:
        """Text as wide as the page."""
        self.letters(8.5)
        self.multi_cell(WIDTH, LINE, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT, align=Align.L)

    def listing(self, cells: Cells, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows under a head, which comes again on each page."""
        self._head(cells, head)
        for row in rows:
            if self._would_break(cells, row):
                self.add_page()
                self._head(cells, head)
            self.letters(8.5)
            self._row(cells, row)

    def sums(self, cells: Cells, rows: Sequence[Sequence[str]]) -> None:
        """The sums of a table; the last one is the greatest, and stands out."""
        for row in rows:
            self.letters(8.5, bold=row is rows[-1])
            if self._would_break(cells, row):
                self.add_page()
                self.letters(8.5, bold=row is rows[-1])
            self._row(cells, row)

    def _head(self, cells: Cells, head: Sequence[str]) -> None:
        self.letters(7.5, FAINT)
        self._row(cells, head)

    def _would_break(self, cells: Cells, row: Sequence[str]) -> bool:
        return self.will_page_break(self._height(cells, row))

    def _height(self, cells: Cells, row: Sequence[str]) -> float:
        lines = [
            self._lines(width - 2, text) for width, text in zip(cells.widths, row, strict=True)
        ]
        return max(lines) * LINE + 2 * GAP

    def _lines(self, width: float, text: str) -> int:
        found = self.multi_cell(width, LINE, text, dry_run=True, output=MethodReturnValue.LINES)
        return len(found) if isinstance(found, list) else 1

    def _row(self, cells: Cells, row: Sequence[str]) -> None:
        top, height = self.get_y(), self._height(cells, row)
        x = MARGIN
        for width, side, text in zip(cells.widths, cells.sides, row, strict=True):
            # A gap of 2 mm stands between columns, on the side that the text is not on.
            self.text_at(x if side == "L" else x + 2, top + GAP, width - 2, text, side)
            x += width
        self.set_draw_color(*RULE)
        self.set_line_width(0.15)
        self.line(MARGIN, top + height, MARGIN + WIDTH, top + height)
        self.set_xy(MARGIN, top + height)
