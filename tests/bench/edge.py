"""The edge agent by itself: memory, and how soon it reads, with five devices polled each second."""

import time
from pathlib import Path

from common.messages.uplink import Readings
from tests.bench.figures import Figure, figure
from tests.bench.load import RUNS
from tests.bench.servers import stage
from tests.harness.books import read_journal
from tests.harness.eventually import eventually
from tests.harness.site import SiteFiles

IDLE_S = 15.0
"""Memory is looked at after so long; the caches have been filled by then."""


def footprint(peers: dict[str, Figure]) -> list[Figure]:
    """Connected to a broker whose cloud does not answer: it polls, stores and waits."""
    rss, first = [], []
    for _ in range(RUNS):
        with stage() as on:
            site = SiteFiles(on.directory / "site", on.broker.port, speed=1, turns_s=600).write()
            simulator = on.programs.add("simulator", *site.simulator_command()).start()
            simulator.wait_for("site is up")
            begun_ms = time.time() * 1000
            edge = on.programs.add("edge", *site.edge_command()).start()
            _let_run(IDLE_S)
            rss.append(rss_mb(edge.pid))
            entries = read_journal(site.journal).entries.values()
            first_ms = min(body.at for body in entries if isinstance(body, Readings))
            first.append((first_ms - begun_ms) / 1000)
    return [
        figure("edge.idle_rss_mb", rss, "MB", target=40, peer=peers.get("bare.imports_rss_mb")),
        figure(
            "edge.start_to_first_reading_s", first, "s", target=1, peer=peers.get("bare.imports_s")
        ),
    ]


def rss_mb(pid: int | str, field: str = "VmRSS") -> float:
    """Resident memory of a process, in millions of bytes; with ``VmHWM`` the most it ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith(field))
    return int(kibibytes) * 1024 / 1e6


def _let_run(seconds: float) -> None:
    end = time.monotonic() + seconds
    eventually(lambda: time.monotonic() > end, seconds + 5)
