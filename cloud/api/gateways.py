"""Routes: gateways."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime

from cloud.api import book_models, models
from cloud.api.deps import READ, NowMs, RowId, TheStore, span_ms
from cloud.api.errors import responses
from cloud.api.paging import Page, Pager, Slice, paged
from cloud.services import clocks, completeness, gateways, ledger
from cloud.services.book_views import GatewayCompletenessView, LossView, RejectionView, StreamView
from cloud.services.views import ClockSpanView, GatewayView
from common.clock import to_datetime

router = APIRouter(prefix="/gateways", tags=["gateways"])

Start = Annotated[AwareDatetime, Query(description="Inclusive; ISO 8601 with Z or an offset")]
Stream = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="As in the ledger")]
Seq = Annotated[int, Path(ge=1, le=2**62, description="An entry's number")]
End = Annotated[AwareDatetime | None, Query(description="Exclusive; now, when left out")]
Paging = Annotated[Pager, Depends(paged(100, 1000))]


@router.get("", response_model=list[models.Gateway], dependencies=[READ])
def list_gateways(store: TheStore, now_ms: NowMs) -> Sequence[GatewayView]:
    """All gateways, by site and name."""
    return gateways.gateways(store, now_ms)


@router.get(
    "/{gateway_id}", response_model=models.Gateway, responses=responses(404), dependencies=[READ]
)
def get_gateway(store: TheStore, now_ms: NowMs, gateway_id: RowId) -> GatewayView:
    """One gateway."""
    return gateways.gateway(store, gateway_id, now_ms)


@router.get(
    "/{gateway_id}/ledger",
    response_model=list[book_models.StreamBooks],
    responses=responses(404),
    dependencies=[READ],
)
def get_ledger(store: TheStore, gateway_id: RowId) -> Sequence[StreamView]:
    """What came of each of the gateway's streams, what is missing, and what is lost and why.

    The newest stream first; of each the newest 1000 ranges of a kind.
    """
    return ledger.streams(store, gateway_id)


@router.get(
    "/{gateway_id}/streams/{stream}/losses",
    response_model=Page[book_models.Loss],
    responses=responses(404),
    dependencies=[READ],
)
def list_losses(
    store: TheStore, gateway_id: RowId, stream: Stream, pager: Paging
) -> Slice[LossView]:
    """What will never come of a stream, and why; the greatest numbers first."""
    found = ledger.losses(store, gateway_id, stream, pager.enough, pager.after(int))
    return pager.page(found, lambda one: one.first)


@router.get(
    "/{gateway_id}/streams/{stream}/clocks",
    response_model=Page[book_models.ClockSpan],
    responses=responses(404),
    dependencies=[READ],
)
def list_clocks(
    store: TheStore, gateway_id: RowId, stream: Stream, pager: Paging
) -> Slice[ClockSpanView]:
    """By which clock of the gateway the entries of a stream were dated; the newest first."""
    found = clocks.spans(store, gateway_id, stream, pager.enough, pager.after(int))
    return pager.page(found, lambda one: one.first)


@router.get(
    "/{gateway_id}/streams/{stream}/entries/{seq}/clock",
    response_model=book_models.ClockSpan,
    responses=responses(404),
    dependencies=[READ],
)
def get_clock(store: TheStore, gateway_id: RowId, stream: Stream, seq: Seq) -> ClockSpanView:
    """By which clock of the gateway an entry was dated."""
    return clocks.of_entry(store, gateway_id, stream, seq)


@router.get(
    "/{gateway_id}/rejections",
    response_model=Page[book_models.RejectedEntry],
    responses=responses(404),
    dependencies=[READ],
)
def list_rejections(store: TheStore, gateway_id: RowId, pager: Paging) -> Slice[RejectionView]:
    """Entries that can never be stored, with the reason and what they said.

    Those of the newest stream first, by number downwards.
    """
    found = ledger.rejections(store, gateway_id, pager.enough, pager.after(tuple[int, int]))
    return pager.page(found, lambda one: (one.stream_id, one.seq))


@router.get(
    "/{gateway_id}/completeness",
    response_model=book_models.GatewayCompleteness,
    responses=responses(404),
    dependencies=[READ],
)
def get_completeness(
    *, store: TheStore, now_ms: NowMs, gateway_id: RowId, start: Start, end: End = None
) -> GatewayCompletenessView:
    """How many of the readings that were due came, by device, register and local day.

    All days that overlap the span, whole; registers that promise no readings are left out. At most
    400 days and 5,000,000 readings that were due.
    """
    until = end or to_datetime(now_ms)
    span_ms(start, until)
    return completeness.of_gateway(store, gateway_id, start, until, now_ms)
