"""What one ingest worker takes, with everything on: ledger, latest, marks, message log, 100 rules.

The real worker, Mosquitto and MariaDB; the gateways are one publisher. A run begins with the first
message and ends with the ack of the last one; then every reading must be in the database.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymysql

from cloud.services.rollups import roll_up
from cloud.services.store import Store
from cloud.storage.engine import open_engine
from cloud.storage.load_data import load
from tests.bench.edge import rss_mb
from tests.bench.figures import Figure, figure
from tests.bench.fleet import AT_ONCE, WINDOW, Message, Speaker, greet, in_turn, publish
from tests.bench.load import RUNS
from tests.bench.real import DATABASE
from tests.bench.servers import Stage, stage
from tests.harness.cloud import CloudFiles
from tests.harness.processes import Program

MILLION = 1_000_000
GATEWAYS, DEVICES = 10, 20
"""1,000 registers."""

BATCH = 500 // AT_ONCE
"""Entries of a message of 500 readings."""

RULES = 100
SMALL_GATEWAYS, SMALL_MESSAGES = 1_000, 20
SMALL_WINDOW = SMALL_GATEWAYS // 2
"""So many gateways at once have said something that is not acknowledged yet."""

MINUTE_MS, QUARTER_MS, HOUR_MS, DAY_MS = 60_000, 900_000, 3_600_000, 86_400_000
OLDER = 20 * MILLION


@dataclass(frozen=True, slots=True)
class Cloud:
    """A worker at work."""

    on: Stage
    files: CloudFiles
    worker: Program

    def take(self, messages: Sequence[Message], readings: int, window: int = WINDOW) -> float:
        """Readings a second; all of them must be in the database afterwards."""
        before = self.count()
        took = publish(self.on.broker.port, messages, window)
        stored = self.count() - before
        assert stored == readings, f"{stored} of {readings} readings are stored"
        return readings / took

    def ask(self, query: str) -> int:
        """One number."""
        port = self.on.database.port
        with (
            pymysql.connect(host="127.0.0.1", port=port, user="root", database=DATABASE) as there,
            there.cursor() as cursor,
        ):
            cursor.execute(query)
            [found] = cursor.fetchone() or (0,)
            return int(found or 0)

    def count(self) -> int:
        return self.ask("SELECT COUNT(*) FROM reading")

    def cpu_s(self) -> float:
        """What the worker has used."""
        fields = Path(f"/proc/{self.worker.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def at_work(speakers: Sequence[Speaker], now_ms: int) -> Iterator[Cloud]:
    """A cloud that knows these gateways; RULES watch their power and never come to a command."""
    with stage() as on:
        directory = on.directory / "cloud"
        directory.mkdir()
        files = CloudFiles(directory, on.database.create_database(DATABASE), on.broker.port)
        for n in range(RULES):
            speaker = speakers[n % len(speakers)]
            device = speaker.device_keys[n // len(speakers) % speaker.devices]
            source, output = (speaker.key, device, "power"), (speaker.key, device, "roof")
            files.add_rule(f"rule {n}", source, 100_000, 1, output)
        files.write()
        worker = on.programs.add("ingest", *files.command("ingest")).start()
        worker.wait_for(": connected")
        greet(on.broker.port, speakers, now_ms)
        yield Cloud(on, files, worker)


def rates(_: dict[str, Figure]) -> list[Figure]:
    """A million of 1,000 registers in batches of 500; the same as it comes, summed up as well."""
    took, cpu, rss, ticks, ceiling = [], [], [], [], []
    for _run in range(RUNS):
        now_ms = time.time_ns() // 1_000_000
        speakers = [Speaker.of(n, DEVICES) for n in range(1, GATEWAYS + 1)]
        instants = MILLION // (GATEWAYS * DEVICES * AT_ONCE)
        old = in_turn([
            one.batches(now_ms - (instants + 600) * MINUTE_MS, MINUTE_MS, instants, BATCH)
            for one in speakers
        ])  # fmt: skip
        # Each second, of the last minutes: every one is the newest, and some rule's.
        live = in_turn([
            one.batches(now_ms - instants // 2 * 1000, 1000, instants // 2, BATCH)
            for one in speakers
        ])  # fmt: skip
        with at_work(speakers, now_ms) as cloud:
            before = cloud.cpu_s()
            took.append(cloud.take(old, MILLION))
            cpu.append((cloud.cpu_s() - before) * 1e6 / MILLION)
            rss.append(rss_mb(cloud.worker.pid, "VmHWM"))
            _summed_up(cloud)
            begun = time.perf_counter()
            cloud.take(live, MILLION // 2)
            _summed_up(cloud)
            ticks.append(MILLION / 2 / (time.perf_counter() - begun))
            ceiling.append(_load_alone(cloud))
    alone = figure("bare.load_data_rows_per_s", ceiling, "1/s", "higher")
    return [
        alone,
        figure("ingest.readings_per_s", took, "1/s", "higher", target=80_000, peer=alone),
        figure("ingest.cpu_us_per_reading", cpu, "µs"),
        figure("ingest.peak_rss_mb", rss, "MB"),
        figure("ingest.live_ticks_per_s", ticks, "1/s", "higher", target=50_000, peer=alone),
    ]


def small(peers: dict[str, Figure]) -> list[Figure]:
    """A thousand gateways with messages of five readings; then ten times as many at once."""
    took, crowded, rss = [], [], []
    readings = SMALL_GATEWAYS * SMALL_MESSAGES * AT_ONCE
    for _run in range(RUNS):
        now_ms = time.time_ns() // 1_000_000
        speakers = [Speaker.of(n, 1) for n in range(1, SMALL_GATEWAYS + 1)]
        begin = now_ms - 2 * SMALL_MESSAGES * MINUTE_MS
        parts = [
            in_turn([one.batches(at, MINUTE_MS, SMALL_MESSAGES, 1) for one in speakers])
            for at in (begin, begin + SMALL_MESSAGES * MINUTE_MS)
        ]
        with at_work(speakers, now_ms) as cloud:
            took.append(cloud.take(parts[0], readings, SMALL_WINDOW))
            crowded.append(cloud.take(parts[1], readings, 10 * SMALL_WINDOW))
            rss.append(rss_mb(cloud.worker.pid, "VmHWM"))
    peer = peers.get("ingest.readings_per_s")
    calm = figure("ingest.small_readings_per_s", took, "1/s", "higher", target=15_000, peer=peer)
    return [
        calm,
        figure("ingest.small_crowded_readings_per_s", crowded, "1/s", "higher", peer=calm),
        figure("ingest.small_crowded_peak_rss_mb", rss, "MB"),
    ]


def full(_: dict[str, Figure]) -> list[Figure]:
    """A million into an empty table, and a million behind twenty million; what all of them take."""
    first, later, size = [], [], []
    for _run in range(RUNS):
        now_ms = time.time_ns() // 1_000_000
        speakers = [Speaker.of(n, DEVICES) for n in range(1, GATEWAYS + 1)]
        instants = MILLION // (GATEWAYS * DEVICES * AT_ONCE)
        begin = now_ms - 2 * instants * MINUTE_MS - HOUR_MS
        parts = [
            in_turn([one.batches(at, MINUTE_MS, instants, BATCH) for one in speakers])
            for at in (begin, begin + instants * MINUTE_MS)
        ]
        with at_work(speakers, now_ms) as cloud:
            first.append(cloud.take(parts[0], MILLION))
            _fill(cloud, begin)
            later.append(cloud.take(parts[1], MILLION))
            size.append(_bytes_per_reading(cloud))
    peer = figure("ingest.first_million_per_s", first, "1/s", "higher")
    target = round(0.8 * peer.value)
    return [
        peer,
        figure(
            "ingest.after_20e6_readings_per_s", later, "1/s", "higher", target=target, peer=peer
        ),
        figure("storage.bytes_per_reading", size, "B", target=60),
    ]


def backlog(_: dict[str, Figure]) -> list[Figure]:
    """A month of 100 registers, each quarter of an hour: from its commit until it is summed up."""
    took = []
    for _run in range(RUNS):
        now_ms = time.time_ns() // 1_000_000
        speaker, instants = Speaker.of(1, 100 // AT_ONCE), 31 * 96
        said = list(speaker.batches(now_ms - 31 * DAY_MS, QUARTER_MS, instants, BATCH))
        with at_work([speaker], now_ms) as cloud:
            cloud.take(said, instants * 100)
            begun = time.perf_counter()
            assert _summed_up(cloud) >= 31 * 24 * 100
            took.append(time.perf_counter() - begun)
    return [figure("rollup.month_of_100_registers_s", took, "s", target=10)]


def _summed_up(cloud: Cloud) -> int:
    """Hours that were summed up; none is left."""
    store = Store(cloud.files.url)
    hours = roll_up(store)
    store.close()
    assert not cloud.ask("SELECT COUNT(*) FROM mark")
    return hours


def _bytes_per_reading(cloud: Cloud) -> float:
    cloud.ask("SELECT COUNT(*) FROM (SELECT 1) x")
    with open_engine(cloud.files.url).connect() as connection:
        connection.exec_driver_sql("ANALYZE TABLE reading").all()
    size = cloud.ask(
        "SELECT SUM(data_length + index_length) FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_name = 'reading'"
    )
    return size / cloud.count()


def _load_alone(cloud: Cloud) -> float:
    """Rows a second of LOAD DATA into a bare table, in transactions of 5,000."""
    engine = open_engine(cloud.files.url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE OR REPLACE TABLE bare (register_id INT, at BIGINT, value BIGINT,"
            " quality SMALLINT, raw BIGINT, PRIMARY KEY (register_id, at))"
        )
    parts = [
        [(n % 1000, start + n // 1000 * MINUTE_MS, n, 0, None) for n in range(5000)]
        for start in range(0, 40 * 5 * MINUTE_MS, 5 * MINUTE_MS)
    ]
    begun = time.perf_counter()
    for rows in parts:
        with engine.begin() as connection:
            load(connection, "bare", "register_id, at, value, quality, raw", rows)
    took = time.perf_counter() - begun
    engine.dispose()
    return sum(map(len, parts)) / took


def _fill(cloud: Cloud, until_ms: int) -> None:
    """OLDER readings of the same registers, up to then, in order of time."""
    engine = open_engine(cloud.files.url)
    with engine.begin() as connection:
        ids = [row[0] for row in connection.exec_driver_sql("SELECT id FROM register ORDER BY id")]
    instants = OLDER // len(ids)
    at = until_ms - instants * MINUTE_MS
    for n in range(0, instants, 10):
        rows = [(id_, at + (n + m) * MINUTE_MS, n + m, 0, None) for m in range(10) for id_ in ids]
        with engine.begin() as connection:
            load(connection, "reading", "register_id, at, value, quality, raw", rows)
    engine.dispose()
