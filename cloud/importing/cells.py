"""What stands in a cell: numbers and times, exact or refused."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from common.errors import Permanent
from common.reading import INT64_MAX

_NUMBER = {
    comma: re.compile(rf"([+-]?)([0-9]{{1,30}})(?:{re.escape(mark)}([0-9]{{0,30}}))?")
    for comma, mark in ((False, "."), (True, ","))
}
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


class Wrong(Permanent):
    """What is wrong in a cell, and what to do about it."""

    def __init__(self, column: str, wrong: str, advice: str) -> None:
        super().__init__(f"{column}: {wrong}; {advice}")
        self.column, self.wrong, self.advice = column, wrong, advice


def quoted(text: str) -> str:
    """Text of a file, short enough for a report."""
    return repr(text if len(text) <= 60 else f"{text[:59]}…")


def scaled(text: str, decimals: int, column: str, *, comma: bool) -> int:
    """The number as a register stores it. Raises Wrong; nothing is rounded or cut off."""
    sign, whole, places = _parts(text, column, comma=comma)
    places = places.rstrip("0")
    if len(places) > decimals:
        raise Wrong(
            column,
            f"{quoted(text)} has {len(places)} decimals, the register {decimals}",
            f"round it to {decimals} decimals yourself",
        )
    number = int(f"{sign}{whole}{places.ljust(decimals, '0')}")
    if abs(number) > INT64_MAX:
        raise Wrong(column, f"{quoted(text)} is out of range", "correct the value")
    return number


def decimal(text: str, column: str, *, comma: bool) -> Decimal:
    """The number. Raises Wrong."""
    sign, whole, places = _parts(text, column, comma=comma)
    return Decimal(f"{sign}{whole}.{places or '0'}")


def _parts(text: str, column: str, *, comma: bool) -> tuple[str, str, str]:
    found = _NUMBER[comma].fullmatch(text)
    if found is None:
        mark = "comma" if comma else "point"
        raise Wrong(
            column,
            f"{quoted(text)} is not a number",
            f"write digits, with a decimal {mark} and nothing between thousands",
        )
    return found[1], found[2], found[3] or ""


def integer(text: str, column: str) -> int:
    """A whole number that fits 64 bits. Raises Wrong."""
    if not _INTEGER.fullmatch(text) or abs(int(text)) > INT64_MAX:
        raise Wrong(column, f"{quoted(text)} is not a whole number", "write digits only")
    return int(text)


def moment(text: str, column: str, zone: ZoneInfo | None) -> int:
    """Epoch milliseconds. A time without offset is local to ``zone``. Raises Wrong."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Wrong(
            column, f"{quoted(text)} is not a time", "write it as 2026-06-01T14:00:00+03:00"
        ) from None
    if at.microsecond % 1000:
        raise Wrong(column, f"{quoted(text)} is finer than a millisecond", "leave the rest out")
    try:
        offset = _offset(at, text, column, zone)
        past = at.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except (OverflowError, ValueError):
        raise Wrong(column, f"{quoted(text)} is out of range", "correct the time") from None
    return round((past.days * 86_400 + past.seconds) * 1000 + past.microseconds // 1000 - offset)


def _offset(at: datetime, text: str, column: str, zone: ZoneInfo | None) -> float:
    """Milliseconds that the time is ahead of UTC."""
    own = at.utcoffset()
    if own is not None:
        return own.total_seconds() * 1000
    if zone is None:
        raise Wrong(
            column, f"{quoted(text)} has no offset", "write Z or +03:00 behind it, or name a zone"
        )
    first, second = (at.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    assert first is not None  # noqa: S101  (a zone has one at each time)
    assert second is not None  # noqa: S101
    if first != second:
        how = "comes twice" if first > second else "does not exist"
        raise Wrong(column, f"{quoted(text)} {how} in {zone.key}", "write the offset behind it")
    return first.total_seconds() * 1000
