"""Routes: meters and newest readings."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from cloud.api import models
from cloud.api.deps import READ, NowMs, RowId, TheStore
from cloud.api.errors import responses
from cloud.services import metering
from cloud.services.views import LatestView, MeterView

router = APIRouter(tags=["meters"])

RegisterIds = Annotated[
    list[Annotated[int, Query(ge=1, le=2**31 - 1)]],
    Query(min_length=1, max_length=1000, description="Repeat it for more registers"),
]


@router.get("/meters", response_model=list[models.Meter], dependencies=[READ])
def list_meters(store: TheStore, now_ms: NowMs) -> Sequence[MeterView]:
    """All meters, by site and name, with their newest readings."""
    return metering.meters(store, now_ms)


@router.get(
    "/meters/{meter_id}", response_model=models.Meter, responses=responses(404), dependencies=[READ]
)
def get_meter(store: TheStore, now_ms: NowMs, meter_id: RowId) -> MeterView:
    """One meter, with its newest readings."""
    return metering.meter(store, meter_id, now_ms)


@router.get("/latest", response_model=list[models.Latest], dependencies=[READ])
def list_latest(store: TheStore, now_ms: NowMs, register_id: RegisterIds) -> Sequence[LatestView]:
    """The newest reading of each of these registers; those that do not exist are left out."""
    return list(metering.latest(store, register_id, now_ms).values())
