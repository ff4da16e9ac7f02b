"""The cloud starts before its database does, as after a power cut in the data centre."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.storage.migrations import migrate
from tests.harness.cloud import CloudFiles
from tests.harness.eventually import eventually
from tests.harness.mariadb import MariaDb
from tests.harness.mosquitto import Mosquitto

ROLES = ("ingest", "dispatch", "web", "all")
SECRET = "not for the log"
QUOTED = SECRET.replace(" ", "%20")


class Start:
    """One start of a role, over a database of which only the port is sure."""

    def __init__(self, files: CloudFiles, role: str) -> None:
        files.config.write_text(
            f'[database]\nurl = "{files.url}"\n[mqtt]\nport = {files.broker}\n'
            f'[web]\nport = {files.web}\nsessions_dir = "sessions"\n'
        )
        self._log = files.directory / f"{role}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(files.command(role), stdout=log, stderr=log)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def says(self, words: str) -> None:
        """Waits until the log has these words, while the process runs."""

        def look() -> bool:
            return words in self.log or self.process.poll() is not None

        eventually(look, 60, words)
        assert words in self.log, self.log
        assert self.process.poll() is None, self.log

    def __enter__(self) -> "Start":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MariaDb]:
    (tmp_path / "mariadb").mkdir()
    with MariaDb(tmp_path / "mariadb") as running:
        yield running


@pytest.fixture
def files(tmp_path: Path, server: MariaDb, mosquitto: Mosquitto) -> CloudFiles:
    """The cloud's files over a database that has its structure."""
    url = server.create_database("cloud")
    migrate(url)
    return CloudFiles(tmp_path, url, mosquitto.port)


def test_the_log_says_once_where_the_database_is_and_no_password(
    files: CloudFiles, server: MariaDb
) -> None:
    server.kill()
    files.url = files.url.replace("root@", f"root:{QUOTED}@")
    with Start(files, "ingest") as start:
        start.says("waits for the database")
        assert f"127.0.0.1:{server.port}/cloud" in start.log
        assert SECRET not in start.log
        assert QUOTED not in start.log
        server.start()
        assert start.process.wait(60) == 2, start.log
        assert start.log.count("waits for the database") == 1
        assert "Access denied" in start.log
        assert "Traceback" not in start.log
        assert QUOTED not in start.log


@pytest.mark.parametrize("role", ROLES)
def test_each_role_runs_when_its_database_comes(
    files: CloudFiles, server: MariaDb, role: str
) -> None:
    server.kill()
    with Start(files, role) as start:
        start.says("waits for the database")
        server.start()
        start.says("the database is there")
        start.says("running:")
        start.process.send_signal(signal.SIGTERM)
        assert start.process.wait(30) == 0
        assert start.log.count("waits for the database") == 1


def test_a_cloud_that_waits_ends_when_it_is_told_to(files: CloudFiles, server: MariaDb) -> None:
    server.kill()
    with Start(files, "all") as start:
        start.says("waits for the database")
        start.process.send_signal(signal.SIGTERM)
        assert start.process.wait(30) == 0, start.log
        assert "Traceback" not in start.log


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("root@", f"nobody:{QUOTED}@"), "Access denied"),
        (("/cloud", "/nowhere"), "Unknown database"),
        (("/cloud", "/empty"), "run migrate"),
    ],
)
def test_what_waiting_does_not_help_ends_at_once(
    files: CloudFiles, server: MariaDb, change: tuple[str, str], words: str
) -> None:
    server.create_database("empty")
    files.url = files.url.replace(*change)
    with Start(files, "ingest") as start:
        assert start.process.wait(60) == 2, start.log
        assert words in start.log
        assert "waits" not in start.log
        assert QUOTED not in start.log
        assert "Traceback" not in start.log


def test_a_folder_that_is_not_there_is_not_waited_for(tmp_path: Path, mosquitto: Mosquitto) -> None:
    files = CloudFiles(tmp_path, f"sqlite:///{tmp_path / 'nowhere' / 'cloud.db'}", mosquitto.port)
    with Start(files, "ingest") as start:
        assert start.process.wait(60) == 2, start.log
        assert "unable to open" in start.log
