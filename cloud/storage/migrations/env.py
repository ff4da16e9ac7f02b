"""Run by alembic; the connection is handed over by ``migrate``."""

from alembic import context

from cloud.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,
)
context.run_migrations()
