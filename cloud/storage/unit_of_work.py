"""One transaction, and the repositories that work in it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, QueuePool, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from cloud.storage.accounts import Accounts
from cloud.storage.audit import Audit
from cloud.storage.books import Books
from cloud.storage.clocks import Clocks
from cloud.storage.commands import Commands
from cloud.storage.configurations import Configurations
from cloud.storage.corrections import Corrections
from cloud.storage.coverage import Coverage
from cloud.storage.definitions import Definitions
from cloud.storage.engine import READ_ONLY, StorageAway, Trouble, open_engine, translate
from cloud.storage.events import Events
from cloud.storage.figures import Figures
from cloud.storage.findings import Findings
from cloud.storage.gaps import Gaps
from cloud.storage.gateways import Gateways
from cloud.storage.indexes import Indexes
from cloud.storage.inventory import Inventory
from cloud.storage.kept import Kept
from cloud.storage.ledger import Ledger
from cloud.storage.losses import Losses
from cloud.storage.messages import Messages
from cloud.storage.meters import Meters
from cloud.storage.newest import Newest
from cloud.storage.overview import Overview
from cloud.storage.partitions import Partitions
from cloud.storage.points import Points
from cloud.storage.quarantine import Quarantine
from cloud.storage.readings import Readings
from cloud.storage.rollups import Rollups
from cloud.storage.rules import Rules
from cloud.storage.statements import Statements
from cloud.storage.tariffs import Tariffs
from cloud.storage.telegrams import Telegrams
from common.errors import Retryable

Result = TypeVar("Result")

ATTEMPTS = 6


class UnitOfWork:
    """The repositories over one open transaction. Not to be used after it, or in two threads.

    ``after_commit`` is called when what was done is committed, and only then: for counting it.
    """

    def __init__(self, connection: Connection, generation: int) -> None:
        self.generation = generation
        self.after_commit: list[Callable[[], None]] = []
        self.accounts = Accounts(connection)
        self.audit = Audit(connection)
        self.books = Books(connection)
        self.clocks = Clocks(connection)
        self.commands = Commands(connection)
        self.configurations = Configurations(connection)
        self.corrections = Corrections(connection)
        self.coverage = Coverage(connection)
        self.definitions = Definitions(connection)
        self.events = Events(connection)
        self.figures = Figures(connection)
        self.findings = Findings(connection)
        self.gaps = Gaps(connection)
        self.gateways = Gateways(connection)
        self.indexes = Indexes(connection)
        self.inventory = Inventory(connection)
        self.kept = Kept(connection)
        self.ledger = Ledger(connection)
        self.losses = Losses(connection)
        self.messages = Messages(connection)
        self.meters = Meters(connection)
        self.newest = Newest(connection)
        self.overview = Overview(connection)
        self.partitions = Partitions(connection)
        self.points = Points(connection)
        self.quarantine = Quarantine(connection)
        self.readings = Readings(connection)
        self.rollups = Rollups(connection)
        self.rules = Rules(connection)
        self.statements = Statements(connection)
        self.tariffs = Tariffs(connection)
        self.telegrams = Telegrams(connection)


class Store:
    """The database. Safe to share between threads.

    Every method raises StorageAway (Retryable) when the database is away, locked or deadlocked, and
    Unstorable (Permanent) when it refuses a value. ``generation`` grows with every connection
    made: what a process remembers of the database's content holds for one generation only,
    since a database that was restored meanwhile mostly comes with new connections. Where it does
    not, its ledger has fewer entries than ``Ingest`` remembers. ``on_retry`` hears why a
    transaction is tried again.
    """

    def __init__(
        self, url: str, *, pool_size: int = 8, on_retry: Callable[[Trouble], None] = lambda _: None
    ) -> None:
        self._engine = open_engine(url, pool_size=pool_size)
        self._on_retry = on_retry
        self._generation = 0
        event.listen(self._engine, "connect", self._count_connection)

    def _count_connection(self, *_: object) -> None:
        self._generation += 1

    @contextmanager
    def begin(self) -> Iterator[UnitOfWork]:
        """A transaction that commits at the end, and rolls back on any error."""
        try:
            with self._engine.begin() as connection:
                uow = UnitOfWork(connection, self._generation)
                yield uow
        except (DBAPIError, PoolTimeout) as error:
            raise translate(error) from error
        for call in uow.after_commit:
            call()

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """A transaction for reading; on SQLite it waits for no writer. Never commits."""
        with self._reading({READ_ONLY: True}) as uow:
            yield uow

    @contextmanager
    def snapshot(self) -> Iterator[UnitOfWork]:
        """As ``read``, and all that is read is of one moment."""
        options: dict[str, object] = {READ_ONLY: True}
        if self._engine.name != "sqlite":  # where it always is
            options["isolation_level"] = "REPEATABLE READ"
        with self._reading(options) as uow:
            yield uow

    @contextmanager
    def _reading(self, options: Mapping[str, object]) -> Iterator[UnitOfWork]:
        try:
            with self._engine.connect().execution_options(**options) as connection:
                yield UnitOfWork(connection, self._generation)
        except (DBAPIError, PoolTimeout) as error:
            raise translate(error) from error

    def run(self, work: Callable[[UnitOfWork], Result]) -> Result:
        """``work`` in a transaction of its own, up to six times while errors are Retryable."""
        attempts = Retrying(
            retry=retry_if_exception_type(Retryable),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.02, max=1),
            before_sleep=self._tell,
            reraise=True,
        )

        def attempt() -> Result:
            with self.begin() as uow:
                return work(uow)

        return attempts(attempt)

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many there may be."""
        pool = self._engine.pool
        if not isinstance(pool, QueuePool):
            return 0, 0
        return pool.checkedout(), pool.size() + pool._max_overflow

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database."""
        url = self._engine.url
        return Path(url.database) if self._engine.name == "sqlite" and url.database else None

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, StorageAway):
            self._on_retry(error.why)

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()
