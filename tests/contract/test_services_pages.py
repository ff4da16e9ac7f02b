"""A page deep in a long list is found by its key: MariaDB reads little more than the page."""

from collections.abc import Callable, Iterator, Sequence

import pytest
from sqlalchemy import Connection, text
from sqlalchemy import event as sql

from cloud.services import clocks, commands, configuration, events, ledger, metering
from cloud.services.store import Store
from common.registers import Kind
from tests.harness.masterdata import STREAM, MasterData

ROWS = 3000
PAGE = 20
READ = 12 * PAGE
"""Rows that may be read for a page: of the list itself, and of what stands beside it."""

SKIPPED = {"commands of one": ROWS // 2}
"""MariaDB goes backwards through the key on all commands of the register, without sorting them."""

FILL = (
    "INSERT INTO event (stream_id, seq, gateway_id, at, received_at, code, severity, text, data,"
    " device) SELECT {stream}, seq, {gateway}, 9000 - seq DIV 3, 9, 'leak',"
    " IF(seq % 500, 'info', 'alarm'), 'x', '{{}}', ''",
    "INSERT INTO rejected SELECT {stream} + seq % 2, seq, 'x', '{{}}', 1",
    "INSERT INTO loss SELECT {stream}, 10 * seq, 10 * seq + 5, 'x', 1, 2, 3",
    "INSERT INTO clock_span SELECT {stream}, 10 * seq, IF(seq % 4, seq, NULL), seq, 3",
    "INSERT INTO configuration SELECT {gateway}, seq, '', 'ana', '', 1, 'sent', '', 1, NULL, NULL",
    "INSERT INTO quarantine SELECT seq, 'topic', 'x', 1, 'x', 1",
    "INSERT INTO reading SELECT {register}, seq, seq, 0, seq",
    "INSERT INTO command SELECT LPAD(seq, 32, '0'), {gateway}, {register}, 1, 'failed', 'ana',"
    " NULL, '', 9000 + seq, 9, NULL, 0, NULL, '', NULL",
)
Ids = tuple[int, int, int]
Page = Callable[[Store, Ids], Sequence[object]]
PAGES: dict[str, Page] = {
    "events": lambda s, ids: events.recent(s, PAGE, (8500, ids[1], 1500)),
    "open alarms": lambda s, ids: events.alarms(s, PAGE, (8500, ids[1], 1500)),
    "commands": lambda s, _: commands.recent(s, None, PAGE, (10500, f"{1500:032}")),
    "commands of one": lambda s, ids: commands.recent(s, ids[2], PAGE, (10500, f"{1500:032}")),
    "quarantine": lambda s, _: ledger.quarantined(s, PAGE, 1500),
    "readings": lambda s, ids: metering.readings(s, ids[2], 0, 9000, PAGE, 1500),
    "rejections": lambda s, ids: ledger.rejections(s, ids[0], PAGE, (ids[1] + 1, 1500)),
    "versions": lambda s, ids: configuration.versions(s, ids[0], PAGE, 1500),
    "losses": lambda s, ids: ledger.losses(s, ids[0], STREAM, PAGE, 15000),
    "clocks": lambda s, ids: clocks.spans(s, ids[0], STREAM, PAGE, 15000),
}


@pytest.fixture
def mariadb_store(mariadb_url: str) -> Iterator[Store]:
    opened = Store(mariadb_url, pool_size=1)
    yield opened
    opened.close()


@pytest.fixture
def ids(mariadb_store: Store, mariadb_url: str) -> Ids:
    """A gateway, a stream of it and a register of it, all with long lists."""
    data = MasterData(mariadb_url)
    gateway = data.add_gateway(data.add_site())
    stream = data.add_stream(gateway)
    data.add_stream(gateway, stream="f" * 32)
    register = data.add_register(data.add_device(gateway), kind=Kind.OUTPUT, decimals=0)
    data.close()
    with mariadb_store._engine.begin() as connection:
        for statement in FILL:
            of = statement.format(gateway=gateway, stream=stream, register=register)
            connection.execute(text(f"{of} FROM seq_1_to_{ROWS}"))
        tables = (statement.split()[2] for statement in FILL)
        connection.execute(text(f"ANALYZE TABLE {', '.join(tables)}"))
    return gateway, stream, register


def test_a_page_deep_in_a_list_reads_little_more_than_the_page(
    mariadb_store: Store, ids: Ids
) -> None:
    read: dict[str, int] = {}

    @sql.listens_for(mariadb_store._engine, "before_cursor_execute")
    def forget(connection: Connection, *_: object) -> None:
        connection.connection.cursor().execute("FLUSH STATUS")

    @sql.listens_for(mariadb_store._engine, "after_cursor_execute")
    def add(connection: Connection, *_: object) -> None:
        cursor = connection.connection.cursor()
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        read[name] = read.get(name, 0) + sum(int(value) for _, value in cursor.fetchall())

    for name, page in PAGES.items():
        assert len(page(mariadb_store, ids)) == (PAGE if name != "open alarms" else 3), name
    assert {name: rows for name, rows in read.items() if rows > READ + SKIPPED.get(name, 0)} == {}
