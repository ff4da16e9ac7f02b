"""Lines of readings: each is a reading of a register, or it is told what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cloud.importing.cells import Wrong, integer, moment, quoted, scaled
from cloud.importing.report import Fault
from cloud.importing.table import Line, Table, limited, places
from common.clock import to_ms
from common.reading import Quality

NEEDED = ("gateway", "device", "register", "unit", "time", "value")
OFFSET = "time: utc offset"
"""Beside a time in our XLSX files."""

OPTIONAL = ("site", "quality", "raw", OFFSET)
COLUMNS = (*NEEDED, *OPTIONAL)

MAX_LINES = 200_000
EARLIEST_MS = to_ms(datetime(1990, 1, 1, tzinfo=UTC))
"""A time before is one that was never set."""

_QUALITIES = {quality.name.lower(): int(quality) for quality in Quality}

Path = tuple[str, str, str]
"""Keys of gateway, device, register."""


@dataclass(frozen=True, slots=True)
class Place:
    """A register that readings can be of. ``counting``: its value only grows."""

    id: int
    site: str
    unit: str
    decimals: int
    counting: bool


class NewReading(NamedTuple):
    """``raw`` and ``quality`` as they are stored."""

    line: int
    register_id: int
    at: int
    value: int | None
    quality: int
    raw: int | None


@dataclass(frozen=True, slots=True)
class Checked:
    """What the file itself tells: readings by register and time, and lines that are none."""

    readings: list[NewReading]
    refusals: list[Fault]
    comma: bool


def check(
    table: Table,
    registers: Mapping[Path, Place],
    now_ms: int,
    *,
    oldest_ms: int = 0,
    zone: ZoneInfo | None = None,
    comma: bool | None = None,
) -> Checked:
    """All lines, looked at by themselves and for lines that say the same.

    What is older than ``oldest_ms`` is not kept any more. ``comma``: before decimals; None: found
    out. Raises Unreadable.
    """
    columns = places(table, NEEDED, OPTIONAL)
    if comma is None:
        comma = table.may_have_commas and _has_comma(table, columns["value"])
    reader = _Reader(columns, registers, now_ms, max(oldest_ms, EARLIEST_MS), zone, comma)
    found: dict[tuple[int, int], NewReading] = {}
    refusals = []
    for line in limited(table, MAX_LINES):
        try:
            reading = reader.read(line)
            _take_once(found, reading)
        except Wrong as error:
            refusals.append(Fault(line.number, error.column, error.wrong, error.advice))
    ordered = sorted(found.values(), key=lambda one: (one.register_id, one.at))
    return Checked(ordered, refusals, comma)


def _take_once(found: dict[tuple[int, int], NewReading], reading: NewReading) -> None:
    other = found.setdefault((reading.register_id, reading.at), reading)
    if other is not reading:
        raise Wrong("time", f"line {other.line} has the same register and time", "keep one of them")


def _has_comma(table: Table, at: int) -> bool:
    return any("," in line.cells[at] for line in table.lines() if at < len(line.cells))


@dataclass(frozen=True, slots=True)
class _Reader:
    columns: Mapping[str, int]
    registers: Mapping[Path, Place]
    now_ms: int
    oldest_ms: int
    zone: ZoneInfo | None
    comma: bool

    def read(self, line: Line) -> NewReading:
        check_width(line, self.columns)
        cells = line.cells
        place = self._place(line)
        value, quality = self._value(line, place)
        raw = self._cell(line, "raw")
        return NewReading(
            line.number,
            place.id,
            self._at(cells[self.columns["time"]], self._cell(line, OFFSET)),
            value,
            quality,
            integer(raw, "raw") if raw else None,
        )

    def _cell(self, line: Line, column: str) -> str:
        at = self.columns.get(column)
        return "" if at is None else line.cells[at]

    def _place(self, line: Line) -> Place:
        cells, columns = line.cells, self.columns
        path = cells[columns["gateway"]], cells[columns["device"]], cells[columns["register"]]
        place, site = self.registers.get(path), self._cell(line, "site")
        if place is None or (site and site != place.site):
            words = "/".join([*([site] if site else []), *path])
            raise Wrong(
                "register",
                f"there is no register {quoted(words)}",
                "correct the keys, or have the gateway report the register first",
            )
        unit = cells[columns["unit"]]
        if unit != place.unit:
            raise Wrong(
                "unit",
                f"{quoted(unit)} is not the register's unit, {quoted(place.unit)}",
                "convert the values",
            )
        return place

    def _at(self, time: str, offset: str) -> int:
        at = moment(f"{time}{offset}", "time", self.zone)
        if at > self.now_ms:
            raise Wrong("time", f"{quoted(time)} is in the future", "correct the time")
        if at < EARLIEST_MS:
            raise Wrong("time", f"{quoted(time)} is before 1990", "correct the time")
        if at < self.oldest_ms:
            raise Wrong(
                "time",
                f"{quoted(time)} is older than what is kept",
                "leave it out, or keep readings for longer ([retention])",
            )
        return at

    def _value(self, line: Line, place: Place) -> tuple[int | None, int]:
        word = self._cell(line, "quality") or "good"
        quality = _QUALITIES.get(word)
        if quality is None:
            raise Wrong(
                "quality", f"{quoted(word)} is no quality", f"write one of {', '.join(_QUALITIES)}"
            )
        text = line.cells[self.columns["value"]]
        if text:
            return scaled(text, place.decimals, "value", comma=self.comma), quality
        if quality == Quality.GOOD:
            raise Wrong("value", "there is none", "write it, or a quality that says why")
        return None, quality


def check_width(line: Line, columns: Mapping[str, int]) -> None:
    """Raises Wrong for a line that was cut off, or has more cells than there are columns."""
    width = max(columns.values()) + 1
    if len(line.cells) < width or any(line.cells[width:]):
        raise Wrong(
            "",
            f"there are {len(line.cells)} cells for {width} columns",
            "see whether the line is whole, and text with separators quoted",
        )
