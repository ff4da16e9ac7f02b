"""The bare peer of the edge agent: commits to SQLite, publishes, settles. Nothing else.

``python -m tests.bench.bare_edge PORT DATABASE POLLS_A_SECOND READINGS_A_POLL``
"""

import asyncio
import socket
import sqlite3
import sys
import time

import aiomqtt
import msgspec

from common import topics
from common.messages.batch import Entry, pack
from common.messages.downlink import Ack, Command
from common.messages.envelope import decode
from common.messages.uplink import CommandReport, Readings, Value

GATEWAY = "bare"
NODELAY = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
STREAM = "0" * 32


def open_journal(path: str) -> sqlite3.Connection:
    """A table of entries on the disk: WAL, and every commit synced."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE journal (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    return database


async def poll(client: aiomqtt.Client, database: sqlite3.Connection, hertz: int, size: int) -> None:
    """``hertz`` times a second: ``size`` readings are committed, then published."""
    loop = asyncio.get_running_loop()
    due, seq = loop.time(), 0
    while True:
        due += 1 / hertz
        wake: asyncio.Future[None] = loop.create_future()
        loop.call_at(due, wake.set_result, None)
        await wake
        seq += 1
        values = [Value(no, seq * size + no, 0, seq) for no in range(1, size + 1)]
        body = msgspec.json.encode(Readings(time.time_ns() // 1_000_000, values))
        database.execute("INSERT INTO journal VALUES (?, ?)", (seq, body))
        batch = pack(STREAM, [Entry(seq, msgspec.Raw(body))])
        await client.publish(topics.up(GATEWAY, "journal"), batch, qos=1)


async def answer(client: aiomqtt.Client, database: sqlite3.Connection) -> None:
    """Settle what is acknowledged; answer a command with a report."""
    async for message in client.messages:
        assert isinstance(message.payload, bytes)
        if message.topic.matches(topics.down(GATEWAY, "ack")):
            ack = decode(message.payload, Ack)
            database.execute("DELETE FROM journal WHERE seq BETWEEN ? AND ?", (ack.first, ack.last))
        else:
            command = decode(message.payload, Command)
            report = CommandReport(
                time.time_ns() // 1_000_000, command.id, "succeeded", command.value
            )
            body = msgspec.Raw(msgspec.json.encode(report))
            batch = pack(STREAM, [Entry(1, body)])
            await client.publish(topics.up(GATEWAY, "journal"), batch, qos=1)


async def main() -> None:
    port, path, hertz, size = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    database = open_journal(path)
    async with aiomqtt.Client("127.0.0.1", port, socket_options=NODELAY) as client:
        for leaf in ("ack", "command"):
            await client.subscribe(topics.down(GATEWAY, leaf), qos=1)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(answer(client, database))
            if hertz:
                tasks.create_task(poll(client, database, hertz, size))


if __name__ == "__main__":
    asyncio.run(main())
