"""Tables on a terminal."""

import shutil
import sys
import textwrap
from collections.abc import Sequence

NARROWEST = 24
"""A last column that would be narrower is not folded."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """Columns as wide as what stands in them; the last one is not padded.

    On a terminal, whose width is that of the table if nothing is said, the last one is folded.
    """
    if width is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    every = [head, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(head) - 1)]
    before = sum(widths) + 2 * len(widths)
    room = 0 if width is None or width - before < NARROWEST else width - before
    lines = []
    for row in every:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        folded = textwrap.wrap(row[-1], room, break_on_hyphens=False) if room else [row[-1]]
        for part in folded or [""]:
            lines.append("  ".join([*cells, part]).rstrip())
            cells = [" " * width for width in widths]
    return "\n".join(lines)
