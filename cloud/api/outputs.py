"""Routes: outputs."""

from collections.abc import Sequence

from fastapi import APIRouter

from cloud.api import models
from cloud.api.deps import READ, NowMs, RowId, TheStore
from cloud.api.errors import responses
from cloud.services import outputs
from cloud.services.views import OutputView

router = APIRouter(prefix="/outputs", tags=["outputs"])


@router.get("", response_model=list[models.Output], dependencies=[READ])
def list_outputs(store: TheStore, now_ms: NowMs) -> Sequence[OutputView]:
    """All outputs, by site and device."""
    return outputs.outputs(store, now_ms)


@router.get(
    "/{register_id}", response_model=models.Output, responses=responses(404), dependencies=[READ]
)
def get_output(store: TheStore, now_ms: NowMs, register_id: RowId) -> OutputView:
    """One output, by the id of its register."""
    return outputs.output(store, register_id, now_ms)
