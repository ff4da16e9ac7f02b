"""The database breaks an ingest transaction, in every way it knows: tried again, stored once."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pymysql
import pytest
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext

from cloud.services.ingest import Ingest
from cloud.storage.engine import Trouble
from cloud.storage.unit_of_work import Store
from common.messages.downlink import Ack
from common.messages.envelope import decode
from tests.harness.eventually import eventually
from tests.harness.mariadb import MariaDb
from tests.harness.metrics import counted
from tests.harness.says import NOW, STREAM, Gateway, catalog, power
from tests.harness.tables import rows_of

LOCK_WAIT_TIMEOUT, DEADLOCK, GONE_AWAY, LOST = 1205, 1213, 2006, 2013
HEAVY = 2000
"""Rows that the other session has changed: of a deadlock the lighter transaction is the victim."""

Session = "pymysql.Connection[pymysql.cursors.Cursor]"


class Broken:
    """A store whose errors and retries are noted, another session on its database, and a worker."""

    def __init__(self, url: str, port: int) -> None:
        self.retried: list[Trouble] = []
        self.store = Store(url, on_retry=self.retried.append)
        self.port = port
        self.errors: list[int] = []
        self.on_error: Callable[[], None] = lambda: None
        self.gateway = Gateway()
        self.worker = Ingest(self.store)
        self.worker.take([self.gateway.hello(), self.gateway.batch(1, catalog())], NOW)
        self.worker.take([self.gateway.batch(2, power(NOW, 2))], NOW)
        event.listen(self.store._engine, "handle_error", self._note)

    def _note(self, context: ExceptionContext) -> None:
        self.errors.append(int(context.original_exception.args[0]))
        self.on_error()

    @contextlib.contextmanager
    def session(self) -> Iterator["pymysql.cursors.Cursor"]:
        """Another session, in a transaction that is rolled back at the end."""
        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database="shared"
        )
        with connection, connection.cursor() as cursor:
            connection.begin()
            yield cursor
            connection.rollback()

    def waiting(self) -> int:
        """The connection that waits for a lock, once there is one."""

        def look() -> int:
            with self.session() as cursor:
                cursor.execute(
                    "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx"
                    " WHERE trx_state = 'LOCK WAIT'"
                )
                found = cursor.fetchone()
            return int(found[0]) if found else 0

        return eventually(look, 10, "the worker waits for a lock")

    def take_meanwhile(self, *disturbances: Callable[[], None]) -> None:
        """A batch is taken in a thread, while it is disturbed; then it must be there, once."""
        stored, twice = counted("entries_committed_total"), counted("entries_duplicate_total")
        batch = self.gateway.batch(3, power(NOW + 1, 3), power(NOW + 2, 4))
        with ThreadPoolExecutor(1) as threads:
            outcome = threads.submit(self.worker.take, [batch], NOW)
            for disturb in disturbances:
                disturb()
            [answer] = outcome.result(30).publications
        assert decode(answer.payload, Ack) == Ack(STREAM, 3, 4)
        assert counted("entries_committed_total") == stored + 2
        assert counted("entries_duplicate_total") == twice
        assert rows_of(self.store, "SELECT first, last FROM ledger") == [(1, 4)]
        assert rows_of(self.store, "SELECT value FROM reading ORDER BY at") == [(2,), (3,), (4,)]


@pytest.fixture
def broken(mariadb: MariaDb, mariadb_url: str) -> Iterator[Broken]:
    found = Broken(mariadb_url, mariadb.port)
    yield found
    found.store.close()


def test_a_lock_that_is_not_given_in_time_is_waited_for_again(broken: Broken) -> None:
    with broken.session() as other:
        other.execute("SET GLOBAL innodb_lock_wait_timeout = 1")
        broken.store.close()  # the next connection has this time-out
        other.execute("SELECT * FROM gateway FOR UPDATE")
        broken.on_error = other.connection.rollback
        try:
            broken.take_meanwhile()
        finally:
            other.execute("SET GLOBAL innodb_lock_wait_timeout = 50")
    assert broken.errors == [LOCK_WAIT_TIMEOUT]
    assert broken.retried == [Trouble.LOCK_TIMEOUT]


def test_the_victim_of_a_deadlock_takes_its_batch_again(broken: Broken) -> None:
    """The other session holds what the worker needs last, and then wants what it has first."""
    with broken.session() as other:
        rows = ",".join(f"('t', 0, '', 'heavy', {NOW + n})" for n in range(HEAVY))
        other.execute(
            "INSERT INTO quarantine (topic, size, payload, reason, received_at) VALUES " + rows
        )
        other.execute("SELECT * FROM latest FOR UPDATE")

        def cross() -> None:
            broken.waiting()
            other.execute("SELECT * FROM gateway FOR UPDATE")
            other.connection.rollback()

        broken.take_meanwhile(cross)
    assert broken.errors == [DEADLOCK]
    assert broken.retried == [Trouble.DEADLOCK]


def test_a_connection_that_is_killed_in_the_transaction_is_made_anew(broken: Broken) -> None:
    with broken.session() as other:
        other.execute("SELECT * FROM latest FOR UPDATE")

        def kill() -> None:
            victim = broken.waiting()
            other.execute(f"KILL CONNECTION {victim}")
            eventually(lambda: broken.errors, 10, "the worker was told")
            other.connection.rollback()

        broken.take_meanwhile(kill)
    assert broken.errors == [LOST]
    assert broken.retried == [Trouble.CONNECTION]


def test_a_connection_that_is_gone_when_it_is_needed_is_made_anew(broken: Broken) -> None:
    with broken.store._engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver._sock.shutdown(socket.SHUT_RDWR)
    broken.take_meanwhile()
    assert broken.errors[0] == GONE_AWAY
