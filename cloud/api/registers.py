"""Routes: what a register measured, and what was consumed."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from cloud.api import book_models, models
from cloud.api.deps import READ, NowMs, RowId, TheStore, span_ms
from cloud.api.errors import responses
from cloud.api.paging import Page, Pager, Slice, paged
from cloud.domain.consumption import Step
from cloud.services import completeness, metering, rates
from cloud.services.book_views import RegisterCompletenessView
from cloud.services.rates import RateView
from cloud.services.views import ConsumptionView, ReadingView
from common.clock import to_datetime, to_ms

router = APIRouter(prefix="/registers", tags=["registers"])

Start = Annotated[AwareDatetime, Query(description="Inclusive; ISO 8601 with Z or an offset")]
End = Annotated[AwareDatetime | None, Query(description="Exclusive; now, when left out")]


@router.get(
    "/{register_id}/readings",
    response_model=Page[models.Reading],
    responses=responses(404),
    dependencies=[READ],
)
def list_readings(
    *,
    store: TheStore,
    now_ms: NowMs,
    register_id: RowId,
    pager: Annotated[Pager, Depends(paged(1000, 10_000))],
    start: Start,
    end: End = None,
) -> Slice[ReadingView]:
    """Readings in order of time; all of them, as they were measured."""
    start_ms, end_ms = span_ms(start, end or to_datetime(now_ms))
    after = pager.after(int)
    found = metering.readings(store, register_id, start_ms, end_ms, pager.enough, after)
    return pager.page(found, lambda one: to_ms(one.at))


@router.get(
    "/{register_id}/consumption",
    response_model=list[models.Consumption],
    responses=responses(404),
    dependencies=[READ],
)
def list_consumption(
    *,
    store: TheStore,
    now_ms: NowMs,
    register_id: RowId,
    start: Start,
    end: End = None,
    step: Annotated[Step, Query(description="By the clock of the site")] = Step.DAY,
) -> Sequence[ConsumptionView]:
    """Consumption of each local period that overlaps the span.

    A day has 23, 24 or 25 hours, a week begins on Monday. At most 1500 periods.
    """
    until = end or to_datetime(now_ms)
    span_ms(start, until)
    return metering.consumption(store, register_id, step, start, until)


@router.get(
    "/{register_id}/rate",
    response_model=models.Rate,
    responses=responses(404),
    dependencies=[READ],
)
def get_rate(
    *,
    store: TheStore,
    now_ms: NowMs,
    register_id: RowId,
    start: Start,
    end: End = None,
    points: Annotated[int, Query(ge=1, le=rates.MAX_POINTS, description="At most so many")] = 500,
) -> RateView:
    """Mean flow or power that an index tells: from reading to reading where they are so few, else
    by slices. None across a fall of the index, or a gap between readings."""
    start_ms, end_ms = span_ms(start, end or to_datetime(now_ms))
    return rates.rate(store, register_id, start_ms, end_ms, points)


@router.get(
    "/{register_id}/completeness",
    response_model=book_models.RegisterCompleteness,
    responses=responses(404),
    dependencies=[READ],
)
def get_completeness(
    *, store: TheStore, now_ms: NowMs, register_id: RowId, start: Start, end: End = None
) -> RegisterCompletenessView:
    """How many of the readings that were due came, by local day of the site.

    All days that overlap the span, whole. At most 400 days and 5,000,000 readings that were due.
    """
    until = end or to_datetime(now_ms)
    span_ms(start, until)
    return completeness.of_register(store, register_id, start, until, now_ms)
