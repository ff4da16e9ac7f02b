"""What a gateway has kept while nobody listened, on its way into the database.

The real programs: an edge agent with a journal that is full already, Mosquitto, the cloud's ingest
role and MariaDB, all on this machine. A drain begins with the agent's first hello, and ends with
the ack of the last entry; then all must be in the ledger, and every reading in the database.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from common import topics
from common.messages.downlink import Ack
from common.messages.envelope import decode
from common.messages.uplink import Readings
from common.ranges import RangeSet
from tests.bench.backlog import MILLION, Backlog, fill
from tests.bench.edge import rss_mb
from tests.bench.figures import Figure, figure, quantile
from tests.bench.load import RUNS, START_S
from tests.bench.meters import write_five, write_meters
from tests.bench.observe import acked_s
from tests.bench.real import DATABASE, start_cloud
from tests.bench.servers import VAR, Stage, stage
from tests.harness.books import CloudBook, read_journal
from tests.harness.eventually import eventually
from tests.harness.processes import Program
from tests.harness.site import SiteFiles
from tests.harness.tap import Heard, Tap

SIZES = {10_000: "1e4", 100_000: "1e5", MILLION: "1e6"}
TARGETS_S = {MILLION: 8.0}
PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class Drain:
    """A backlog that is committed; ``agent`` still runs."""

    began_s: float
    ended_s: float
    acks: list[Heard]
    agent: Program
    site: SiteFiles

    @property
    def seconds(self) -> float:
        return self.ended_s - self.began_s


def seconds(peers: dict[str, Figure]) -> list[Figure]:
    """Of 10⁴, 10⁵ and 10⁶ readings, each of a gateway of its own; and what that takes of memory."""
    took: dict[int, list[float]] = {size: [] for size in SIZES}
    rss = []
    with tempfile.TemporaryDirectory(dir=VAR) as directory:
        backlogs = [fill(Path(directory), size) for size in SIZES]
        for _ in range(RUNS):
            with stage() as on:
                start_cloud(on, "ingest")
                for backlog in backlogs:
                    with drained(on, backlog) as drain:
                        took[backlog.readings].append(drain.seconds)
                        peak = rss_mb(drain.agent.pid, "VmHWM")
            rss.append(peak)
    return [
        *(
            figure(
                f"drain.seconds_{name}",
                took[size],
                "s",
                target=TARGETS_S.get(size),
                peer=peers.get(f"bare.drain_seconds_{name}"),
            )
            for size, name in SIZES.items()
        ),
        figure(
            "drain.edge_peak_rss_mb", rss, "MB", target=64, peer=peers.get("bare.imports_rss_mb")
        ),
    ]


def live(peers: dict[str, Figure]) -> list[Figure]:
    """Measured → committed of a meter that is polled ten times a second while 10⁶ drain."""
    p99 = []
    with tempfile.TemporaryDirectory(dir=VAR) as directory:
        backlog = fill(Path(directory), MILLION)
        profile = write_five(Path(directory).resolve())
        for _ in range(RUNS):
            with stage() as on:
                start_cloud(on, "ingest")
                with drained(on, backlog, profile) as drain:
                    p99.append(quantile(_live_ms(backlog, drain), 0.99))
    peer = peers.get("bare.measured_to_committed_p99_ms")
    return [figure("drain.live_p99_ms", p99, "ms", target=250, peer=peer)]


def _live_ms(backlog: Backlog, drain: Drain) -> list[float]:
    """Of each reading that was measured and committed within the drain.

    What was measured before the hello is backlog itself.
    """
    done_at_s = acked_s(drain.acks)
    began_ms = drain.began_s * 1000
    found = []
    for seq, body in read_journal(drain.site.journal).entries.items():
        done_s = done_at_s.get((backlog.stream, seq))
        if not isinstance(body, Readings) or seq <= backlog.entries:
            continue
        if done_s and body.at >= began_ms:
            found += [done_s * 1000 - body.at] * len(body.r)
    assert found, "nothing was measured meanwhile"
    return found


@contextmanager
def drained(on: Stage, backlog: Backlog, *profiles: str, broker: int = 0) -> Iterator[Drain]:
    """A new gateway drains a copy of ``backlog`` while meters of ``profiles`` are polled.

    ``broker`` is the port to which the agent connects, where it is not the broker's own. Raises
    AssertionError when not exactly these readings are in the database.
    """
    gateway = f"late-{backlog.readings}"
    site = write_meters(on.directory / gateway, broker or on.broker.port, profiles, gateway)
    site.journal.parent.mkdir()
    shutil.copy(backlog.path, site.journal)
    if profiles:
        simulators = on.programs.add("simulators", *site.simulator_command()).start()
        simulators.wait_for("simulated site is up")
    agent = on.programs.add(gateway, *site.edge_command())
    with Tap(on.broker.port, topics.up(gateway, "hello"), topics.down(gateway, "ack")) as tap:
        agent.start()
        began_s = tap.wait_for("hello", b"", timeout_s=START_S).at_s
        acks = _acks_of(tap, gateway, backlog)
    _check(on, gateway, backlog)
    yield Drain(began_s, acks[-1].at_s, acks, agent, site)
    agent.stop()


def _acks_of(tap: Tap, gateway: str, backlog: Backlog) -> list[Heard]:
    """All acks up to the one with which every entry of the backlog is acknowledged."""
    acked, acks, counted = RangeSet(), [], 0

    def complete() -> bool:
        nonlocal counted
        before, counted = counted, tap.count
        for heard in tap.heard(gateway, "ack", after=before):
            ack = decode(heard.payload, Ack)
            acked.add(ack.first, ack.last)
            acks.append(heard)
            if not acked.missing(1, backlog.entries):
                return True
        return False

    eventually(complete, PATIENCE_S, f"all of {backlog.entries} entries are acknowledged")
    return acks


def _check(on: Stage, gateway: str, backlog: Backlog) -> None:
    book = CloudBook(on.database.port, DATABASE)
    assert not book.committed(backlog.stream).missing(1, backlog.entries)
    [[stored]] = book.rows(
        "SELECT count(*) FROM reading x JOIN register r ON r.id = x.register_id"
        " JOIN device d ON d.id = r.device_id JOIN gateway g ON g.id = d.gateway_id"
        " WHERE g.`key` = %s AND d.`key` LIKE 'kept-%%'",
        gateway,
    )
    assert stored == backlog.readings, f"{stored} of {backlog.readings} readings are stored"
