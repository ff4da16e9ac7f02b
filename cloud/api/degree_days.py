"""Routes: degree days, and consumption normalised by them."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Response

from cloud.api import degree_day_models
from cloud.api.deps import READ, Configurer, NowMs, RowId, TheStore, span_ms
from cloud.api.errors import responses
from cloud.api.etags import IfMatch
from cloud.api.registers import End, Start
from cloud.domain.consumption import Step
from cloud.domain.degree_days import Heating
from cloud.services import degree_days
from cloud.services.definitions import Definition
from cloud.services.degree_days import DegreeDaysView
from cloud.services.points import Change
from common.clock import to_datetime

router = APIRouter(prefix="/metering-points/{point_id}", tags=["degree days"])


@router.get(
    "/heating",
    response_model=degree_day_models.Heating,
    responses=responses(404),
    dependencies=[READ],
)
def get_heating(store: TheStore, point_id: RowId) -> Response:
    """By what the consumption of a metering point is normalised; 404 where nothing was put."""
    return Response(_content(degree_days.get(store, point_id)), media_type="application/json")


@router.put(
    "/heating", response_model=degree_day_models.Heating, responses=responses(404, 412, 413)
)
def put_heating(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Configurer,
    point_id: RowId,
    wanted: degree_day_models.NewHeating,
    seen: IfMatch,
) -> degree_day_models.Heating:
    """Temperature, base, limit, and what is usual. Needs the scope configure.

    With If-Match nothing is replaced that the caller has not seen. The same again changes nothing.
    """
    heating = Heating(
        register_id=wanted.register_id,
        base=wanted.base,
        limit=wanted.limit,
        reference=tuple(wanted.reference),
    )
    change = Change(account.name, now_ms, wanted.reason)
    found = degree_days.put(
        store, point_id, heating, change, lambda now: seen.holds(_content(now) if now else b"")
    )
    return _answer(found)


@router.get(
    "/degree-days",
    response_model=list[degree_day_models.DegreeDays],
    responses=responses(404),
    dependencies=[READ],
)
def list_degree_days(
    *,
    store: TheStore,
    now_ms: NowMs,
    point_id: RowId,
    start: Start,
    end: End = None,
    step: Annotated[Step, Query(description="By the calendar of the site; not hour")] = Step.MONTH,
) -> Sequence[DegreeDaysView]:
    """Degree days and consumption of each local period that overlaps the span.

    At most 1500 days. 404 where nothing was put of the point's heating.
    """
    until = end or to_datetime(now_ms)
    span_ms(start, until)
    return degree_days.of_point(store, point_id, step, start, until)


def _answer(found: Definition[Heating]) -> degree_day_models.Heating:
    return degree_day_models.Heating.model_validate(
        {
            "register_id": found.value.register_id,
            "base": found.value.base,
            "limit": found.value.limit,
            "reference": list(found.value.reference),
            "revision": found.revision,
            "changed_at": found.changed_at,
        }
    )


def _content(found: Definition[Heating]) -> bytes:
    """What a GET answers with, of which its ETag is made."""
    return _answer(found).model_dump_json().encode()
