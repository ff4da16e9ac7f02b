"""What distinguishes two configurations, in words for people."""

from collections.abc import Iterator, Mapping

import msgspec

from edge_agent.config import Settings

LONGEST_VALUE = 60

Table = Mapping[str, object]


def differences(before: Settings, after: Settings) -> list[str]:
    """One sentence for each thing that is new, gone or another; empty when there is none.

    The order of lines and devices makes no difference. Secrets cannot be in it: a configuration
    only says in which files they are.
    """
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    found: list[str] = []
    for table in ("gateway", "mqtt", "c11do1eth"):
        found += _changes(f"{table}.", old[table] or {}, new[table] or {})
    for table, key in (("line", "id"), ("device", "key")):
        found += _members(table, _by(key, old[table]), _by(key, new[table]))
    return found


def _by(key: str, tables: list[Table]) -> dict[str, Table]:
    return {str(table[key]): table for table in tables}


def _members(table: str, old: Mapping[str, Table], new: Mapping[str, Table]) -> Iterator[str]:
    yield from (f"{table} {key} is new" for key in new if key not in old)
    yield from (f"{table} {key} is gone" for key in old if key not in new)
    for key in new:
        if key in old:
            yield from _changes(f"{table} {key}: ", old[key], new[key])


def _changes(prefix: str, old: Table, new: Table) -> Iterator[str]:
    before, after = dict(_flat(old)), dict(_flat(new))
    for key in before | after:
        was, is_now = before.get(key), after.get(key)
        if was != is_now:
            yield f"{prefix}{key} {_word(was)} → {_word(is_now)}"


def _flat(table: Table, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _word(value: object) -> str:
    if value is None or value == "":
        return "nothing"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
