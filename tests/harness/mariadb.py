"""A private MariaDB server on a free loopback port."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import pymysql

from tests.harness.ports import free_port, wait_for_port
from tests.harness.services import find_program

SMALL = ["--innodb-log-file-size=16M", "--innodb-use-native-aio=OFF"]
"""Little disk; and no native AIO, of which a machine has only so much for all its servers."""


class MariaDb:
    """A server with a data directory of its own; a context manager. ``kill`` is a power cut."""

    def __init__(self, directory: Path, options: Sequence[str] = ()) -> None:
        """``options``: more of the server's own."""
        self.port = free_port()
        self._options = options
        self._directory = directory
        self._data = directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        # A server that starts clears its tmpdir of all temporary tables, its neighbours' too.
        self._tmp = directory / "tmp"
        self._as_root = ["--user=root"] if os.geteuid() == 0 else []

    def __enter__(self) -> "MariaDb":
        server = find_program("mariadbd")
        self._tmp.mkdir(exist_ok=True)
        if not self._data.exists():
            done = subprocess.run(
                [
                    find_program("mariadb-install-db"),
                    "--no-defaults",
                    f"--datadir={self._data}",
                    f"--tmpdir={self._tmp}",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    *SMALL,
                    *self._as_root,
                ],
                check=False,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise RuntimeError(f"mariadb-install-db: {done.stdout}{done.stderr}")
        self._server = server
        self.start()
        return self

    def start(self) -> None:
        """Start the server on the data that are there, and wait until it answers."""
        with (self._directory / "log").open("ab") as log:
            process = subprocess.Popen(
                [
                    self._server,
                    "--no-defaults",
                    f"--datadir={self._data}",
                    f"--tmpdir={self._tmp}",
                    f"--socket={self._directory / 's'}",
                    f"--port={self.port}",
                    "--bind-address=127.0.0.1",
                    "--skip-name-resolve",
                    *SMALL,
                    *self._options,
                    *self._as_root,
                ],
                stdout=log,
                stderr=log,
            )
        self._process = process
        wait_for_port(self.port, lambda: process.poll() is not None)

    def kill(self) -> None:
        """SIGKILL: what was not on disk is gone."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def create_database(self, name: str) -> str:
        """A new, empty database; returns its URL."""
        with pymysql.connect(host="127.0.0.1", port=self.port, user="root") as connection:
            connection.cursor().execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{name}"

    def dump(self, name: str) -> bytes:
        """What a backup of the database is, at this moment."""
        return self._client("mariadb-dump", "--single-transaction", name)

    def restore(self, name: str, dump: bytes) -> None:
        """A new database with what was dumped."""
        self.create_database(name)
        self._client("mariadb", name, text=dump)

    def _client(self, program: str, *arguments: str, text: bytes = b"") -> bytes:
        server = ["--no-defaults", "--host=127.0.0.1", f"--port={self.port}", "--user=root"]
        command = [find_program(program), *server, *arguments]
        done = subprocess.run(command, input=text, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, f"{program}: {done.stderr.decode()}"
        return done.stdout

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)
