"""Databases behind one URL: ``mysql+pymysql://…`` (MariaDB, MySQL) or ``sqlite:///file``."""

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from common.errors import ConfigError

DIALECTS = {"mysql", "mariadb", "sqlite"}


def open_engine(url: str, *, pool_size: int = 8) -> Engine:
    """An engine for ``url``; raises ConfigError for a URL of another kind. Does not connect."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(f"database URL: {error}") from error
    backend = parsed.get_backend_name()
    if backend not in DIALECTS:
        raise ConfigError(f"database URL: {backend!r} is not one of {', '.join(sorted(DIALECTS))}")
    if backend == "sqlite":
        return _open_sqlite(url)
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        connect_args={"charset": "utf8mb4", "connect_timeout": 5},
    )


def _open_sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": 30, "autocommit": True})

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine
