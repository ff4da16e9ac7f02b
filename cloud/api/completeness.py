"""Route: how complete a day is, over all gateways."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from cloud.api import book_models
from cloud.api.deps import READ, NowMs, TheStore
from cloud.services import fleet
from cloud.services.fleet import GatewayDayView

router = APIRouter(prefix="/completeness", tags=["gateways"])


@router.get("", response_model=list[book_models.GatewayDay], dependencies=[READ])
def list_days(
    store: TheStore,
    now_ms: NowMs,
    day: Annotated[date, Query(description="By the calendar of each site, as 2026-06-01")],
) -> Sequence[GatewayDayView]:
    """How complete a local day is at every gateway, by site; from what is summed up.

    A gateway's own completeness says more, and why readings are missing.
    """
    return fleet.completeness(store, day, now_ms)
