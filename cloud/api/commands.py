"""Routes: commands."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from cloud.api import models
from cloud.api.deps import READ, Commander, NowMs, TheDispatcher, TheStore
from cloud.api.errors import responses
from cloud.api.paging import Page, Pager, Slice, paged
from cloud.services import commands
from cloud.services.views import CommandView
from common.clock import to_ms
from common.ids import HEX_ID

router = APIRouter(prefix="/commands", tags=["commands"])

CommandId = Annotated[str, Path(pattern=f"^{HEX_ID.pattern}$", description="32 hex digits")]
OfRegister = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Of this output only")]


@router.get("", response_model=Page[models.Command], dependencies=[READ])
def list_commands(
    store: TheStore,
    pager: Annotated[Pager, Depends(paged(20, 500))],
    register_id: OfRegister = None,
) -> Slice[CommandView]:
    """The newest commands, newest first."""
    found = commands.recent(store, register_id, pager.enough, pager.after(tuple[int, str]))
    return pager.page(found, lambda one: (to_ms(one.issued_at), one.id))


@router.post("", response_model=models.Command, status_code=201, responses=responses(404, 413))
def issue_command(
    store: TheStore,
    now_ms: NowMs,
    account: Commander,
    dispatcher: TheDispatcher,
    order: models.NewCommand,
) -> CommandView:
    """Order an output to be in a state. Needs the scope command.

    The answer is the command, pending or sent: watch it until its outcome is known.
    """
    return commands.issue(
        store,
        dispatcher,
        register_id=order.register_id,
        value=order.value,
        issued_by=account.name,
        reason=order.reason,
        ttl_s=order.ttl_s,
        now_ms=now_ms,
    )


@router.get(
    "/{command_id}", response_model=models.Command, responses=responses(404), dependencies=[READ]
)
def get_command(store: TheStore, command_id: CommandId) -> CommandView:
    """One command, with its life so far."""
    return commands.get(store, command_id)


@router.post("/{command_id}/cancel", response_model=models.Command, responses=responses(404))
def cancel_command(
    store: TheStore, now_ms: NowMs, account: Commander, command_id: CommandId
) -> CommandView:
    """Take back a command that was not sent yet. Needs the scope command."""
    return commands.cancel(store, command_id, account.name, now_ms)
