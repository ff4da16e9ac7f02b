"""Routes: gateways."""

from collections.abc import Sequence

from fastapi import APIRouter

from cloud.api import models
from cloud.api.deps import NowMs, RowId, TheStore
from cloud.api.errors import responses
from cloud.services import gateways
from cloud.services.views import GatewayView

router = APIRouter(prefix="/gateways", tags=["gateways"])


@router.get("", response_model=list[models.Gateway])
def list_gateways(store: TheStore, now_ms: NowMs) -> Sequence[GatewayView]:
    """All gateways, by site and name."""
    return gateways.gateways(store, now_ms)


@router.get("/{gateway_id}", response_model=models.Gateway, responses=responses(404))
def get_gateway(store: TheStore, now_ms: NowMs, gateway_id: RowId) -> GatewayView:
    """One gateway."""
    return gateways.gateway(store, gateway_id, now_ms)
