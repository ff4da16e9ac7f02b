"""The bare peer of a drain: SQLite → MQTT → MariaDB, acknowledged after the commit. Nothing else.

Batches of 500 entries, 16 of them on their way; each ack names its batch, and is written down. The
formats are the peer's own, so that it stays what it is.

``python -m tests.bench.bare_drain cloud PORT DATABASE_PORT DATABASE`` runs until it is stopped.
``python -m tests.bench.bare_drain edge PORT JOURNAL`` prints how many seconds it took.
"""

import asyncio
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import aiomqtt
import msgspec
import pymysql

from common.clock import ManualClock
from tests.bench.backlog import DEVICES, METERS, REGISTERS, measured
from tests.bench.bare_edge import NODELAY, open_journal

BATCH, WINDOW = 500, 16
UP, DOWN = "bare/up", "bare/down"
BEGAN_MS = 1_763_900_000_000
TABLE = (
    "CREATE TABLE reading (register INT, at BIGINT, value BIGINT, quality SMALLINT, raw BIGINT,"
    " PRIMARY KEY (register, at))"
)


class Entry(msgspec.Struct, array_like=True):
    """A device's readings of one instant: number, value, quality, raw."""

    at: int
    r: list[tuple[int, int | None, int, int | None]]


class Batch(msgspec.Struct, array_like=True):
    first: int
    last: int
    entries: list[Entry]


def fill_bare(path: Path, readings: int) -> None:
    """The readings of ``backlog.fill``, in a journal of this peer's."""
    places = range(1, REGISTERS + 1, len(METERS))
    nos = [list(range(first, first + len(METERS))) for first in places]
    assert len(nos) == DEVICES
    with closing(open_journal(str(path))) as file:
        file.execute("CREATE TABLE settled (first INTEGER PRIMARY KEY, last INTEGER NOT NULL)")
        file.execute("BEGIN")
        for minute in measured(nos, ManualClock(BEGAN_MS), readings // REGISTERS):
            rows = [[one.at, [list(msgspec.structs.astuple(v)) for v in one.r]] for one in minute]
            bodies = [(msgspec.json.encode(row),) for row in rows]
            file.executemany("INSERT INTO journal (body) VALUES (?)", bodies)
        file.execute("COMMIT")


async def edge(port: int, path: str) -> None:
    """Send all that is in the journal; print the seconds from connect to the last ack."""
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("PRAGMA synchronous = FULL")
    window = asyncio.Semaphore(WINDOW)
    async with aiomqtt.Client("127.0.0.1", port, socket_options=NODELAY) as client:
        client.pending_calls_threshold = 1000
        begun = time.perf_counter()
        await client.subscribe(DOWN, qos=1)

        async def settle() -> None:
            async for message in client.messages:
                file.execute(
                    "INSERT INTO settled VALUES (?, ?)", msgspec.json.decode(_raw(message))
                )
                window.release()

        async with asyncio.TaskGroup() as tasks:
            settling = tasks.create_task(settle())
            last = 0
            while rows := file.execute(
                "SELECT seq, body FROM journal WHERE seq > ? ORDER BY seq LIMIT ?", (last, BATCH)
            ).fetchall():
                last = rows[-1][0]
                payload = b"[%d,%d,[%b]]" % (rows[0][0], last, b",".join(body for _, body in rows))
                await window.acquire()
                tasks.create_task(client.publish(UP, payload, qos=1))
            for _ in range(WINDOW):
                await window.acquire()
            settling.cancel()
    sys.stdout.write(f"{time.perf_counter() - begun}\n")


async def cloud(port: int, database_port: int, name: str) -> None:
    """Insert and commit what has come, in one transaction; then acknowledge each batch."""
    database = pymysql.connect(host="127.0.0.1", port=database_port, user="root", database=name)
    cursor = database.cursor()
    cursor.execute(TABLE)
    arrived: asyncio.Queue[Batch] = asyncio.Queue()
    decoder = msgspec.json.Decoder(Batch)

    def store(batches: list[Batch]) -> None:
        for batch in batches:
            rows = [
                f"({no},{entry.at},{value},{quality},{'NULL' if raw is None else raw})"
                for entry in batch.entries
                for no, value, quality, raw in entry.r
            ]
            cursor.execute("INSERT IGNORE INTO reading VALUES " + ",".join(rows))
        database.commit()

    async def work(client: aiomqtt.Client, tasks: asyncio.TaskGroup) -> None:
        while True:
            batches = [await arrived.get()]
            while not arrived.empty():
                batches.append(arrived.get_nowait())
            await asyncio.to_thread(store, batches)
            for batch in batches:
                ack = msgspec.json.encode((batch.first, batch.last))
                tasks.create_task(client.publish(DOWN, ack, qos=1))

    async with aiomqtt.Client("127.0.0.1", port, socket_options=NODELAY) as client:
        client.pending_calls_threshold = 1000
        await client.subscribe(UP, qos=1)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(work(client, tasks))
            async for message in client.messages:
                arrived.put_nowait(decoder.decode(_raw(message)))


def _raw(message: aiomqtt.Message) -> bytes:
    assert isinstance(message.payload, bytes)
    return message.payload


if __name__ == "__main__":
    if sys.argv[1] == "edge":
        asyncio.run(edge(int(sys.argv[2]), sys.argv[3]))
    else:
        asyncio.run(cloud(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
