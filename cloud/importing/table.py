"""What comes in: named columns, and lines of text that are gone through one after the other."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from common.errors import Permanent


class Unreadable(Permanent):
    """Nothing can be made of the file as a whole."""


class Line(NamedTuple):
    """``number`` as an editor or a spreadsheet shows it. The cells have no blanks around them."""

    number: int
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    """``lines`` begins anew each time; it leaves out what is blank, and raises Unreadable.

    ``may_have_commas``: the cells are parted by semicolons, as where decimals have a comma.
    """

    heads: Sequence[str]
    lines: Callable[[], Iterator[Line]]
    may_have_commas: bool = False


def head(text: str) -> str:
    """A column's name, without what our XLSX files explain behind it."""
    return text.strip().partition(" (")[0].lower()


def blank(cells: Iterable[str]) -> bool:
    """Whether nothing stands in the line."""
    return not any(cells)


def limited(table: Table, most: int) -> Iterator[Line]:
    """The lines, if there are no more than ``most``."""
    for count, line in enumerate(table.lines()):
        if count == most:
            raise Unreadable(
                f"the file has more than {most:,} lines, which is as much as is imported as a"
                " whole: split it, and import the parts one after the other"
            )
        yield line


def places(table: Table, needed: Sequence[str], optional: Sequence[str]) -> dict[str, int]:
    """By name, where each column stands. Raises Unreadable with what is missing or not known."""
    known = [*needed, *optional]
    given = [name for name in table.heads if name]
    if unknown := [name for name in given if name not in known]:
        raise Unreadable(
            f"unknown columns: {_listed(unknown)}; known are {', '.join(known)}."
            " Rename or remove them"
        )
    if twice := {name for name in given if given.count(name) > 1}:
        raise Unreadable(f"columns that are there twice: {_listed(sorted(twice))}")
    if missing := [name for name in needed if name not in given]:
        raise Unreadable(f"missing columns: {_listed(missing)}; the first line names the columns")
    return {name: at for at, name in enumerate(table.heads) if name}


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name[:40] for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
