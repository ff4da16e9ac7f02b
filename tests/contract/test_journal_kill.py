"""Durability, proven the hard way."""

import subprocess
import sys
from pathlib import Path

from tests.unit.edge_parts import bodies, everything, opened

KILLS = 3
ACKNOWLEDGED = 100


async def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    promised: set[int] = set()
    for _ in range(KILLS):
        lines = run_and_kill(tmp_path / "edge.db")
        pairs = [line.split() for line in lines if line.endswith("\n")]
        for first, last in pairs:
            assert int(last) == int(first) + 1
            assert not promised & {int(first), int(last)}
            promised |= {int(first), int(last)}
    async with opened(tmp_path) as journal:
        kept = {entry.seq for entry in (await everything(journal)).entries}
        assert promised <= kept
        assert kept == set(range(1, journal.next_seq))
        assert journal.next_seq % 2 == 1, "half of a transaction is there"
        assert journal.boot == KILLS + 1
        assert len(await bodies(journal)) == len(kept)


def run_and_kill(path: Path) -> list[str]:
    """What a writer said until it was killed, and what was still in the pipe."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.contract.journal_writer", str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    with process.stdout as out:
        lines = [out.readline() for _ in range(ACKNOWLEDGED)]
        process.kill()
        lines += out.readlines()
    process.wait()
    return lines
