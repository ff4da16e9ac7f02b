"""Fixtures that several suites share: private servers, and a store on each kind of database."""

import functools
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, create_engine

from cloud.services import accounts
from cloud.storage.migrations import migrate
from cloud.storage.schema import metadata
from cloud.storage.unit_of_work import Store
from tests.harness.mariadb import MariaDb
from tests.harness.masterdata import MasterData
from tests.harness.mosquitto import Mosquitto

# How long an example takes says how busy the machine is.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

WHOLE_PROGRAMS = {"functional", "system", "repo"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, what starts whole programs runs one after another, on one of them."""
    tests = Path(__file__).parent
    for item in items:
        if item.path.relative_to(tests).parts[0] in WHOLE_PROGRAMS:
            item.add_marker(pytest.mark.xdist_group("whole programs"))


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command that was run in this process has configured the logging for itself."""
    root, ours = logging.getLogger(), logging.getLogger("inmetter")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture(scope="session", autouse=True)
def _each_password_is_hashed_once() -> Iterator[None]:
    """Most tests that need an account take less time than its password's hash."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "hash_of", functools.cache(accounts.hash_of))
        yield


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A private MariaDB for the whole session. A test that kills it starts its own instead."""
    with MariaDb(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A private Mosquitto for the whole session; use gateway keys of your own on it."""
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


@pytest.fixture(scope="session")
def _migrated_mariadb(mariadb: MariaDb) -> Iterator[Engine]:
    url = mariadb.create_database("shared")
    migrate(url)
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def mariadb_url(_migrated_mariadb: Engine) -> str:
    """A migrated MariaDB database without a row."""
    names = [table.name for table in metadata.sorted_tables]
    full = ", ".join(f"EXISTS (SELECT 1 FROM {name})" for name in names)
    with _migrated_mariadb.begin() as connection:
        connection.exec_driver_sql("SET foreign_key_checks = 0")  # a row may refer to its table's
        for name, has_rows in zip(
            names, connection.exec_driver_sql(f"SELECT {full}").one(), strict=True
        ):
            if has_rows:
                connection.exec_driver_sql(f"DELETE FROM {name}")
    return _migrated_mariadb.url.render_as_string(hide_password=False)


@pytest.fixture
def sqlite_url(_migrated_sqlite: Path, tmp_path: Path) -> str:
    """A migrated SQLite database without a row."""
    path = tmp_path / "cloud.db"
    shutil.copy(_migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database, once on SQLite and once on a real MariaDB."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture(params=["sqlite", "mariadb"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a table, once on SQLite and once on a real MariaDB."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    url: str = request.getfixturevalue("mariadb").create_database(f"empty_{tmp_path.name}"[:60])
    return url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """The store over that database."""
    opened = Store(url)
    yield opened
    opened.close()


@pytest.fixture
def data(url: str) -> Iterator[MasterData]:
    """What writes rows into that database without going through ingest."""
    written = MasterData(url)
    yield written
    written.close()


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    """An empty store on SQLite: for what does not depend on the database."""
    opened = Store(sqlite_url)
    yield opened
    opened.close()
