"""Routes: events."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from cloud.api import models
from cloud.api.deps import TheStore
from cloud.services import events
from cloud.services.views import EventView

router = APIRouter(prefix="/events", tags=["events"])

Limit = Annotated[int, Query(ge=1, le=events.MAX_EVENTS)]


@router.get("", response_model=list[models.Event])
def list_events(
    store: TheStore,
    limit: Limit = 100,
    open_alarms: Annotated[
        bool, Query(description="Only alarms that nobody has acknowledged")
    ] = False,
) -> Sequence[EventView]:
    """The newest events, newest first."""
    return events.alarms(store, limit) if open_alarms else events.recent(store, limit)
