"""Where a page of a list ends the next one begins: by key, never by counting rows."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, and_, true

Row = TypeVar("Row")
Columns = Sequence[ColumnElement[int] | ColumnElement[str]]


def behind(
    after: Sequence[int | str] | None,
    columns: Columns,
    limit: int,
    find: Callable[[ColumnElement[bool], int], Sequence[Row]],
    *,
    up: bool = False,
) -> list[Row]:
    """The first ``limit`` rows behind the key ``after``, where all ``columns`` go down, or ``up``.

    ``find`` gives at most so many of those for which a condition holds, in this order. It is asked
    for one range of the key after another: of a condition that says it all at once MariaDB reads
    everything that has the first column, or all.
    """
    if after is None:
        return list(find(true(), limit))
    found: list[Row] = []
    for last in reversed(range(len(columns))):
        same = [columns[n] == after[n] for n in range(last)]
        further = columns[last] > after[last] if up else columns[last] < after[last]
        found += find(and_(*same, further), limit - len(found))
        if len(found) == limit:
            break
    return found
