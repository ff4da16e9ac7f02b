"""Rules and what they remember, both as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, Select, delete, select, update

from cloud.storage.tables import rule
from cloud.storage.upsert import insert_missing
from common.rules import RuleState


@dataclass(frozen=True, slots=True)
class RuleRow:
    """``definition`` is a common.rules.Rule, ``state`` a RuleState, as JSON."""

    id: int
    name: str
    enabled: bool
    definition: str
    state: str
    changed_at: int


def _rows() -> Select[int, str, bool, str, str, int]:
    return select(
        rule.c.id, rule.c.name, rule.c.enabled, rule.c.definition, rule.c.state, rule.c.changed_at
    )


class Rules:
    """Rules in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[RuleRow]:
        """Every rule, by name."""
        rows = self._connection.execute(_rows().order_by(rule.c.name))
        return [RuleRow(*row) for row in rows]

    def enabled(self) -> list[tuple[int, str]]:
        """Id and definition of the rules that are on."""
        rows = self._connection.execute(
            select(rule.c.id, rule.c.definition).where(rule.c.enabled).order_by(rule.c.id)
        )
        return [(id_, definition) for id_, definition in rows]

    def lock(self, ids: Sequence[int] | None = None) -> list[RuleRow]:
        """These rules (all when None), locked until the transaction ends, in order of id."""
        query = _rows().order_by(rule.c.id).with_for_update()
        if ids is not None:
            query = query.where(rule.c.id.in_(ids))
        return [RuleRow(*row) for row in self._connection.execute(query)]

    def add(self, name: str, definition: str, state: str, changed_at: int) -> None:
        """A new rule, enabled; nothing happens when the name is taken."""
        row = {"name": name, "definition": definition, "state": state, "changed_at": changed_at}
        insert_missing(self._connection, rule, [row])

    def redefine(self, id_: int, definition: str, state: str, changed_at: int) -> None:
        """The rule is another one from now on."""
        self._connection.execute(
            update(rule)
            .where(rule.c.id == id_)
            .values(definition=definition, state=state, changed_at=changed_at)
        )

    def save_state(self, id_: int, state: str, changed_at: int) -> None:
        """What the rule remembers."""
        self._connection.execute(
            update(rule).where(rule.c.id == id_).values(state=state, changed_at=changed_at)
        )

    def retry_output(self, id_: int, value: int, retry_at: int, changed_at: int) -> None:
        """If the rule believes that it has set its output to ``value``, it may again then."""
        for row in self.lock([id_]):
            state = msgspec.json.decode(row.state, type=RuleState)
            if state.set_to == value:
                doubtful = msgspec.structs.replace(state, retry_at=retry_at)
                self.save_state(id_, msgspec.json.encode(doubtful).decode(), changed_at)

    def set_enabled(self, id_: int, enabled: bool, changed_at: int) -> None:
        """Turn the rule on or off."""
        self._connection.execute(
            update(rule).where(rule.c.id == id_).values(enabled=enabled, changed_at=changed_at)
        )

    def remove(self, ids: Sequence[int]) -> None:
        """The rules are gone; commands of theirs stay."""
        if ids:
            self._connection.execute(delete(rule).where(rule.c.id.in_(ids)))
