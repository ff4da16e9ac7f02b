"""Routes: messages that could not be taken apart."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from cloud.api import book_models
from cloud.api.deps import TheStore
from cloud.services import ledger
from cloud.services.views import QuarantineView

router = APIRouter(prefix="/quarantine", tags=["quarantine"])

Limit = Annotated[int, Query(ge=1, le=ledger.MAX_QUARANTINED)]


@router.get("", response_model=list[book_models.QuarantinedMessage])
def list_quarantined(store: TheStore, limit: Limit = 20) -> Sequence[QuarantineView]:
    """Messages that could not be taken apart, with the reason, newest first."""
    return ledger.quarantined(store, limit)
