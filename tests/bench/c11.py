"""The communication server with a fleet of modules, on one core; the fleet has the other.

The agent stores what it is told and has no broker: what is measured ends with the commit. Its
uplink has benchmarks of its own.
"""

import contextlib
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.clock import SystemClock
from edge_agent.config import load
from edge_agent.devices import Devices
from tests.bench.c11_fleet import SECRET, key
from tests.bench.edge import rss_mb
from tests.bench.figures import Figure, figure
from tests.bench.servers import VAR
from tests.harness.eventually import eventually
from tests.harness.ports import free_port
from tests.harness.processes import Program, Programs

RUNS = 3
CONNECTED = 2000
PERIOD_S = 50.0
"""Somewhat harder than once a minute, so that the part ends within a minute."""

REPLAYING, RECORDS = 500, 100
GROUP = 1000
"""Rows a commit of the ceiling: as many writes as the journal's thread takes at once."""

GATEWAY = """\
[gateway]
id = "bench"
name = "Bench"
site = "bench"
site_name = "Bench"
timezone = "Europe/Bucharest"

[c11do1eth]
port = {port}

"""

MODULE = """\
[[device]]
driver = "c11do1eth"
key = "{key}"
name = "Cold water {key}"
medium = "cold_water"
key_file = "module.key"
pulse_weight = "10 l"
push_period_s = 60
output = {{ key = "roof", name = "Roof" }}

"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running agent; its threads have a core of their own where there are two."""

    agent: Program
    port: int
    config: int
    journal: Path
    programs: Programs

    def fleet(self, *arguments: object) -> Program:
        """A fleet, on the other core."""
        command = (sys.executable, "-m", "tests.bench.c11_fleet", str(self.port), str(self.config))
        fleet = self.programs.add("fleet", *command, *map(str, arguments)).start()
        _pin(fleet.pid, core=1)
        return fleet


@contextlib.contextmanager
def serving(modules: int) -> Iterator[Server]:
    """An agent with so many modules configured and nothing else."""
    VAR.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=VAR, prefix="bench-") as name:
        directory, port = Path(name).resolve(), free_port()
        (directory / "module.key").write_bytes(SECRET)
        config = directory / "edge.toml"
        every = "".join(MODULE.format(key=key(number)) for number in range(modules))
        config.write_text(GATEWAY.format(port=port) + every)
        devices = Devices(load(config), SystemClock())
        version = devices.modules[key(0)].periods.version
        with Programs(directory) as programs:
            command = (sys.executable, "-m", "edge_agent", "run", str(config))
            agent = programs.add("edge", *command, "--log-level", "WARNING").start()
            journal = directory / "data" / "edge.db"
            eventually(lambda: agent.running and _listens(port), 60, "the agent listens")
            _pin(agent.pid, core=0)
            try:
                yield Server(agent, port, version, journal, programs)
            except BaseException:
                for title, text in programs.report():
                    sys.stderr.write(f"--- {title}\n{text}\n")
                raise


def connected(peers: dict[str, Figure]) -> list[Figure]:
    """Modules that were connected all the time and had every record acknowledged."""
    with serving(CONNECTED) as server:
        fleet = server.fleet(CONNECTED, 0, PERIOD_S, PERIOD_S)
        fleet.wait_for('"replayed"', 60)
        cpu_s, begun = _cpu_s(server.agent.pid), time.monotonic()
        fleet.wait_for('"reported"', PERIOD_S + 40)
        percent = 100 * (_cpu_s(server.agent.pid) - cpu_s) / (time.monotonic() - begun)
        memory = rss_mb(server.agent.pid)
        said = _said(fleet)["reported"]
    return [
        figure("c11.connected", [said["modules"]], "devices", "higher", target=CONNECTED),
        figure("c11.rss_mb", [memory], "MB", peer=peers.get("bare.imports_rss_mb")),
        figure("c11.cpu_percent", [percent], "%"),
        figure("c11.ack_p99_ms", [said["ack_p99_ms"]], "ms"),
    ]


def replay(_: dict[str, Figure]) -> list[Figure]:
    """Backlog of a whole fleet: from its first connection to its last acknowledgement."""
    rates, ceilings = [], []
    for _run in range(RUNS):
        with serving(REPLAYING) as server:
            fleet = server.fleet(REPLAYING, RECORDS, 0, 0)
            fleet.wait_for('"replayed"', 60)
            rates.append(REPLAYING * RECORDS / _said(fleet)["replayed"]["seconds"])
            ceilings.append(_group_insert(server.journal))
    ceiling = figure("bare.c11_records_per_s", ceilings, "1/s", "higher")
    rate = figure("c11.records_per_s", rates, "1/s", "higher", target=5000, peer=ceiling)
    return [ceiling, rate]


def _group_insert(journal: Path) -> float:
    """Rows a second that SQLite alone takes: the same bytes, GROUP a commit, on the same disk."""
    with contextlib.closing(sqlite3.connect(journal)) as book:
        rows = book.execute("SELECT at, body FROM entry").fetchall()
    path = journal.with_name("ceiling.db")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as bare:
        bare.execute("PRAGMA journal_mode = WAL")
        bare.execute("PRAGMA synchronous = FULL")
        bare.execute("CREATE TABLE entry (seq INTEGER PRIMARY KEY, at INTEGER, body BLOB)")
        begun = time.perf_counter()
        for first in range(0, len(rows), GROUP):
            bare.execute("BEGIN")
            group = rows[first : first + GROUP]
            bare.executemany("INSERT INTO entry (at, body) VALUES (?, ?)", group)
            bare.execute("COMMIT")
        return len(rows) / (time.perf_counter() - begun)


def _said(fleet: Program) -> dict[str, dict[str, float]]:
    lines = [json.loads(line) for line in fleet.log_text().splitlines() if line.startswith("{")]
    return {line["event"]: line for line in lines}


def _pin(pid: int, core: int) -> None:
    """All threads of a process onto one core; if there is only one, they share it."""
    cores = sorted(os.sched_getaffinity(0))
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {cores[min(core, len(cores) - 1)]})


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _listens(port: int) -> bool:
    """Whether somebody listens: state 0A in the kernel's table, without connecting."""
    wanted = f"0100007F:{port:04X}"
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(line[1] == wanted and line[3] == "0A" for line in lines)
