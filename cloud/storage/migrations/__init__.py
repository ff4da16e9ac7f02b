"""The database's structure, step by step; ``migrate`` brings a database to the newest."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from cloud.storage.engine import not_opened, open_engine

LONGEST_STEP_S = 86_400


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def migrate(url: str) -> None:
    """Bring the database at ``url`` to the newest structure. Does nothing when it is there.

    Raises StorageAway when the database cannot be reached, ConfigError when it does not let us in,
    Unstorable when it refuses a step.
    """
    engine = open_engine(url, timeout_s=LONGEST_STEP_S)
    config = _config()
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise not_opened(error, url) from error
    finally:
        engine.dispose()


def is_current(url: str) -> bool:
    """Whether the database at ``url`` has the newest structure; errors as of ``migrate``."""
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    except DBAPIError as error:
        raise not_opened(error, url) from error
    finally:
        engine.dispose()
    return found == ScriptDirectory.from_config(_config()).get_current_head()
