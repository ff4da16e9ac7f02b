"""Findings on a terminal, or as JSON."""

import dataclasses
import sys
from collections.abc import Sequence

from edge_agent.cli.document import document
from edge_agent.cli.table import table
from edge_agent.doctor.finding import Finding, Verdict

COLOURS = {
    Verdict.GOOD: "\033[32m",
    Verdict.WARNING: "\033[33m",
    Verdict.BAD: "\033[31m",
    Verdict.UNKNOWN: "\033[36m",
}


def show(findings: Sequence[Finding], *, as_json: bool) -> int:
    """Print them; 1 when one of them is bad, else 0."""
    if as_json:
        rows = [dataclasses.asdict(one) for one in findings]
        print(document(rows))
    else:
        print(_table(findings, coloured=sys.stdout.isatty()))
    return 1 if any(one.verdict is Verdict.BAD for one in findings) else 0


def _table(findings: Sequence[Finding], *, coloured: bool) -> str:
    rows: list[list[str]] = []
    for one in findings:
        rows.append([one.verdict.value, one.subject, one.found])
        if one.advice and one.verdict is not Verdict.GOOD:
            rows.append(["", "", f"→ {one.advice}"])
    lines = table(["verdict", "what", "found"], rows).splitlines()
    return "\n".join(_coloured(line) if coloured else line for line in lines)


def _coloured(line: str) -> str:
    word, _, rest = line.partition(" ")
    return f"{COLOURS[Verdict(word)]}{word}\033[0m {rest}" if word in COLOURS else line
