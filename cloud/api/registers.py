"""Routes: what a register measured, and what was consumed."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from cloud.api import book_models, models
from cloud.api.deps import NowMs, RowId, TheStore, span_ms
from cloud.api.errors import responses
from cloud.domain.consumption import Step
from cloud.services import completeness, metering
from cloud.services.views import ConsumptionView, RegisterCompletenessView
from common.clock import to_datetime, to_ms

router = APIRouter(prefix="/registers", tags=["registers"])

Start = Annotated[AwareDatetime, Query(description="Inclusive; ISO 8601 with Z or an offset")]
End = Annotated[AwareDatetime | None, Query(description="Exclusive; now, when left out")]
Limit = Annotated[int, Query(ge=1, le=metering.MAX_READINGS)]
After = Annotated[
    int | None, Query(ge=0, le=2**53, description="`next_after` of the page before this one")
]


@router.get("/{register_id}/readings", response_model=models.ReadingPage, responses=responses(404))
def list_readings(
    *,
    store: TheStore,
    now_ms: NowMs,
    register_id: RowId,
    start: Start,
    end: End = None,
    limit: Limit = 1000,
    after: After = None,
) -> models.ReadingPage:
    """Readings in order of time, a page at a time; all of them, as they were measured."""
    start_ms, end_ms = span_ms(start, end or to_datetime(now_ms))
    found = metering.readings(store, register_id, start_ms, end_ms, limit, after)
    return models.ReadingPage(
        readings=[models.Reading.model_validate(reading) for reading in found],
        next_after=to_ms(found[-1].at) if len(found) == limit else None,
    )


@router.get(
    "/{register_id}/consumption",
    response_model=list[models.Consumption],
    responses=responses(404),
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
    "/{register_id}/completeness",
    response_model=book_models.RegisterCompleteness,
    responses=responses(404),
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
