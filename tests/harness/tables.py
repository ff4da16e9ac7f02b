"""Looking into a store's tables, past its repositories."""

from typing import Any

from sqlalchemy import text

from cloud.storage.unit_of_work import Store


def rows_of(store: Store, query: str) -> list[tuple[Any, ...]]:
    """The rows that ``query`` gives."""
    words = query.replace(" key", " `key`").replace(".key", ".`key`").replace(" last", " `last`")
    with store._engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(words))]
