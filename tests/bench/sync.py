"""A gateway that comes back, and what it sends for that: bytes from the gateway to the broker.

They are counted in a proxy: MQTT and all above it, without what TCP and IP add, and without the
acks, which go the other way.
"""

import tempfile
from pathlib import Path

from tests.bench.backlog import fill
from tests.bench.drain import drained
from tests.bench.edge import let_run
from tests.bench.figures import Figure, figure
from tests.bench.load import RUNS
from tests.bench.meters import write_five, write_meters
from tests.bench.real import start_cloud, start_site
from tests.bench.servers import VAR, Stage, stage
from tests.harness.books import read_journal
from tests.harness.proxy import Proxy
from tests.harness.site import GATEWAY

HOURS_13 = 13 * 60 * 100
"""Readings of 100 registers, each minute."""

BACKLOG = 100_000
LIVE_S = 5.0


def syncing() -> list[Figure]:
    """13 hours without the cloud, made up for; bytes a reading of a backlog, and as it comes."""
    took, backlog_bytes, live_bytes = [], [], []
    with tempfile.TemporaryDirectory(dir=VAR) as name:
        directory = Path(name).resolve()
        late, backlog = fill(directory, HOURS_13), fill(directory, BACKLOG)
        profile = write_five(directory)
        for _ in range(RUNS):
            with stage() as on:
                start_cloud(on, "ingest")
                with drained(on, late) as drain:
                    took.append(drain.seconds)
                with Proxy(on.broker.port) as link:
                    with drained(on, backlog, broker=link.port):
                        backlog_bytes.append(link.bytes_up / BACKLOG)
                    live_bytes.append(_live(on, link, profile))
    return [
        figure("sync.consistent_after_13h_s", took, "s", target=5),
        figure("sync.bytes_per_reading_backlog", backlog_bytes, "B", target=8),
        figure("sync.bytes_per_reading_live", live_bytes, "B", target=40),
    ]


def _live(on: Stage, link: Proxy, profile: str) -> float:
    """Of a meter whose five registers are read ten times a second: each poll is a message."""
    site = write_meters(on.directory / "site", link.port, (profile,))
    start_site(on, site)
    on.programs["edge"].wait_for(f"MQTT inmetter-{GATEWAY}")
    let_run(1)
    readings, sent = len(read_journal(site.journal).readings), link.bytes_up
    let_run(LIVE_S)
    sent, readings = link.bytes_up - sent, len(read_journal(site.journal).readings) - readings
    on.programs["edge"].stop()
    return sent / readings
