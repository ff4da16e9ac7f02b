"""Definitions that figures are derived by: put as a whole, counted up, noted with who and why."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from cloud.services.points import Change, note_on
from cloud.storage.definitions import DefinitionRow
from cloud.storage.unit_of_work import UnitOfWork
from common.clock import to_datetime
from common.errors import Outdated

T = TypeVar("T", bound=Struct)


@dataclass(frozen=True, slots=True)
class Definition(Generic[T]):
    """``revision`` is 1, and one more with every change; 0, and no time: it was never put."""

    value: T
    revision: int
    changed_at: datetime | None


def get(uow: UnitOfWork, what: str, subject: str, type_: type[T]) -> Definition[T] | None:
    """What was put of a subject; None: nothing."""
    return _opened(uow.definitions.one(what, subject), type_)


def every(uow: UnitOfWork, what: str, type_: type[T]) -> list[Definition[T]]:
    """What was put, of every subject."""
    found = (_opened(row, type_) for row in uow.definitions.all(what))
    return [one for one in found if one]


def put(  # noqa: PLR0917
    uow: UnitOfWork,
    what: str,
    subject: str,
    value: T,
    change: Change,
    noted: str,
    seen: Callable[[Definition[T] | None], bool],
) -> Definition[T]:
    """Put it in the place of what there is, noted as done to ``noted``. The same changes nothing.

    ``seen`` tells whether what there is is what the caller means to replace; else raises Outdated.
    """
    text = msgspec.json.encode(value).decode()
    row = uow.definitions.lock(what, subject)
    before = _opened(row, type(value))
    if row and before and row.text == text:
        return before
    if not seen(before):
        raise Outdated(f"the definition of {what} {subject} is another one by now")
    revision = row.revision + 1 if row else 1
    write = uow.definitions.replace if row else uow.definitions.add
    write(what, DefinitionRow(subject, text, revision, change.now_ms))
    note_on(uow, noted, what, change, revision=str(revision), definition=text)
    return Definition(value, revision, to_datetime(change.now_ms))


def _opened(row: DefinitionRow | None, type_: type[T]) -> Definition[T] | None:
    if row is None:
        return None
    value = msgspec.json.decode(row.text, type=type_)
    return Definition(value, row.revision, to_datetime(row.changed_at))
