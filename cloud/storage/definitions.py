"""Definitions that figures are derived by, each replaced as a whole and counted up."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from cloud.storage.billing_tables import definition


@dataclass(frozen=True, slots=True)
class DefinitionRow:
    """``text`` is JSON; ``revision`` 1, and one more with every change."""

    subject: str
    text: str
    revision: int
    changed_at: int


_ROWS = select(
    definition.c.subject, definition.c.text, definition.c.revision, definition.c.changed_at
)


class Definitions:
    """Definitions in the database, by what they define and of which subject."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self, what: str) -> list[DefinitionRow]:
        """Of every subject, in order."""
        query = _ROWS.where(definition.c.what == what).order_by(definition.c.subject)
        return [DefinitionRow(*row) for row in self._connection.execute(query)]

    def one(self, what: str, subject: str) -> DefinitionRow | None:
        return self._one(_of(what, subject))

    def lock(self, what: str, subject: str) -> DefinitionRow | None:
        """The same, which nobody else changes until the transaction ends."""
        return self._one(_of(what, subject).with_for_update())

    def add(self, what: str, row: DefinitionRow) -> None:
        """A new one."""
        self._connection.execute(
            insert(definition).values(
                what=what,
                subject=row.subject,
                text=row.text,
                revision=row.revision,
                changed_at=row.changed_at,
            )
        )

    def replace(self, what: str, row: DefinitionRow) -> None:
        """In the place of the one that there is."""
        self._connection.execute(
            update(definition)
            .where(definition.c.what == what, definition.c.subject == row.subject)
            .values(text=row.text, revision=row.revision, changed_at=row.changed_at)
        )

    def _one(self, query: Select[*tuple[Any, ...]]) -> DefinitionRow | None:
        row = self._connection.execute(query).first()
        return DefinitionRow(*row) if row else None


def _of(what: str, subject: str) -> Select[*tuple[Any, ...]]:
    return _ROWS.where(definition.c.what == what, definition.c.subject == subject)
