"""Whatever version wrote a row, in whatever table: the newest has it, and goes on with it.

One database goes through all versions; each of them puts rows into all the tables that it has.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, Table, insert, select
from sqlalchemy.dialects import mysql

from cloud.domain.consumption import Step
from cloud.services import accounts, events, findings, gateways, inventory, metering, points
from cloud.services.rollups import roll_up
from cloud.services.watching import watch
from cloud.storage.engine import open_engine
from cloud.storage.migrations import _config
from cloud.storage.schema import metadata
from cloud.storage.unit_of_work import Store
from common.clock import to_datetime

REVISIONS = [one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]
ROWS = 3

AT = 1_780_000_000_000
DAY = date(2026, 6, 1)
MEANT: dict[str, str | int | None] = {
    "timezone": "UTC",
    "kind": "volume",
    "medium": 6,
    "quality": 0,
    "role": "viewer",
    "active": 1,
    "severity": "alarm",
    "data": "{}",
    "detail": "{}",
    "analyses": "{}",
    "evidence": "{}",
    "multiplier": "1",
    "status": None,
    "parent_id": None,
    "end_at": None,
    "final_index": None,
    "factor": "1",
    "of_point_id": 7 * ROWS + 1,  # of an older version: no point is made of itself
}
"""By column: what has to mean something, or to be nothing, where the program reads it."""

Rows = dict[str, list[dict[str, Any]]]


def value(column: Column[Any], n: int) -> object:
    """What row ``n`` has: unique where that is wanted, and what the row it refers to has there."""
    name = column.name
    kind = bool if isinstance(column.type, mysql.TINYINT) else column.type.python_type
    if name in MEANT and (column.nullable or MEANT[name] is not None):
        return MEANT[name]
    for key in column.foreign_keys:
        return value(key.column, n)
    made: dict[type, object] = {
        int: AT + n * 1000 if name == "at" or name.endswith("_at") else n,
        bool: n % 2 == 0,
        date: DAY + timedelta(days=n),
        bytes: b"%d" % n,
        str: f"{n} {name}"[: getattr(column.type, "length", None)],
    }
    return made[kind]


def reflected(connection: Connection) -> list[Table]:
    """The tables as they stand in the database, what is referred to first."""
    found = MetaData()
    found.reflect(connection)
    return [one for one in found.sorted_tables if one.name != "alembic_version"]


def fill(connection: Connection, tables: Sequence[Table], numbers: Sequence[int]) -> None:
    for table in tables:
        rows = [{one.name: value(one, n) for one in table.columns} for n in numbers]
        connection.execute(insert(table), rows)


def contents(connection: Connection, tables: Sequence[Table]) -> Rows:
    return {
        table.name: [dict(row._mapping) for row in connection.execute(select(table))]
        for table in tables
    }


def lost(before: Rows, after: Rows) -> Rows:
    """The rows of before, by table, that are not there any more or have another value."""

    def counted(rows: list[dict[str, Any]], columns: list[str]) -> Counter[tuple[Any, ...]]:
        return Counter(tuple(row[name] for name in columns) for row in rows)

    found = {}
    for table, rows in before.items():
        now = after[table]
        columns = [name for name in rows[0] if name in now[0]] if now else list(rows[0])
        gone = counted(rows, columns) - counted(now, columns)
        found[table] = [dict(zip(columns, row, strict=True)) for row in gone]
    return {table: rows for table, rows in found.items() if rows}


def answers(store: Store) -> dict[str, int]:
    """The program goes on with what there is; how much it finds of what it shows, by table."""
    roll_up(store)
    assert watch(store, AT) > 0
    for point in points.points(store):
        findings.findings(store, point.id)
        [day] = points.consumption(store, point.id, Step.DAY, to_datetime(AT - 1), to_datetime(AT))
        assert day.value is None
    return {
        "site": len(inventory.sites(store)),
        "gateway": len(gateways.gateways(store, AT)),
        "device": len(metering.meters(store, AT)),
        "account": len(accounts.accounts(store)),
        "event": len(events.recent(store, limit=500)),
        "metering_point": len(points.points(store)),
    }


def upgrade(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def test_rows_of_every_version_are_there_in_the_newest(empty_url: str) -> None:
    engine = open_engine(empty_url)
    before: Rows = {}
    full: set[str] = set()  # in which a migration has put what there can be
    for place, revision in enumerate(REVISIONS):
        with engine.begin() as connection:
            upgrade(connection, revision)
        with engine.begin() as connection:
            tables = reflected(connection)
            after = contents(connection, tables)
            assert set(before) <= set(after), f"{revision}: what became of the rows of a table?"
            assert lost(before, after) == {}, revision
            full |= {name for name, rows in after.items() if rows and name not in before}
            free = [table for table in tables if table.name not in full]
            fill(connection, free, range(place * ROWS + 1, (place + 1) * ROWS + 1))
            before = contents(connection, tables)
            assert all(before.values())
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()
    store = Store(empty_url)
    shown = answers(store)
    store.close()
    assert shown == {name: len(before[name]) for name in shown}
