"""Routes: metering points, their meters, their consumption and what is found in it."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from cloud.api import point_models
from cloud.api.deps import READ, Configurer, NowMs, RowId, TheStore, span_ms
from cloud.api.errors import responses
from cloud.api.registers import End, Start
from cloud.domain.billing import Billing, PeriodStep
from cloud.domain.consumption import Step
from cloud.services import findings, installing, points, resets
from cloud.services.findings import AnalysesView, FindingView
from cloud.services.formulas import Term
from cloud.services.installing import NewMeter
from cloud.services.point_views import ChangeView, PointView
from cloud.services.points import Change, NewPoint
from cloud.services.resets import Reset
from cloud.services.uncounted import UncountedView, uncounted
from cloud.services.views import ConsumptionView
from common.clock import to_datetime, to_ms

router = APIRouter(prefix="/metering-points", tags=["metering points"])

OfSite = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Of this site only")]


@router.get(
    "",
    response_model=list[point_models.MeteringPoint],
    dependencies=[READ],
)
def list_points(store: TheStore, site_id: OfSite = None) -> Sequence[PointView]:
    """All metering points, by site and name."""
    return points.points(store, site_id)


@router.post(
    "",
    response_model=point_models.MeteringPoint,
    status_code=201,
    responses=responses(413),
)
def create_point(
    store: TheStore, now_ms: NowMs, account: Configurer, wanted: point_models.NewMeteringPoint
) -> PointView:
    """A new metering point without a meter; with terms, a virtual one. Needs the scope
    configure."""
    point = NewPoint(
        wanted.key,
        wanted.name,
        wanted.site,
        wanted.medium,
        wanted.kind,
        wanted.parent,
        _terms(wanted.terms),
    )
    return points.create(store, point, Change(account.name, now_ms))


@router.get(
    "/{point_id}",
    response_model=point_models.MeteringPoint,
    responses=responses(404),
    dependencies=[READ],
)
def get_point(store: TheStore, point_id: RowId) -> PointView:
    """One metering point, with the meters that were and are installed."""
    return points.point(store, point_id)


@router.get(
    "/{point_id}/changes",
    response_model=list[point_models.Change],
    responses=responses(404),
    dependencies=[READ],
)
def list_changes(store: TheStore, point_id: RowId) -> Sequence[ChangeView]:
    """What was done to a metering point, newest first: at most 500."""
    return points.changes(store, point_id)


@router.get(
    "/{point_id}/uncounted",
    response_model=list[point_models.Uncounted],
    responses=responses(404),
    dependencies=[READ],
)
def list_uncounted(store: TheStore, now_ms: NowMs, point_id: RowId) -> Sequence[UncountedView]:
    """Readings of its meters from before they were installed or after they were removed."""
    return uncounted(store, point_id, now_ms)


@router.put(
    "/{point_id}/terms",
    response_model=point_models.MeteringPoint,
    responses=responses(404, 413),
)
def set_terms(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Configurer,
    point_id: RowId,
    wanted: point_models.NewTerms,
) -> PointView:
    """What a virtual metering point is made of, for all times. Needs the scope configure."""
    change = Change(account.name, now_ms, wanted.reason)
    return points.set_terms(store, point_id, _terms(wanted.terms), change)


@router.get(
    "/{point_id}/billing",
    response_model=point_models.Billing,
    responses=responses(404),
    dependencies=[READ],
)
def get_billing(store: TheStore, point_id: RowId) -> Billing:
    """A metering point's billing periods, by which its consumption can be asked."""
    return points.billing(store, point_id)


@router.put(
    "/{point_id}/billing",
    response_model=point_models.Billing,
    responses=responses(404, 413),
)
def set_billing(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Configurer,
    point_id: RowId,
    wanted: point_models.NewBilling,
) -> Billing:
    """Have a metering point be billed by these periods. Needs the scope configure."""
    billing = Billing(wanted.day, wanted.months, wanted.first_month, tuple(wanted.dates))
    return points.set_billing(store, point_id, billing, Change(account.name, now_ms, wanted.reason))


@router.post(
    "/{point_id}/install",
    response_model=point_models.MeteringPoint,
    responses=responses(404, 413),
)
def install_meter(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Configurer,
    point_id: RowId,
    wanted: point_models.Installing,
) -> PointView:
    """Have a meter count for a metering point that has none. Needs the scope configure."""
    change = Change(account.name, now_ms, wanted.reason)
    return installing.install(store, point_id, _meter(wanted), to_ms(wanted.at), change)


@router.post(
    "/{point_id}/exchange",
    response_model=point_models.MeteringPoint,
    responses=responses(404, 413),
)
def exchange_meter(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Configurer,
    point_id: RowId,
    wanted: point_models.Exchange,
) -> PointView:
    """Another meter counts from now on; consumption runs on. Needs the scope configure.

    All of it happens, or nothing.
    """
    change = Change(account.name, now_ms, wanted.reason)
    return installing.exchange(
        store, point_id, wanted.final_index, _meter(wanted), at=to_ms(wanted.at), change=change
    )


@router.post(
    "/{point_id}/remove",
    response_model=point_models.MeteringPoint,
    responses=responses(404, 413),
)
def remove_meter(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Configurer,
    point_id: RowId,
    wanted: point_models.Removing,
) -> PointView:
    """Have the meter count no more, and no other in its place. Needs the scope configure."""
    change = Change(account.name, now_ms, wanted.reason)
    return installing.remove(store, point_id, wanted.final_index, to_ms(wanted.at), change)


@router.post(
    "/{point_id}/reset",
    response_model=point_models.MeteringPoint,
    responses=responses(404, 413),
)
def reset_meter(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Configurer,
    point_id: RowId,
    wanted: point_models.Resetting,
) -> PointView:
    """The same meter counts on from another index; consumption runs on. Needs the scope configure.

    Its device was reset, or its index was set. The time may be long past, also that of a meter
    that is gone. What is left out of the indexes is taken from the nearest reading; what was
    counted between the two readings next to the reset is then left out.
    """
    change = Change(account.name, now_ms, wanted.reason)
    indexes = Reset(wanted.final_index, wanted.start_index)
    return resets.reset(store, point_id, indexes, to_ms(wanted.at), change)


@router.get(
    "/{point_id}/consumption",
    response_model=list[point_models.PointConsumption],
    responses=responses(404),
    dependencies=[READ],
)
def list_consumption(
    *,
    store: TheStore,
    now_ms: NowMs,
    point_id: RowId,
    start: Start,
    end: End = None,
    step: Annotated[PeriodStep, Query(description="By the clock of the site")] = Step.DAY,
) -> Sequence[ConsumptionView]:
    """Consumption of each local period that overlaps the span, through exchanges of meters.

    A day has 23, 24 or 25 hours, a week begins on Monday. At most 1500 periods. The sum of the
    hours is that of the days, the months, the years, exactly. A virtual point's is the sum of its
    terms', and may be negative. By the step billing, of each of the point's own billing periods.
    """
    until = end or to_datetime(now_ms)
    span_ms(start, until)
    return points.consumption(store, point_id, step, start, until)


@router.get(
    "/{point_id}/findings",
    response_model=list[point_models.Finding],
    responses=responses(404),
    dependencies=[READ],
)
def list_findings(store: TheStore, point_id: RowId) -> Sequence[FindingView]:
    """What was found in its consumption: what lasts first, then the newest, at most 500."""
    return findings.findings(store, point_id)


@router.get(
    "/{point_id}/analyses",
    response_model=point_models.Analyses,
    responses=responses(404),
    dependencies=[READ],
)
def get_analyses(store: TheStore, point_id: RowId) -> AnalysesView:
    """How its consumption is analysed."""
    return findings.analyses(store, point_id)


@router.put(
    "/{point_id}/analyses",
    response_model=point_models.Analyses,
    responses=responses(404, 413),
)
def set_analyses(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Configurer,
    point_id: RowId,
    wanted: point_models.NewAnalyses,
) -> AnalysesView:
    """How its consumption is to be analysed from now on. Needs the scope configure."""
    change = Change(account.name, now_ms, wanted.reason)
    return findings.set_analyses(store, point_id, wanted.analyses, change)


def _terms(wanted: Sequence[point_models.NewTerm]) -> tuple[Term, ...]:
    return tuple(Term(one.point, one.factor) for one in wanted)


def _meter(wanted: point_models.Installing) -> NewMeter:
    return NewMeter(
        wanted.register_id,
        wanted.start_index,
        wanted.serial,
        wanted.multiplier,
        wanted.rollover,
    )
