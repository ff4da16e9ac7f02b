"""The cloud starts before its database does, as after a power cut in the data centre."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.storage.migrations import migrate
from tests.harness.cloud import CloudFiles
from tests.harness.mariadb import MariaDb
from tests.harness.mosquitto import Mosquitto
from tests.harness.processes import Program, Programs

ROLES = ("ingest", "dispatch", "web", "all")
PATIENCE_S = 60
SECRET = "not for the log"
QUOTED = SECRET.replace(" ", "%20")


@contextlib.contextmanager
def started(files: CloudFiles, role: str) -> Iterator[Program]:
    """A role that has been started over a database of which only the port is sure."""
    files.config.write_text(
        f'[database]\nurl = "{files.url}"\n[mqtt]\nport = {files.broker}\n'
        f'[web]\nport = {files.web}\nsessions_dir = "sessions"\n'
    )
    with Programs(files.directory, forked=True) as programs:
        yield programs.add(role, *files.command(role)).start()


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
    with started(files, "ingest") as program:
        program.wait_for("waits for the database", PATIENCE_S)
        assert f"127.0.0.1:{server.port}/cloud" in program.log_text()
        assert SECRET not in program.log_text()
        assert QUOTED not in program.log_text()
        server.start()
        assert program.ended(PATIENCE_S) == 2, program.log_text()
        assert program.log_text().count("waits for the database") == 1
        assert "Access denied" in program.log_text()
        assert "Traceback" not in program.log_text()
        assert QUOTED not in program.log_text()


@pytest.mark.parametrize("role", ROLES)
def test_each_role_runs_when_its_database_comes(
    files: CloudFiles, server: MariaDb, role: str
) -> None:
    server.kill()
    with started(files, role) as program:
        program.wait_for("waits for the database", PATIENCE_S)
        server.start()
        program.wait_for("the database is there", PATIENCE_S)
        program.wait_for("running:", PATIENCE_S)
        program.stop(PATIENCE_S)
        assert program.exit_code == 0
        assert program.log_text().count("waits for the database") == 1


def test_a_cloud_that_waits_ends_when_it_is_told_to(files: CloudFiles, server: MariaDb) -> None:
    server.kill()
    with started(files, "all") as program:
        program.wait_for("waits for the database", PATIENCE_S)
        program.stop(PATIENCE_S)
        assert program.exit_code == 0, program.log_text()
        assert "Traceback" not in program.log_text()


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
    with started(files, "ingest") as program:
        assert program.ended(PATIENCE_S) == 2, program.log_text()
        assert words in program.log_text()
        assert "waits" not in program.log_text()
        assert QUOTED not in program.log_text()
        assert "Traceback" not in program.log_text()


def test_a_folder_that_is_not_there_is_not_waited_for(tmp_path: Path, mosquitto: Mosquitto) -> None:
    files = CloudFiles(tmp_path, f"sqlite:///{tmp_path / 'nowhere' / 'cloud.db'}", mosquitto.port)
    with started(files, "ingest") as program:
        assert program.ended(PATIENCE_S) == 2, program.log_text()
        assert "unable to open" in program.log_text()
