"""Routes: sites."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from cloud.api import models, point_models
from cloud.api.deps import READ, NowMs, RowId, TheStore, span_ms
from cloud.api.errors import responses
from cloud.api.registers import End, Start
from cloud.domain.consumption import Step
from cloud.services import inventory, points
from cloud.services.point_views import SiteConsumptionView
from cloud.services.views import SiteView
from common.clock import to_datetime

router = APIRouter(prefix="/sites", tags=["sites"])


@router.get("", response_model=list[models.Site], dependencies=[READ])
def list_sites(store: TheStore, now_ms: NowMs) -> Sequence[SiteView]:
    """All sites, by name."""
    return inventory.sites(store, now_ms)


@router.get("/{site_id}", response_model=models.Site, responses=responses(404), dependencies=[READ])
def get_site(store: TheStore, now_ms: NowMs, site_id: RowId) -> SiteView:
    """One site."""
    return inventory.site(store, site_id, now_ms)


@router.get(
    "/{site_id}/consumption",
    response_model=list[point_models.SiteConsumption],
    responses=responses(404),
    dependencies=[READ],
)
def list_consumption(
    *,
    store: TheStore,
    now_ms: NowMs,
    site_id: RowId,
    start: Start,
    end: End = None,
    step: Annotated[Step, Query(description="By the clock of the site")] = Step.DAY,
) -> Sequence[SiteConsumptionView]:
    """Consumption of all metering points of a site, by name, in each local period.

    At most 1500 periods, and 20,000 of all points together.
    """
    until = end or to_datetime(now_ms)
    span_ms(start, until)
    return points.of_site(store, site_id, step, start, until)
