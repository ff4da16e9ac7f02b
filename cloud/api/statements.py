"""Routes: what a metering point costs, and the statements that were issued of it."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from cloud.api import statement_models
from cloud.api.deps import READ, Biller, NowMs, RowId, TheStore
from cloud.api.errors import responses
from cloud.api.export import slot
from cloud.services import costs, statement_export, statements
from cloud.services.costs import CostView
from cloud.services.points import Change
from cloud.services.statements import IssuedView, StatementView

router = APIRouter(tags=["statements"])

PDF = "application/pdf"

FirstDay = Annotated[date, Query(description="The first local day, as 2026-06-01")]
EndDay = Annotated[date, Query(description="The first local day that does not count")]


@router.get(
    "/metering-points/{point_id}/cost",
    response_model=statement_models.PointCost,
    responses=responses(404),
    dependencies=[READ],
)
def get_cost(store: TheStore, point_id: RowId, start: FirstDay, end: EndDay) -> CostView:
    """What a metering point costs on local days, by the readings and tariffs that are there now.

    At most 400 days. What is still to come is missing, but for its standing charges.
    """
    return costs.cost(store, point_id, start, end)


@router.get(
    "/metering-points/{point_id}/statements",
    response_model=list[statement_models.Issued],
    responses=responses(404),
    dependencies=[READ],
)
def list_statements(store: TheStore, point_id: RowId) -> Sequence[IssuedView]:
    """What was issued of a metering point, the newest month first."""
    return statements.statements(store, point_id)


@router.post(
    "/metering-points/{point_id}/statements",
    response_model=statement_models.Statement,
    status_code=201,
    responses=responses(404, 413),
)
def issue_statement(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Biller,
    point_id: RowId,
    wanted: statement_models.Issuing,
) -> StatementView:
    """Freeze a month that is over, as it is known now; once. Needs the scope bill."""
    change = Change(account.name, now_ms, wanted.reason)
    return statements.issue(store, point_id, wanted.month, change)


@router.get(
    "/statements/{statement_id}.pdf",
    response_class=Response,
    responses={200: {"content": {PDF: {"example": "%PDF-1.5 …"}}}, **responses(404)},
    dependencies=[READ, Depends(slot)],
)
def get_statement_pdf(store: TheStore, statement_id: RowId) -> Response:
    """The same as a PDF of A4 pages, with a chart of the days."""
    name, content = statement_export.statement_pdf(store, statement_id)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, media_type=PDF, headers=headers)


@router.get(
    "/statements/{statement_id}",
    response_model=statement_models.Statement,
    responses=responses(404),
    dependencies=[READ],
)
def get_statement(store: TheStore, statement_id: RowId) -> StatementView:
    """A statement as it was issued, and what would be another figure now."""
    return statements.statement(store, statement_id)
