"""Databases behind one URL: ``mysql+pymysql://…`` (MariaDB, MySQL) or ``sqlite:///file``."""

import time
from enum import StrEnum

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from cloud.storage import load_data, packed
from common.errors import ConfigError, InMetterError, Permanent, Retryable

DIALECTS = {"mysql", "mariadb", "sqlite"}
IDLE_S = 2.0
REFUSALS = {1044, 1045, 1049, 1698}
"""MariaDB's ways to say that user, password or database are not what they should be."""

SQLITE_REFUSALS = {"SQLITE_CANTOPEN", "SQLITE_NOTADB", "SQLITE_PERM", "SQLITE_READONLY"}
READ_ONLY = "inmetter_read_only"
"""Execution option of a connection: its transaction will not write."""


class Trouble(StrEnum):
    """Why the database did not do it now."""

    DEADLOCK = "deadlock"
    LOCK_TIMEOUT = "lock_timeout"
    CONNECTION = "connection"
    POOL = "pool"
    OTHER = "other"


TROUBLES = {
    1213: Trouble.DEADLOCK,
    1205: Trouble.LOCK_TIMEOUT,
    2002: Trouble.CONNECTION,
    2003: Trouble.CONNECTION,
}


class StorageAway(Retryable):
    """The database did not do it now: away, locked, full, or not of this version's structure."""

    def __init__(self, text: str, why: Trouble = Trouble.OTHER) -> None:
        super().__init__(text)
        self.why = why


class Unstorable(Permanent):
    """The database refused a value, and would refuse it again."""


def open_engine(url: str, *, pool_size: int = 8, timeout_s: int = 60) -> Engine:
    """An engine for ``url``; raises ConfigError for a URL of another kind. Does not connect.

    A statement that takes longer than ``timeout_s`` (not on SQLite) loses its connection, and so
    does one whose client has said nothing for so long: where a network forgets a connection, the
    server would keep its transaction, and with it the gateways' locks, for hours.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        if backend not in DIALECTS:
            kinds = ", ".join(sorted(DIALECTS))
            raise ConfigError(f"database URL: {backend!r} is not one of {kinds}")
        if backend == "sqlite":
            return _open_sqlite(parsed)
        engine = create_engine(
            parsed.set(drivername=f"{backend}+pymysql"),
            pool_size=pool_size,
            max_overflow=pool_size,
            # Every use ends with a commit or a rollback of its own; another one costs a round trip.
            pool_reset_on_return=None,
            isolation_level="READ COMMITTED",
            connect_args={
                "charset": "utf8mb4",
                "client_flag": load_data.FLAG,
                "connect_timeout": 5,
                "read_timeout": timeout_s,
                "write_timeout": timeout_s,
                "init_command": f"SET SESSION wait_timeout = {timeout_s:d},"
                f" group_concat_max_len = {packed.LONGEST}",
            },
        )
    except ArgumentError as error:
        raise ConfigError(f"database URL: {error}") from error
    _ping_the_idle(engine)
    return engine


def _ping_the_idle(engine: Engine) -> None:
    """Have a connection asked whether it lives, if it lay idle: the server may have hung up.

    In steady traffic that would cost each transaction a round trip, and an error is retried.
    """

    @event.listens_for(engine, "checkin")
    def note(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info["used_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        if time.monotonic() - record.info.get("used_at", time.monotonic()) > IDLE_S:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError from error


def _open_sqlite(url: URL) -> Engine:
    if not url.database or ":memory:" in url.database:
        raise ConfigError("database URL: SQLite needs a file: sqlite:///path")
    # isolation_level None: the driver begins nothing by itself; SQLAlchemy's begin event does.
    engine = create_engine(url, connect_args={"timeout": 30, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get(READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def translate(error: DBAPIError | PoolTimeout) -> InMetterError:
    """Our error for the driver's: Unstorable for a refused value, else StorageAway.

    Only what is surely the value's fault is permanent, since entries are rejected for it.
    """
    if isinstance(error, DataError | IntegrityError):
        return Unstorable(f"database: {str(error.orig)[:500]}")
    text = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    return StorageAway(f"database: {text[:500]}", _trouble(error))


def _trouble(error: DBAPIError | PoolTimeout) -> Trouble:
    if isinstance(error, PoolTimeout):
        return Trouble.POOL
    if error.connection_invalidated:
        return Trouble.CONNECTION
    reason = error.orig
    if getattr(reason, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
        return Trouble.LOCK_TIMEOUT
    number = reason.args[0] if reason and reason.args else 0
    return TROUBLES.get(number, Trouble.OTHER)


def not_opened(error: DBAPIError, url: str) -> InMetterError:
    """As ``translate``, where the database at ``url`` is opened: with where it is, without the
    password. ConfigError when waiting for it would be in vain."""
    where, reason = make_url(url).render_as_string(hide_password=True), error.orig
    number = reason.args[0] if reason and reason.args else None
    if number in REFUSALS or getattr(reason, "sqlite_errorname", "") in SQLITE_REFUSALS:
        return ConfigError(f"database {where}: {str(reason)[:500]}")
    found = translate(error)
    return StorageAway(f"{where}: {found}", found.why) if isinstance(found, StorageAway) else found
