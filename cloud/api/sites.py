"""Routes: sites."""

from collections.abc import Sequence

from fastapi import APIRouter

from cloud.api import models
from cloud.api.deps import READ, NowMs, RowId, TheStore
from cloud.api.errors import responses
from cloud.services import inventory
from cloud.services.views import SiteView

router = APIRouter(prefix="/sites", tags=["sites"])


@router.get("", response_model=list[models.Site], dependencies=[READ])
def list_sites(store: TheStore, now_ms: NowMs) -> Sequence[SiteView]:
    """All sites, by name."""
    return inventory.sites(store, now_ms)


@router.get("/{site_id}", response_model=models.Site, responses=responses(404), dependencies=[READ])
def get_site(store: TheStore, now_ms: NowMs, site_id: RowId) -> SiteView:
    """One site."""
    return inventory.site(store, site_id, now_ms)
