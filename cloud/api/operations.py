"""Routes for those who run the program: is it alive, is it ready, what has it done."""

from collections.abc import Callable, Iterator, Sequence

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cloud.api.deps import Checks, LocalOrReader, NowMs, TheStore
from cloud.api.errors import responses
from cloud.services import events, gateways
from cloud.services.metrics import COUNTERS
from cloud.services.views import GatewayView

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
def show_metrics(store: TheStore, now_ms: NowMs, _account: LocalOrReader) -> Response:
    """For Prometheus. Needs no token from this machine, when no proxy is in between."""
    registry = CollectorRegistry()
    registry.register(_Figures(gateways.gateways(store, now_ms)))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _Figures(Collector):
    """This process's counters, and how the gateways are doing."""

    def __init__(self, views: Sequence[GatewayView]) -> None:
        self._gateways = views

    def collect(self) -> Iterator[Metric]:
        for counter in COUNTERS:
            yield CounterMetricFamily(f"inmetter_{counter.name}", counter.text, value=counter.value)
        figures: list[tuple[str, str, Callable[[GatewayView], int]]] = [
            ("online", "1 when the gateway is connected", lambda view: int(view.online)),
            ("queued_entries", "Entries that wait on the gateway", lambda view: view.queued),
            (
                "missing_entries",
                "Entries that are known to exist and did not come",
                lambda view: view.missing,
            ),
            ("lost_entries", "Entries that will never come, explained", lambda view: view.lost),
            ("rejected_entries", "Entries never to be stored", lambda view: view.rejected),
        ]
        for name, text, figure in figures:
            family = GaugeMetricFamily(f"inmetter_gateway_{name}", text, labels=["gateway"])
            for view in self._gateways:
                family.add_metric([view.key], figure(view))
            yield family
