"""The migrations lead exactly to the tables that the code uses."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from cloud.services.rollups import roll_up
from cloud.storage.engine import open_engine
from cloud.storage.migrations import _config, is_current, migrate
from cloud.storage.schema import metadata
from cloud.storage.unit_of_work import Store


def test_migrating_from_nothing_gives_exactly_the_tables(empty_url: str) -> None:
    assert not is_current(empty_url)
    migrate(empty_url)
    assert is_current(empty_url)
    engine = open_engine(empty_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []


def test_migrating_again_changes_nothing(empty_url: str) -> None:
    migrate(empty_url)
    migrate(empty_url)
    assert is_current(empty_url)


def test_the_views_go_and_come_again_with_their_step(empty_url: str) -> None:
    migrate(empty_url)
    engine, config = open_engine(empty_url), _config()

    def views() -> list[str]:
        return inspect(engine).get_view_names()

    there = views()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0011")
    assert (len(there), views()) == (7, [])
    migrate(empty_url)
    assert sorted(views()) == sorted(there)
    engine.dispose()


FIRST_VERSION = (
    "INSERT INTO site (id, `key`, name, timezone) VALUES (1, 'hall', 'Hall', 'UTC')",
    "INSERT INTO gateway (id, site_id, `key`, name, agent, online, boot, session)"
    " VALUES (1, 1, 'gw-1', 'Gateway', '', 0, 0, 0)",
    "INSERT INTO stream (id, gateway_id, stream, first_kept, next_seq, catalog_seq, created_at)"
    " VALUES (1, 1, 'abc', 1, 20, 1, 5)",
    "INSERT INTO ledger (stream_id, first, `last`) VALUES (1, 1, 4), (1, 8, 9)",
    "INSERT INTO device (id, gateway_id, `key`, name, driver, model, active)"
    " VALUES (1, 1, 'meter', 'Meter', 'mbus', '', 1)",
    "INSERT INTO register (id, device_id, `key`, kind, decimals, medium, name, interval_s,"
    " writable, active) VALUES (1, 1, 'a', 'power', 1, 2, 'A', 60, 0, 1),"
    " (2, 1, 'b', 'power', 1, 2, 'B', 60, 0, 1)",
    "INSERT INTO event (stream_id, seq, gateway_id, device, at, received_at, code, severity, text,"
    " data) VALUES (1, 2, 1, 'meter', 700, 800, 'x', 'info', '', '{}')",
    "INSERT INTO reading (register_id, at, value, quality) VALUES (1, 700, 1, 0),"
    " (1, 900, 2, 0), (1, 7300000, 5, 1)",
)


def test_the_ledger_of_the_first_version_goes_on(empty_url: str) -> None:
    engine = open_engine(empty_url)
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in FIRST_VERSION:
            connection.execute(text(statement))
        command.upgrade(config, "0002")
        command.downgrade(config, "0001")
    engine.dispose()
    assert not is_current(empty_url)
    migrate(empty_url)
    assert is_current(empty_url)
    store = Store(empty_url)
    with store.read() as uow:
        [row] = uow.ledger.streams_of(1)
        added = uow.coverage.added_at([1, 2])
        [event] = uow.overview.events(5)
        clocks = uow.clocks.spans(1, 5)
    assert roll_up(store) == 2
    with store.read() as uow:
        hours = uow.rollups.hours([1], 0, 99_000_000)
    store.close()
    assert [(one.at, one.low, one.high, one.readings) for one in hours] == [
        (0, 1, 2, 2),
        (7_200_000, 5, 5, 1),
    ]
    assert [(gap.first, gap.last) for gap in row.gaps()] == [(5, 7), (10, 19)]
    [(migrated_at, tail_since)] = {(gap.since, row.tail_since) for gap in row.gaps()}
    assert migrated_at == tail_since == added[2]
    assert added == {1: 700, 2: migrated_at}
    assert (event.at, event.appended_at, event.received_at) == (700, None, 800)
    assert (clocks, row.clock_changes) == ([], 0)
    assert (row.lossy, row.next_seq, list(row.committed)) == (False, 20, [(1, 4), (8, 9)])
