"""Routes: the telegrams of a device, as they came."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime

from cloud.api import message_models
from cloud.api.deps import READ, RowId, TheStore
from cloud.api.errors import responses
from cloud.api.paging import Page, Pager, Slice, paged
from cloud.services import telegrams
from cloud.services.messages import span_of
from cloud.services.telegrams import TelegramView
from common.ids import KEY

router = APIRouter(prefix="/gateways/{gateway_id}/devices", tags=["gateways"])

DeviceKey = Annotated[str, Path(pattern=f"^{KEY.pattern}$", description="A device's key")]


@router.get(
    "/{device_key}/telegrams",
    response_model=Page[message_models.Telegram],
    responses=responses(404),
    dependencies=[READ],
)
def list_telegrams(
    *,
    store: TheStore,
    gateway_id: RowId,
    device_key: DeviceKey,
    pager: Annotated[Pager, Depends(paged(1000, 10_000))],
    start: Annotated[AwareDatetime | None, Query(description="Inclusive")] = None,
    end: Annotated[AwareDatetime | None, Query(description="Exclusive")] = None,
) -> Slice[TelegramView]:
    """What the device answered its gateway, in order of time, where that is kept."""
    start_ms, end_ms = span_of(start, end)
    found = telegrams.telegrams(
        store,
        gateway_id,
        device_key,
        start_ms=start_ms,
        end_ms=end_ms,
        limit=pager.enough,
        after=pager.after(tuple[int, int, int]),
    )
    return pager.page(found, lambda one: one.key)
