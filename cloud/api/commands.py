"""Routes: commands."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query

from cloud.api import models
from cloud.api.deps import NowMs, Operator, TheDispatcher, TheStore
from cloud.api.errors import responses
from cloud.services import commands
from cloud.services.views import CommandView
from common.ids import HEX_ID

router = APIRouter(prefix="/commands", tags=["commands"])

CommandId = Annotated[str, Path(pattern=f"^{HEX_ID.pattern}$", description="32 hex digits")]
OfRegister = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Of this output only")]
Limit = Annotated[int, Query(ge=1, le=commands.MAX_RECENT)]


@router.get("", response_model=list[models.Command])
def list_commands(
    store: TheStore, register_id: OfRegister = None, limit: Limit = 20
) -> Sequence[CommandView]:
    """The newest commands, newest first."""
    return commands.recent(store, register_id, limit)


@router.post("", response_model=models.Command, status_code=201, responses=responses(403, 404, 413))
def issue_command(
    store: TheStore,
    now_ms: NowMs,
    account: Operator,
    dispatcher: TheDispatcher,
    order: models.NewCommand,
) -> CommandView:
    """Order an output to be in a state. Needs the role operator.

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


@router.get("/{command_id}", response_model=models.Command, responses=responses(404))
def get_command(store: TheStore, command_id: CommandId) -> CommandView:
    """One command, with its life so far."""
    return commands.get(store, command_id)


@router.post("/{command_id}/cancel", response_model=models.Command, responses=responses(403, 404))
def cancel_command(
    store: TheStore, now_ms: NowMs, account: Operator, command_id: CommandId
) -> CommandView:
    """Take back a command that was not sent yet. Needs the role operator."""
    return commands.cancel(store, command_id, account.name, now_ms)
