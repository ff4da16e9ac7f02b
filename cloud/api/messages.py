"""Routes: the messages of a gateway, as they came."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AwareDatetime

from cloud.api import message_models
from cloud.api.deps import READ, RowId, TheStore
from cloud.api.errors import responses
from cloud.api.paging import Page, Pager, Slice, paged
from cloud.services import messages
from cloud.services.messages import MessageView, OpenedView, key_of

router = APIRouter(prefix="/gateways/{gateway_id}/messages", tags=["gateways"])

MessageId = Annotated[str, Path(pattern=r"^[0-9]{1,15}-[0-9]{1,10}$", description="As in the list")]
BYTES = "application/octet-stream"
AS_IT_CAME = {
    "description": "As it came",
    "content": {
        BYTES: {
            "schema": {"type": "string", "format": "binary"},
            "example": '{"stream":"0f5c2d6c1a9b4e0e8f7a6b5c4d3e2f10","first":1,"last":1,"v":1}',
        }
    },
}


@router.get(
    "",
    response_model=Page[message_models.Message],
    responses=responses(404),
    dependencies=[READ],
)
def list_messages(
    store: TheStore,
    gateway_id: RowId,
    pager: Annotated[Pager, Depends(paged(100, 1000))],
    start: Annotated[AwareDatetime | None, Query(description="Inclusive")] = None,
    end: Annotated[AwareDatetime | None, Query(description="Exclusive")] = None,
) -> Slice[MessageView]:
    """What the gateway sent, newest first: batches of its journal, and hellos."""
    start_ms, end_ms = messages.span_of(start, end)
    found = messages.messages(
        store,
        gateway_id,
        start_ms=start_ms,
        end_ms=end_ms,
        limit=pager.enough,
        after=pager.after(tuple[int, int]),
    )
    return pager.page(found, lambda one: key_of(one.id))


@router.get(
    "/{message_id}",
    response_model=message_models.OpenedMessage,
    responses=responses(404),
    dependencies=[READ],
)
def get_message(store: TheStore, gateway_id: RowId, message_id: MessageId) -> OpenedView:
    """A message, taken apart by the parser of today, with the names of its registers."""
    return messages.opened(store, gateway_id, message_id)


@router.get(
    "/{message_id}/raw",
    response_class=Response,
    responses={**responses(404), 200: AS_IT_CAME},
    dependencies=[READ],
)
def get_raw_message(store: TheStore, gateway_id: RowId, message_id: MessageId) -> Response:
    """A message's bytes as they came: JSON, deflated where that is shorter."""
    return Response(messages.raw(store, gateway_id, message_id), media_type=BYTES)
