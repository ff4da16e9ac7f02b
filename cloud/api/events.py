"""Routes: events."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from cloud.api import models
from cloud.api.deps import READ, TheStore
from cloud.api.paging import Page, Pager, Slice, paged
from cloud.services import events
from cloud.services.views import EventView

router = APIRouter(prefix="/events", tags=["events"])


@router.get("", response_model=Page[models.Event], dependencies=[READ])
def list_events(
    store: TheStore,
    pager: Annotated[Pager, Depends(paged(100, 1000))],
    open_alarms: Annotated[
        bool, Query(description="Only alarms that nobody has acknowledged")
    ] = False,
) -> Slice[EventView]:
    """The newest events, newest first."""
    find = events.alarms if open_alarms else events.recent
    found = find(store, pager.enough, pager.after(tuple[int, int, int]))
    return pager.page(found, events.key_of)
