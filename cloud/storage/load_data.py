"""Rows of integers by ``LOAD DATA LOCAL``: a third less work for the server than ``INSERT``.

A driver's own way is to open whatever file the server asks for. This one opens none: the server
gets the rows, whatever name it asks by. Outside of ``load`` the driver refuses to be asked at all
(its ``local_infile`` stays off; only the protocol's flag is on).
"""

from collections.abc import Sequence
from typing import Any

import pymysql
from pymysql.constants import CLIENT, COMMAND
from pymysql.protocol import OKPacketWrapper
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from cloud.storage.upsert import literal_lines

FLAG: int = CLIENT.LOCAL_FILES
PACKET = 1_048_576

_TAKES = "takes LOAD DATA LOCAL"

DISABLED = {1148, 3948, 4166}
"""The server was told meanwhile to take no files (MySQL and MariaDB, old and new)."""


def can_load(connection: Connection) -> bool:
    """Whether the server takes rows in this way. It is asked once a connection."""
    if _TAKES not in connection.info:
        is_asked = connection.dialect.driver == "pymysql"
        takes = is_asked and connection.exec_driver_sql("SELECT @@local_infile").scalar()
        connection.info[_TAKES] = bool(takes)
    return bool(connection.info[_TAKES])


def load(
    connection: Connection, table: str, columns: str, rows: Sequence[tuple[int | None, ...]]
) -> int:
    """Insert the rows; what is there already stays as it is. Returns how many were not there.

    Raises ValueError for anything but integers, and what SQLAlchemy raises.
    """
    driver: Any = connection.connection.dbapi_connection
    statement = (
        f"LOAD DATA LOCAL INFILE 'rows' IGNORE INTO TABLE {table}"
        f" CHARACTER SET ascii FIELDS TERMINATED BY ',' ({columns})"
    )
    try:
        return _exchange(driver, statement, literal_lines(rows))
    except pymysql.Error as error:
        code = error.args[0] if error.args else None
        refused: Any = error
        lost = connection.dialect.is_disconnect(refused, driver, None)
        if lost or code in DISABLED:
            # The next connection asks anew what the server takes.
            connection.invalidate(error)
        raise DBAPIError.instance(
            statement, None, error, pymysql.Error, connection_invalidated=lost
        ) from error


def _exchange(driver: Any, statement: str, data: bytes) -> int:
    """The protocol's LOCAL INFILE request (MySQL internals, "Protocol::LOCAL_INFILE_Request")."""
    driver._execute_command(COMMAND.COM_QUERY, statement)
    if not driver._read_packet().is_load_local_packet():
        raise pymysql.InternalError("the server did not ask for the rows of LOAD DATA LOCAL")
    for start in range(0, len(data), PACKET):
        driver.write_packet(data[start : start + PACKET])
    driver.write_packet(b"")
    inserted: int = OKPacketWrapper(driver._read_packet()).affected_rows
    return inserted
