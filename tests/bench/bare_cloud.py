"""The bare peer of the cloud: inserts and commits what comes, then acknowledges. Nothing else.

``python -m tests.bench.bare_cloud ingest PORT DATABASE_PORT DATABASE`` runs until it is stopped.
``python -m tests.bench.bare_cloud command PORT DATABASE_PORT DATABASE COUNT`` prints how many
milliseconds each of COUNT commands took, one a line.
"""

import asyncio
import sys
import time

import aiomqtt
import pymysql

from common import topics
from common.ids import new_command_id
from common.messages.batch import unpack
from common.messages.downlink import Ack, Command
from common.messages.envelope import encode
from common.messages.uplink import CommandReport, decode_body
from tests.bench.bare_edge import GATEWAY, NODELAY

TABLES = (
    "CREATE TABLE reading (register INT, at BIGINT, value BIGINT, quality SMALLINT, raw BIGINT,"
    " PRIMARY KEY (register, at))",
    "CREATE TABLE command (id CHAR(32) CHARACTER SET ascii PRIMARY KEY, state VARCHAR(16))",
)


async def ingest(
    client: aiomqtt.Client, database: "pymysql.Connection[pymysql.cursors.Cursor]"
) -> None:
    """One transaction a message, and its ack after the commit."""
    cursor = database.cursor()
    async for message in client.messages:
        assert isinstance(message.payload, bytes)
        batch = unpack(message.payload)
        rows = [
            f"({value.no},{body.at},{value.value},{value.quality},{value.raw})"
            for _, body in batch.readings()
            for value in body.r
        ]
        cursor.execute("INSERT IGNORE INTO reading VALUES " + ",".join(rows))
        database.commit()
        ack = Ack(batch.stream, batch.first, batch.last)
        await client.publish(topics.down(GATEWAY, "ack"), encode(ack), qos=1)


async def command(
    client: aiomqtt.Client, database: "pymysql.Connection[pymysql.cursors.Cursor]", count: int
) -> None:
    """Insert and commit, publish, wait for the report, update and commit; again and again."""
    cursor = database.cursor()
    reports = aiter(client.messages)
    for number in range(count):
        begun = time.perf_counter()
        order = Command(new_command_id(), "module", "output", number % 2, 0, 2**52)
        cursor.execute("INSERT INTO command VALUES (%s, 'pending')", (order.id,))
        database.commit()
        await client.publish(topics.down(GATEWAY, "command"), encode(order), qos=1)
        message = await anext(reports)
        assert isinstance(message.payload, bytes)
        report = decode_body(unpack(message.payload).others[0].body)
        assert isinstance(report, CommandReport)
        cursor.execute("UPDATE command SET state = %s WHERE id = %s", (report.state, report.id))
        database.commit()
        sys.stdout.write(f"{(time.perf_counter() - begun) * 1000}\n")


async def main() -> None:
    what, port, database_port, name = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    database = pymysql.connect(host="127.0.0.1", port=database_port, user="root", database=name)
    for statement in TABLES:
        database.cursor().execute(statement)
    async with aiomqtt.Client("127.0.0.1", port, socket_options=NODELAY) as client:
        await client.subscribe(topics.up(GATEWAY, "journal"), qos=1)
        if what == "ingest":
            await ingest(client, database)
        else:
            await command(client, database, int(sys.argv[5]))


if __name__ == "__main__":
    asyncio.run(main())
