"""Routes: messages that could not be taken apart."""

from typing import Annotated

from fastapi import APIRouter, Depends

from cloud.api import book_models
from cloud.api.deps import READ, TheStore
from cloud.api.paging import Page, Pager, Slice, paged
from cloud.services import ledger
from cloud.services.book_views import QuarantineView

router = APIRouter(prefix="/quarantine", tags=["quarantine"])


@router.get("", response_model=Page[book_models.QuarantinedMessage], dependencies=[READ])
def list_quarantined(
    store: TheStore, pager: Annotated[Pager, Depends(paged(20, 100))]
) -> Slice[QuarantineView]:
    """Messages that could not be taken apart, with the reason, newest first."""
    found = ledger.quarantined(store, pager.enough, pager.after(int))
    return pager.page(found, lambda one: one.id)
