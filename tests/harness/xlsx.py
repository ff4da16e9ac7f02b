"""What stands in an XLSX file, read by nothing of those who write it (ECMA-376, part 1)."""

import io
import re
import zipfile
from decimal import Decimal
from typing import NamedTuple
from xml.etree import ElementTree as Xml

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


class XlsxCell(NamedTuple):
    """``value``: text, or a number as the file says it; ``shown_as``: the number's format."""

    value: str | Decimal
    shown_as: str
    formula: bool


def sheets(content: bytes) -> list[list[dict[str, XlsxCell]]]:
    """Of each sheet the rows; of each row the cells by their column's letters, without blanks."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        formats = _formats(_part(archive, "styles"))
        count = len(_part(archive, "workbook").findall(f"{_MAIN}sheets/{_MAIN}sheet"))
        found = [_part(archive, f"worksheets/sheet{n}") for n in range(1, count + 1)]
    return [[_row(row, formats) for row in sheet.iter(f"{_MAIN}row")] for sheet in found]


def _part(archive: zipfile.ZipFile, name: str) -> Xml.Element:
    return Xml.fromstring(archive.read(f"xl/{name}.xml"))  # noqa: S314 - it is our own


def _formats(styles: Xml.Element) -> list[str]:
    codes = {"1": "0", "2": "0.00"}  # which need no definition
    for one in styles.iter(f"{_MAIN}numFmt"):
        codes[one.get("numFmtId", "")] = one.get("formatCode", "")
    used = styles.find(f"{_MAIN}cellXfs")
    assert used is not None
    return [codes.get(one.get("numFmtId", ""), "") for one in used]


def _row(row: Xml.Element, formats: list[str]) -> dict[str, XlsxCell]:
    cells = {}
    for cell in row:
        letters = re.sub(r"\d", "", cell.get("r", ""))
        text = "".join(cell.itertext())
        value = text if cell.get("t") == "inlineStr" else Decimal(text)
        formula = cell.find(f"{_MAIN}f") is not None
        cells[letters] = XlsxCell(value, formats[int(cell.get("s", "0"))], formula)
    return cells
