"""Commands: issued by people and rules, followed until their outcome is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cloud.domain.lifecycle import FINAL, OPEN, REPORTED, State, at_deadline, may_follow
from cloud.services.metrics import commands_ended, commands_issued
from cloud.services.views import CommandView, StepView
from cloud.storage.commands import CommandRow, Standing, Step, StepRow
from cloud.storage.inventory import RegisterRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common import topics
from common.clock import to_datetime
from common.errors import NotAllowed, NotFound
from common.ids import new_command_id
from common.logs import events
from common.messages.downlink import Command
from common.messages.envelope import encode
from common.messages.uplink import CommandReport

MIN_TTL_S = 1
MAX_TTL_S = 3600
REPEAT_MS = 2_000
AT_ONCE = 200
NOT_DONE = frozenset({State.FAILED, State.REJECTED, State.EXPIRED, State.UNCONFIRMED})
"""Where a command may end that has not done what its rule wanted."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A message for the broker."""

    topic: str
    payload: bytes


class Dispatcher(Protocol):
    """Who publishes commands in this process."""

    @property
    def ready(self) -> bool:
        """Whether it can publish now."""

    def send(self, publication: Publication) -> None:
        """Publish what is committed. From any thread; does not wait, does not raise."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a gateway reports of a command, said at ``at_ms``."""

    gateway_id: int
    report: CommandReport
    at_ms: int


def issue(
    store: Store,
    dispatcher: Dispatcher | None = None,
    *,
    register_id: int,
    value: int,
    issued_by: str,
    reason: str = "",
    ttl_s: int = 60,
    now_ms: int,
) -> CommandView:
    """Order that an output be ``value`` (0 or 1), within ``ttl_s`` (1 to 3600) from now.

    With a ``dispatcher`` that is ready the command is sent at once, and marked so before anybody
    sees it; else the next dispatcher that looks finds it.
    Raises NotFound for an unknown register, NotAllowed for one that may not be set, and for a
    value or time that is out of range.
    """

    id_ = new_command_id()
    attempts = 0
    at_once = dispatcher is not None and dispatcher.ready

    def work(uow: UnitOfWork) -> CommandRow:
        nonlocal attempts
        attempts += 1
        if attempts > 1 and (row := uow.commands.get(id_)):
            # The connection broke after the commit, before we heard of it.
            return row
        register = uow.inventory.register(register_id)
        if register is None:
            raise NotFound(f"there is no register {register_id}")
        return issue_in(
            uow,
            register,
            id_=id_,
            value=value,
            issued_by=issued_by,
            reason=reason,
            ttl_s=ttl_s,
            now_ms=now_ms,
            at_once=at_once,
        )

    row = store.run(work)
    if dispatcher is not None and at_once:
        dispatcher.send(_publication(row))
    commands_issued.inc()
    return _view(row, _birth(row))


def issue_in(
    uow: UnitOfWork,
    register: RegisterRow,
    *,
    id_: str,
    value: int,
    issued_by: str,
    reason: str,
    ttl_s: int,
    now_ms: int,
    rule_id: int | None = None,
    at_once: bool = False,
) -> CommandRow:
    """As ``issue``, in a transaction that is open already; ``id_`` is a new command id.

    ``at_once``: the caller publishes it after the commit.
    An earlier command to the same output is not sent any more, lest it arrive after this one.
    """
    name = f"{register.gateway}/{register.device}/{register.register}"
    if not (register.writable and register.active):
        raise NotAllowed(f"{name} may not be set")
    if value not in (0, 1):
        raise NotAllowed(f"{name}: {value} is neither 0 nor 1")
    if not MIN_TTL_S <= ttl_s <= MAX_TTL_S:
        raise NotAllowed(f"{name}: valid for {ttl_s} s; {MIN_TTL_S} to {MAX_TTL_S} are possible")
    uow.inventory.lock_register(register.id)
    for earlier in uow.commands.lock_open(register.id):
        if earlier.state == State.PENDING:
            _advance(uow, earlier, [Step(State.CANCELLED, now_ms, f"replaced by {id_}")])
        else:
            uow.commands.stop_sending(earlier.id)
    row = CommandRow(
        id=id_,
        gateway_id=register.gateway_id,
        gateway=register.gateway,
        device=register.device,
        register_id=register.id,
        register=register.register,
        state_0=register.state_0,
        state_1=register.state_1,
        value=value,
        state=State.SENT if at_once else State.PENDING,
        issued_by=issued_by[:200],
        rule_id=rule_id,
        reason=reason[:2000],
        issued_at=now_ms,
        expires_at=now_ms + ttl_s * 1000,
        send_at=now_ms + REPEAT_MS if at_once else now_ms,
        sends=1 if at_once else 0,
    )
    uow.commands.add(row, _birth(row))
    return row


def _birth(row: CommandRow) -> list[Step]:
    """The life line of a command that was just issued."""
    steps = [Step(State.PENDING, row.issued_at, row.reason)]
    if row.state == State.SENT:
        steps.append(Step(State.SENT, row.issued_at, ""))
    return steps


def get(store: Store, command_id: str) -> CommandView:
    """The command with its life line; raises NotFound."""
    with store.read() as uow:
        return _get(uow, command_id)


def recent(
    store: Store,
    register_id: int | None = None,
    limit: int = 20,
    after: tuple[int, str] | None = None,
) -> list[CommandView]:
    """The newest commands, of one register or of all, newest first; at most ``limit``.

    With ``after``, when a command was issued and its id, those that come after it.
    """
    with store.read() as uow:
        rows = uow.commands.recent(register_id, limit, after)
        return _views(uow, rows)


def cancel(store: Store, command_id: str, cancelled_by: str, now_ms: int) -> CommandView:
    """Take back a command that was not sent yet; raises NotFound, or NotAllowed once it was."""

    def work(uow: UnitOfWork) -> CommandView:
        row = uow.commands.lock([command_id]).get(command_id)
        if row is None:
            raise NotFound(f"there is no command {command_id[:40]}")
        if not may_follow(State(row.state), State.CANCELLED):
            raise NotAllowed(f"the command is {row.state} and cannot be cancelled any more")
        _advance(uow, row, [Step(State.CANCELLED, now_ms, f"by {cancelled_by}")])
        return _get(uow, command_id)

    return store.run(work)


def record_results(uow: UnitOfWork, said: Sequence[Told]) -> None:
    """Take gateways' reports of commands of their own, in the order given.

    What the life cycle does not allow, and what names no command of this gateway, is logged and
    ignored; the same report again is ignored without a word.
    """
    if not said:
        return
    rows = uow.commands.lock(sorted({one.report.id for one in said}))
    of_command: dict[str, list[Told]] = {}
    for one in said:
        row = rows.get(one.report.id)
        if row is None or row.gateway_id != one.gateway_id:
            events.warning("report of command %s, which is not known here: ignored", one.report.id)
        else:
            of_command.setdefault(row.id, []).append(one)
    for id_, reports in of_command.items():
        _follow(uow, rows[id_], reports)


def _follow(uow: UnitOfWork, row: Standing, said: Sequence[Told]) -> None:
    """Lead the command through what is reported of it."""
    state, readback = State(row.state), None
    steps: list[Step] = []
    for one in said:
        report = one.report
        if report.state not in REPORTED:
            events.warning("command %s: state %r is not one to report", report.id, report.state)
            continue
        following = State(report.state)
        if following is state:
            continue
        if not may_follow(state, following):
            events.warning("command %s: %s after %s: ignored", report.id, following, state)
            continue
        state = following
        readback = report.value if report.value is not None else readback
        steps.append(Step(state, one.at_ms, report.detail))
    if steps:
        _advance(uow, row, steps, readback=readback)


def claim_due(store: Store, now_ms: int) -> list[Publication]:
    """The commands to publish now. They are marked as sent before anybody sees them."""

    def work(uow: UnitOfWork) -> list[Publication]:
        rows = uow.commands.claim_due(now_ms, AT_ONCE)
        if rows:
            uow.commands.sent(rows, now_ms, now_ms + REPEAT_MS)
        return [_publication(row) for row in rows]

    return store.run(work)


def expire_due(store: Store, now_ms: int) -> int:
    """Close the commands whose time is over without a result; returns how many there were."""

    def work(uow: UnitOfWork) -> int:
        rows = uow.commands.claim_overdue(now_ms, AT_ONCE)
        for row in rows:
            following = at_deadline(State(row.state))
            if following is not None:
                _advance(uow, row, [Step(following, now_ms, "no result in time")])
        return len(rows)

    return store.run(work)


def anything_to_do(store: Store, now_ms: int) -> bool:
    """Whether ``claim_due`` or ``expire_due`` would find something; costs no write."""
    with store.read() as uow:
        return uow.commands.anything_to_do(now_ms)


def _advance(
    uow: UnitOfWork, row: Standing, steps: Sequence[Step], *, readback: int | None = None
) -> None:
    last = steps[-1]
    uow.commands.change(row.id, steps, readback=readback, final=last.state in FINAL)
    if last.state not in OPEN:
        uow.after_commit.append(commands_ended.labels(last.state).inc)
    if row.rule_id is not None and last.state in NOT_DONE:
        # Not before its expiry: an output that refuses at once would be ordered at every reading.
        uow.rules.retry_output(row.rule_id, row.value, row.expires_at, last.at)


def _publication(row: CommandRow) -> Publication:
    message = Command(
        id=row.id,
        device=row.device,
        register=row.register,
        value=row.value,
        issued_at=row.issued_at,
        expires_at=row.expires_at,
    )
    return Publication(topics.down(row.gateway, "command"), encode(message))


def _get(uow: UnitOfWork, command_id: str) -> CommandView:
    row = uow.commands.get(command_id)
    if row is None:
        raise NotFound(f"there is no command {command_id[:40]}")
    return _views(uow, [row])[0]


def _views(uow: UnitOfWork, rows: Sequence[CommandRow]) -> list[CommandView]:
    steps: dict[str, list[StepRow]] = {row.id: [] for row in rows}
    if rows:
        for step in uow.commands.steps(list(steps)):
            steps[step.command_id].append(step)
    return [_view(row, steps[row.id]) for row in rows]


def _view(row: CommandRow, steps: Sequence[Step | StepRow]) -> CommandView:
    names = (row.state_0, row.state_1)
    wanted = names[row.value] if row.value in (0, 1) else None
    return CommandView(
        id=row.id,
        register_id=row.register_id,
        gateway=row.gateway,
        device=row.device,
        register=row.register,
        value=row.value,
        wanted=wanted or str(row.value),
        state=row.state,
        final=State(row.state) in FINAL,
        issued_by=row.issued_by,
        reason=row.reason,
        issued_at=to_datetime(row.issued_at),
        expires_at=to_datetime(row.expires_at),
        done_at=None if row.done_at is None else to_datetime(row.done_at),
        readback=row.readback,
        detail=row.detail,
        steps=tuple(StepView(step.state, to_datetime(step.at), step.detail) for step in steps),
    )
