"""Routes for those who run the program: is it alive, is it ready, what has it done."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from cloud.api.deps import Checks, Figures, LocalOrReader, TheStore
from cloud.api.errors import responses
from cloud.services import events
from cloud.services.metrics import CONTENT_TYPE_LATEST, exposition

router = APIRouter(tags=["operations"])


def _plain(example: str) -> dict[int | str, dict[str, object]]:
    return {200: {"content": {"text/plain": {"example": example}}}}


@router.get("/healthz", response_class=PlainTextResponse, responses=_plain("alive\n"))
def healthz() -> str:
    """The process is alive. Needs no token."""
    return "alive\n"


@router.get(
    "/readyz",
    response_class=PlainTextResponse,
    responses=_plain("ready\n") | responses(422, 503),
)
def readyz(store: TheStore, checks: Checks) -> str:
    """The database, and what else is needed, can be used. Needs no token."""
    events.recent(store, 1)
    for check in checks:
        check()
    return "ready\n"


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses=_plain('inmetter_gateway_online{gateway="hall-1"} 1.0\n')
    | responses(401, 403, 422, 429, 503),
)
def show_metrics(figures: Figures, _account: LocalOrReader) -> Response:
    """For Prometheus. Needs no token from this machine, when no proxy is in between."""
    return Response(exposition(figures), media_type=CONTENT_TYPE_LATEST)
