"""Lines of metering points, each with the meter that is installed first, if there is one."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

from cloud.importing.cells import Wrong, decimal, moment, quoted
from cloud.importing.readings import Path, check_width
from cloud.importing.report import Fault
from cloud.importing.table import Line, Table, limited, places
from common.errors import Undecodable
from common.ids import check_key
from common.registers import Kind, Medium

NEEDED = ("key", "name", "site", "medium", "kind")
METER = ("gateway", "device", "register")
OPTIONAL = (
    "parent", *METER, "serial", "start_time", "start_index", "multiplier", "rollover"
)  # fmt: skip
COLUMNS = (*NEEDED, *OPTIONAL)

MAX_LINES = 2_000
LENGTHS = {"name": 200, "serial": 64}
LARGEST = Decimal(10**18)
_MEDIA = {medium.label: medium for medium in Medium}


@dataclass(frozen=True, slots=True)
class Meter:
    """``start_at``: epoch milliseconds. ``start_index`` None: as the readings say; ``rollover``
    None: not known."""

    path: Path
    serial: str
    start_at: int
    start_index: Decimal | None
    multiplier: Decimal
    rollover: Decimal | None


@dataclass(frozen=True, slots=True)
class PointLine:
    """``site`` and ``parent`` are keys."""

    line: int
    key: str
    name: str
    site: str
    medium: Medium
    kind: Kind
    parent: str | None
    meter: Meter | None


@dataclass(frozen=True, slots=True)
class CheckedPoints:
    """What the file itself tells: points in the order of its lines, and lines that are none."""

    points: list[PointLine]
    refusals: list[Fault]
    comma: bool


def check(
    table: Table, *, zone: ZoneInfo | None = None, comma: bool | None = None
) -> CheckedPoints:
    """All lines, looked at by themselves and for keys that come twice. Raises Unreadable."""
    columns = places(table, NEEDED, OPTIONAL)
    if comma is None:
        comma = table.may_have_commas and _has_comma(table, columns)
    found: dict[str, PointLine] = {}
    refusals = []
    for line in limited(table, MAX_LINES):
        try:
            point = _read(line, columns, zone, comma=comma)
            _take_once(found, point)
        except Wrong as error:
            refusals.append(Fault(line.number, error.column, error.wrong, error.advice))
    return CheckedPoints(list(found.values()), refusals, comma)


def _take_once(found: dict[str, PointLine], point: PointLine) -> None:
    other = found.setdefault(point.key, point)
    if other is not point:
        raise Wrong("key", f"line {other.line} has the same key", "keep one of them")


def _has_comma(table: Table, columns: Mapping[str, int]) -> bool:
    names = ("start_index", "multiplier", "rollover")
    numbers = [columns[name] for name in names if name in columns]
    return any(
        "," in line.cells[at] for line in table.lines() for at in numbers if at < len(line.cells)
    )


def _read(
    line: Line, columns: Mapping[str, int], zone: ZoneInfo | None, *, comma: bool
) -> PointLine:
    check_width(line, columns)
    cells = {name: line.cells[at] for name, at in columns.items()}
    for name, most in LENGTHS.items():
        if len(cells.get(name, "")) > most:
            raise Wrong(name, f"it has more than {most} characters", "shorten it")
    if not cells["name"]:
        raise Wrong("name", "there is none", "write it")
    try:
        key = check_key(cells["key"], "key")
    except Undecodable as error:
        raise Wrong("key", str(error), "correct it") from error
    return PointLine(
        line.number,
        key,
        cells["name"],
        cells["site"],
        _medium(cells["medium"]),
        _kind(cells["kind"]),
        cells.get("parent") or None,
        _meter(cells, zone, comma=comma),
    )


def _medium(text: str) -> Medium:
    found = _MEDIA.get(text.lower())
    if found is None:
        raise Wrong("medium", f"{quoted(text)} is no medium", f"write one of {', '.join(_MEDIA)}")
    return found


def _kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        raise Wrong(
            "kind", f"{quoted(text)} is no kind", f"write one of {', '.join(Kind)}"
        ) from None


def _meter(cells: Mapping[str, str], zone: ZoneInfo | None, *, comma: bool) -> Meter | None:
    gateway, device, register = (cells.get(name, "") for name in METER)
    said = {name: cells.get(name, "") for name in OPTIONAL if name != "parent"}
    if not any(said.values()):
        return None
    for name in (*METER, "start_time"):
        if not said[name]:
            raise Wrong(name, "there is none", f"a meter needs {', '.join(METER)} and start_time")

    def number(column: str) -> Decimal | None:
        return decimal(said[column], column, comma=comma) if said[column] else None

    index = number("start_index")
    return Meter(
        (gateway, device, register),
        said["serial"],
        moment(said["start_time"], "start_time", zone),
        None if index is None else _index(index),
        multiplier if (multiplier := number("multiplier")) is not None else Decimal(1),
        number("rollover"),
    )


def _index(value: Decimal) -> Decimal:
    if not 0 <= value < LARGEST:
        raise Wrong("start_index", f"{value} is no index", "write what stands on the meter's face")
    return value
