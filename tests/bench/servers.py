"""The broker and the database of a benchmark: private, on the same machine, started fresh."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.harness.mariadb import MariaDb
from tests.harness.mosquitto import Mosquitto
from tests.harness.processes import Programs

VAR = Path("var")

OWN_LOG = ("--innodb-log-file-size=96M",)
"""As large as MariaDB makes it of itself; with the tests' small one, that would be measured."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a benchmark plays. ``directory`` is on the disk of the repository, not in memory."""

    directory: Path
    broker: Mosquitto
    database: MariaDb
    programs: Programs


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Servers up at the beginning, everything gone at the end."""
    VAR.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=VAR, prefix="bench-") as name:
        directory = Path(name).resolve()
        for part in ("broker", "database", "logs"):
            (directory / part).mkdir()
        with (
            Mosquitto(directory / "broker") as broker,
            MariaDb(directory / "database", OWN_LOG) as database,
            Programs(directory / "logs") as programs,
        ):
            try:
                yield Stage(directory, broker, database, programs)
            except BaseException:
                for title, text in programs.report():
                    sys.stderr.write(f"--- {title}\n{text}\n")
                raise
