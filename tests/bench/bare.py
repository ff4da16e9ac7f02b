"""The bare peers: what the same parts give to a loop that does nothing else."""

import subprocess
import sys

from tests.bench.backlog import MILLION
from tests.bench.bare_drain import fill_bare
from tests.bench.figures import Figure, figure, quantile
from tests.bench.load import COMMANDS, MEASURED_S, POLLS, READINGS, RUNS, measure_latency
from tests.bench.servers import stage
from tests.harness.books import CloudBook

IMPORTS = """
import time; begun = time.perf_counter()
import aiomqtt, msgspec, pymodbus.client, sqlite3
print(time.perf_counter() - begun)
status = open("/proc/self/status").read().split("VmRSS:")[1].split()[0]
print(int(status) * 1024 / 1e6)
"""


def latency() -> list[Figure]:
    """Measured → committed at the load of ``tests.bench.load``."""
    p50, p99 = [], []
    for _ in range(RUNS):
        with stage() as on:
            on.database.create_database("bare")
            ports = (str(on.broker.port), str(on.database.port))
            cloud = (sys.executable, "-m", "tests.bench.bare_cloud", "ingest", *ports, "bare")
            on.programs.add("cloud", *cloud).start()
            journal = str(on.directory / "journal.db")
            edge = (sys.executable, "-m", "tests.bench.bare_edge", ports[0], journal)
            on.programs.add("edge", *edge, str(POLLS), str(READINGS)).start()
            found = measure_latency(on.broker.port, "bare", MEASURED_S)
        p50.append(quantile(found, 0.5))
        p99.append(quantile(found, 0.99))
    return [
        figure("bare.measured_to_committed_p50_ms", p50, "ms"),
        figure("bare.measured_to_committed_p99_ms", p99, "ms"),
    ]


def command() -> list[Figure]:
    """Insert + commit → MQTT → report → update + commit."""
    p50, p99 = [], []
    for _ in range(RUNS):
        with stage() as on:
            on.database.create_database("bare")
            port = str(on.broker.port)
            edge = (sys.executable, "-m", "tests.bench.bare_edge", port)
            on.programs.add("edge", *edge, str(on.directory / "journal.db"), "0", "1").start()
            cloud = (sys.executable, "-m", "tests.bench.bare_cloud", "command", port)
            output = subprocess.run(
                [*cloud, str(on.database.port), "bare", str(COMMANDS)],
                check=True,
                capture_output=True,
                text=True,
                timeout=120,
            ).stdout
        took = [float(line) for line in output.splitlines()]
        p50.append(quantile(took, 0.5))
        p99.append(quantile(took, 0.99))
    return [
        figure("bare.command_round_trip_p50_ms", p50, "ms"),
        figure("bare.command_round_trip_p99_ms", p99, "ms"),
    ]


def process() -> list[Figure]:
    """A process that has imported the edge's libraries, and does nothing."""
    rss, took = [], []
    for _ in range(RUNS):
        output = subprocess.run(
            [sys.executable, "-c", IMPORTS], check=True, capture_output=True, text=True
        ).stdout.split()
        took.append(float(output[0]))
        rss.append(float(output[1]))
    return [
        figure("bare.imports_rss_mb", rss, "MB"),
        figure("bare.imports_s", took, "s"),
    ]


def drain() -> list[Figure]:
    """10⁶ readings of a journal on the disk, until the last ack."""
    took = []
    for _ in range(RUNS):
        with stage() as on:
            journal = on.directory / "journal.db"
            fill_bare(journal, MILLION)
            on.database.create_database("bare")
            program, port = (sys.executable, "-m", "tests.bench.bare_drain"), str(on.broker.port)
            cloud = on.programs.add("cloud", *program, "cloud", port, str(on.database.port), "bare")
            cloud.start().wait_for("ready")
            output = subprocess.run(
                [*program, "edge", port, str(journal)],
                check=True,
                capture_output=True,
                text=True,
                timeout=120,
            ).stdout
            [[stored]] = CloudBook(on.database.port, "bare").rows("SELECT count(*) FROM reading")
            assert stored == MILLION
        took.append(float(output))
    return [figure("bare.drain_seconds_1e6", took, "s")]
