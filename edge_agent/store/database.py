"""The gateway's one SQLite file, and the one thread that writes to it.

Group commit: whatever is queued while a commit is under way goes into the next one together.
Nothing waits for company: a lone write is committed at once.
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar
from urllib.parse import quote

from common.errors import ConfigError, InMetterError, Retryable

T = TypeVar("T")

SCHEMA_VERSION = 2
GROUP = 1000
"""With so many writes a transaction takes no more."""

CHECKED_BYTES = 64_000_000
"""Files up to this size are checked wholly when they are opened (some 50 ms)."""


class StorageError(Retryable):
    """The file cannot be written or read now: disk full, input/output error."""


class Damaged(StorageError):
    """The file is not a sound database of this program."""


class Job(Protocol):
    """Something to be done in the file: ``run`` in the writing thread, ``resolve`` in ``loop``.

    ``run`` returns False, and sets ``error``, when it failed and is to be undone alone. ``lazy`` is
    as in ``Database.write``. A ``sure`` job writes nothing itself, but leaves it to ``pending``:
    there is nothing to be undone, and what it raises fails the transaction.
    """

    loop: asyncio.AbstractEventLoop
    lazy: bool
    sure: bool
    error: BaseException | None

    def run(self, connection: sqlite3.Connection) -> bool: ...

    def resolve(self) -> None: ...


class Pending(Protocol):
    """What is to be written before the next commit, or before anything else is done in the file."""

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write it. In the writing thread."""

    def forget(self) -> None:
        """What was written or waits was rolled back. In the writing thread."""


class Database:
    """An open file. ``write`` is for the event loop's thread; ``close`` waits for what is queued.

    Files are 0600 and their directory, if it is made here, 0700. A second process is refused.
    ``on_damage`` is called in the event loop when the file turns out to be damaged. ``last`` is the
    job that was put last, while it waits; it goes on waiting as long as ``gate`` is held.
    """

    def __init__(self, path: Path) -> None:
        """Open or create.

        Raises Damaged, StorageError, or ConfigError when the file is in use or of another version.
        """
        self.path = path
        self.on_damage: Callable[[], None] | None = None
        self.pending: Pending | None = None
        self._synchronous = ""
        self._lock = _lock(path)
        try:
            self._connection = _open(path)
        except InMetterError:
            os.close(self._lock)
            raise
        self.gate = threading.RLock()
        self._closed = False
        self._fresh: list[Job] = []
        self.last: Job | None = None
        self._jobs: SimpleQueue[list[Job] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="database", daemon=True)
        self._thread.start()

    def write(
        self,
        work: Callable[[sqlite3.Connection], T],
        then: Callable[[T], None] | None = None,
        *,
        lazy: bool = False,
    ) -> "asyncio.Future[T]":
        """Run ``work`` in the writing thread; the future is done once it is on disk.

        When the future is done, what was written survives ``kill -9`` and a power cut. A ``work``
        that raises leaves no trace, harms no other, and the future raises the same
        (StorageError for SQLite's own errors). ``then`` runs in the event loop right after the
        commit, in order of commit, even if nobody waits for the future any more.

        ``lazy`` is for reading, and for what may be undone by a power cut (not by ``kill -9``)
        until the next write that is not lazy: it saves waiting for the disk, and its wear.
        """
        job = _Write(work, then, asyncio.get_running_loop(), lazy)
        self.put(job)
        return job.future

    def put(self, job: Job) -> None:
        """Have ``job`` done after all others."""
        with self.gate:
            if self._closed:
                job.error = StorageError(f"{self.path}: is closed")
                job.resolve()
                return
            self._fresh.append(job)
            self.last = job
            if len(self._fresh) == 1:
                job.loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        """What was written in one turn of the event loop goes to the other thread together: waking
        that costs more than a write."""
        with self.gate:
            fresh, self._fresh, self.last = self._fresh, [], None
        if fresh:
            self._jobs.put(fresh)

    def size(self) -> int:
        """Bytes on disk, with the write-ahead log."""
        parts = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    def close(self) -> None:
        """Finish what is queued, and close. Blocks; calling it twice is harmless."""
        with self.gate:
            closed, self._closed = self._closed, True
        if not closed:
            self._hand_over()
            self._jobs.put(None)
            self._thread.join()
            self._connection.close()
            os.close(self._lock)

    def _work(self) -> None:
        open_ = True
        while open_:
            group: list[Job] = []
            jobs = self._jobs.get()
            with contextlib.suppress(Empty):
                while jobs is not None:
                    group += jobs
                    if len(group) >= GROUP:
                        break
                    jobs = self._jobs.get_nowait()
            open_ = jobs is not None
            if group:
                self._transact(group)
                # The loop may be gone at shutdown; then nobody waits for these either.
                with contextlib.suppress(RuntimeError):
                    group[-1].loop.call_soon_threadsafe(_resolve, deque(group), self.on_damage)

    def _transact(self, group: "list[Job]") -> None:
        connection = self._connection
        lazy = all(job.lazy for job in group)
        try:
            self._set_synchronous("NORMAL" if lazy else "FULL")
            connection.execute("BEGIN")
            for job in group:
                if job.sure:
                    job.run(connection)
                else:
                    self._run_apart(job)
            if self.pending:
                self.pending.flush(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if self.pending:
                self.pending.forget()
            for job in group:
                job.error = _storage_error(self.path, error)
        if any(isinstance(job.error, Damaged) for job in group):
            # Unmarked, the damage will be found again; this thread must live on.
            with contextlib.suppress(OSError):
                _mark(self.path).touch()

    def _run_apart(self, job: "Job") -> None:
        """Run a job that sees all before it, and that is undone alone when it fails."""
        connection = self._connection
        if self.pending:
            self.pending.flush(connection)
        connection.execute("SAVEPOINT job")
        if not job.run(connection):
            connection.execute("ROLLBACK TO job")
            if self.pending:
                self.pending.forget()
        connection.execute("RELEASE job")

    def _set_synchronous(self, how: str) -> None:
        if how != self._synchronous:
            self._connection.execute(f"PRAGMA synchronous = {how}")
            self._synchronous = how


class _Write(Generic[T]):
    """A queued write, its outcome, and who waits for it."""

    def __init__(
        self,
        work: Callable[[sqlite3.Connection], T],
        then: Callable[[T], None] | None,
        loop: asyncio.AbstractEventLoop,
        lazy: bool,
    ) -> None:
        self.loop = loop
        self.lazy = lazy
        self.sure = False
        self.future: asyncio.Future[T] = loop.create_future()
        self.error: BaseException | None = None
        self._work = work
        self._then = then
        self._result: list[T] = []

    def run(self, connection: sqlite3.Connection) -> bool:
        try:
            self._result.append(self._work(connection))
        except sqlite3.Error as error:
            self.error = _storage_error(None, error)
        except Exception as error:  # noqa: BLE001  (handed to whoever waits, as an executor does)
            self.error = error
        return self.error is None

    def resolve(self) -> None:
        if self.error is None and self._then:
            self._then(self._result[0])
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self._result[0])
        else:
            self.future.set_exception(self.error)


def _resolve(jobs: "deque[Job]", on_damage: Callable[[], None] | None) -> None:
    """In order of commit; a callback that raises does not leave the others waiting."""
    try:
        while jobs:
            job = jobs.popleft()
            if on_damage and isinstance(job.error, Damaged):
                on_damage()
            job.resolve()
    finally:
        if jobs:
            _resolve(jobs, on_damage)


def _storage_error(path: Path | None, error: sqlite3.Error) -> StorageError:
    where = f"{path}: " if path else "database: "
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    kind = Damaged if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} else StorageError
    return kind(f"{where}{error}")


def _lock(path: Path) -> int:
    """An open file that is locked against a second agent on the same data."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise ConfigError(f"{path.parent}: cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise ConfigError(f"{path}: another edge agent is using this file") from error
    return lock


def is_in_use(path: Path, locks: Path = Path("/proc/locks")) -> bool:
    """Whether an agent has the file open. Takes no lock, so that none is kept from starting."""
    try:
        found = path.with_name(path.name + ".lock").stat()
        held = locks.read_text("utf-8")
    except OSError:
        return False
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    return f" {device}:{found.st_ino} " in held


def read_only(path: Path, timeout_s: float = 1.0) -> sqlite3.Connection:
    """The file, to be read while an agent uses it, or not. Raises sqlite3.Error.

    A file that nobody has open is opened so that not even its side files are made.
    """
    wal = path.with_name(path.name + "-wal")
    mode = "mode=ro" if is_in_use(path) or (wal.exists() and wal.stat().st_size) else "immutable=1"
    place = f"file:{quote(str(path.resolve()))}?{mode}"
    return sqlite3.connect(place, uri=True, timeout=timeout_s, check_same_thread=False)


def _mark(path: Path) -> Path:
    """The file whose presence says that damage was found at run time."""
    return path.with_name(path.name + ".found-damaged")


def set_aside(path: Path, now_ms: int) -> Path:
    """Move a damaged file out of the way, kept for a person to look at; returns its new name."""
    aside = path.with_name(f"{path.name}.damaged-{now_ms}")
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    _mark(path).unlink(missing_ok=True)
    return aside


def _open(path: Path) -> sqlite3.Connection:
    if _mark(path).exists():
        raise Damaged(f"{path}: was found damaged while it was in use")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{path}: cannot be opened: {error}") from error
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise _storage_error(path, error) from error
    except InMetterError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 16000000")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        schema = resources.files("edge_agent.store").joinpath("schema.sql").read_text("utf-8")
        connection.executescript(
            f"BEGIN; {schema} PRAGMA user_version = {SCHEMA_VERSION:d}; COMMIT;"
        )
    elif version != SCHEMA_VERSION:
        raise ConfigError(
            f"{path}: schema version {version}; this program knows {SCHEMA_VERSION} only"
        )
    elif path.stat().st_size <= CHECKED_BYTES:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise Damaged(f"{path}: {found}")
