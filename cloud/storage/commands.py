"""Commands and their life lines. The table is also the outbox: what has a ``send_at`` is due."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    insert,
    or_,
    select,
    update,
)

from cloud.domain.lifecycle import GRACE_MS, STEP_NUMBERS, State
from cloud.storage.keyset import behind
from cloud.storage.tables import command, command_step, device, gateway, register

DETAIL = 2000


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a command stands: what its life cycle needs to go on."""

    id: str
    gateway_id: int
    value: int
    state: str
    rule_id: int | None
    expires_at: int


@dataclass(frozen=True, slots=True)
class CommandRow:
    id: str
    gateway_id: int
    gateway: str
    device: str
    register_id: int
    register: str
    state_0: str | None
    state_1: str | None
    value: int
    state: str
    issued_by: str
    rule_id: int | None
    reason: str
    issued_at: int
    expires_at: int
    send_at: int | None
    sends: int = 0
    readback: int | None = None
    detail: str = ""
    done_at: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    state: State
    at: int
    detail: str


@dataclass(frozen=True, slots=True)
class StepRow:
    command_id: str
    n: int
    state: str
    at: int
    detail: str


def _build_rows() -> Select[*tuple[Any, ...]]:
    """Whole commands. What other tables say comes by subqueries: a lock on the rows found is one
    on the commands alone, not on their gateways and registers."""
    of_register = register.c.id == command.c.register_id
    its_device = device.c.id == register.c.device_id
    return select(
        command.c.id,
        command.c.gateway_id,
        _one(select(gateway.c.key).where(gateway.c.id == command.c.gateway_id)),
        _one(select(device.c.key).join(register, its_device).where(of_register)),
        command.c.register_id,
        _one(select(register.c.key).where(of_register)),
        _one(select(register.c.state_0).where(of_register)),
        _one(select(register.c.state_1).where(of_register)),
        command.c.value,
        command.c.state,
        command.c.issued_by,
        command.c.rule_id,
        command.c.reason,
        command.c.issued_at,
        command.c.expires_at,
        command.c.send_at,
        command.c.sends,
        command.c.readback,
        command.c.detail,
        command.c.done_at,
    )


def _one(query: Select[Any]) -> ScalarSelect[Any]:
    return query.correlate(command).scalar_subquery()


_ROWS = _build_rows()
_STANDINGS: Select[*tuple[Any, ...]] = select(
    command.c.id,
    command.c.gateway_id,
    command.c.value,
    command.c.state,
    command.c.rule_id,
    command.c.expires_at,
)


class Commands:
    """Commands in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, row: CommandRow, steps: Sequence[Step]) -> None:
        """A new command, and its life so far."""
        self._connection.execute(
            insert(command).values(
                id=row.id,
                gateway_id=row.gateway_id,
                register_id=row.register_id,
                value=row.value,
                state=row.state,
                issued_by=row.issued_by,
                rule_id=row.rule_id,
                reason=row.reason,
                issued_at=row.issued_at,
                expires_at=row.expires_at,
                send_at=row.send_at,
                sends=row.sends,
            )
        )
        self._add_steps(row.id, steps)

    def get(self, id_: str) -> CommandRow | None:
        """The command with this id."""
        row = self._connection.execute(_ROWS.where(command.c.id == id_)).first()
        return CommandRow(*row) if row else None

    def recent(
        self, register_id: int | None, limit: int, after: tuple[int, str] | None = None
    ) -> list[CommandRow]:
        """The newest commands, of one register or of all, newest first.

        ``after``: when one was issued, and its id; only those that come after it.
        """
        # Ids grow with time, and are the only key on the commands of all registers.
        columns = (command.c.id,) if register_id is None else (command.c.issued_at, command.c.id)
        query = _ROWS.order_by(*(column.desc() for column in columns))
        if register_id is not None:
            query = query.where(command.c.register_id == register_id)
        found = behind(
            after and after[-len(columns) :],
            columns,
            limit,
            lambda which, most: self._connection.execute(query.where(which).limit(most)).all(),
        )
        return [CommandRow(*row) for row in found]

    def steps(self, ids: Sequence[str]) -> list[StepRow]:
        """The life lines of these commands, each in order."""
        rows = self._connection.execute(
            select(
                command_step.c.command_id,
                command_step.c.n,
                command_step.c.state,
                command_step.c.at,
                command_step.c.detail,
            )
            .where(command_step.c.command_id.in_(ids))
            .order_by(command_step.c.command_id, command_step.c.n)
        )
        return [StepRow(*row) for row in rows]

    def lock(self, ids: Sequence[str]) -> dict[str, Standing]:
        """Those of the commands that there are, locked until the transaction ends."""
        return {one.id: one for one in self._standings(command.c.id.in_(ids))}

    def lock_open(self, register_id: int) -> list[Standing]:
        """The commands to this register that are still to be sent, or sent again; locked."""
        return self._standings(command.c.register_id == register_id, command.c.send_at.is_not(None))

    def claim_due(self, now_ms: int, limit: int) -> list[CommandRow]:
        """Commands to publish now, oldest first; locked, leaving out what another worker has."""
        rows = self._connection.execute(
            _ROWS.where(command.c.send_at <= now_ms, command.c.expires_at > now_ms)
            .order_by(command.c.send_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return sorted((CommandRow(*row) for row in rows), key=lambda c: (c.issued_at, c.id))

    def claim_overdue(self, now_ms: int, limit: int) -> list[Standing]:
        """Commands whose time is over without a result; locked as by ``claim_due``."""
        return self._standings(_overdue(now_ms), limit=limit)

    def anything_to_do(self, now_ms: int) -> bool:
        """Whether ``claim_due`` or ``claim_overdue`` would find something."""
        due = (command.c.send_at <= now_ms) & (command.c.expires_at > now_ms)
        return any(
            self._connection.execute(select(command.c.id).where(some).limit(1)).first()
            for some in (due, _overdue(now_ms))
        )

    def _standings(self, *which: ColumnElement[bool], limit: int | None = None) -> list[Standing]:
        """Locked; with a ``limit`` those that another worker has are left out."""
        query = _STANDINGS.where(*which).with_for_update(skip_locked=limit is not None)
        rows = self._connection.execute(query.limit(limit) if limit else query)
        return [Standing(*row) for row in rows]

    def change(
        self,
        id_: str,
        steps: Sequence[Step],
        *,
        readback: int | None = None,
        final: bool = False,
    ) -> None:
        """The command takes ``steps``, at least one, and is not published any more."""
        last = steps[-1]
        values: dict[str, object] = {
            "state": last.state,
            "send_at": None,
            "detail": last.detail[:DETAIL],
        }
        if readback is not None:
            values["readback"] = readback
        if final:
            values["done_at"] = last.at
        self._connection.execute(update(command).where(command.c.id == id_).values(**values))
        self._add_steps(id_, steps)

    def sent(self, rows: Sequence[CommandRow], at: int, send_again_at: int) -> None:
        """The commands, pending or sent before, are published, and again at ``send_again_at``."""
        self._connection.execute(
            update(command)
            .where(command.c.id.in_([row.id for row in rows]))
            .values(state=State.SENT, sends=command.c.sends + 1, send_at=send_again_at)
        )
        for row in rows:
            if row.state != State.SENT:
                self._add_steps(row.id, [Step(State.SENT, at, "")])

    def _add_steps(self, id_: str, steps: Sequence[Step]) -> None:
        rows = [
            {
                "command_id": id_,
                "n": STEP_NUMBERS[step.state],
                "state": step.state,
                "at": step.at,
                "detail": step.detail[:DETAIL],
            }
            for step in steps
        ]
        self._connection.execute(insert(command_step), rows)

    def stop_sending(self, id_: str) -> None:
        """The command is not published again."""
        self._connection.execute(update(command).where(command.c.id == id_).values(send_at=None))

    def hurry(self, gateway_id: int, now_ms: int) -> bool:
        """What waits for this gateway is due now; returns whether there is something."""
        result = self._connection.execute(
            update(command)
            .where(command.c.gateway_id == gateway_id, command.c.send_at.is_not(None))
            .values(send_at=now_ms)
        )
        return result.rowcount > 0


def _overdue(now_ms: int) -> ColumnElement[bool]:
    return or_(
        (command.c.state == State.PENDING) & (command.c.expires_at <= now_ms),
        command.c.state.in_([State.SENT, State.ACCEPTED])
        & (command.c.expires_at <= now_ms - GRACE_MS),
    )
