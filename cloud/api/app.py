"""The REST API: ``/api/v1``, and the routes for those who run the program."""

from collections.abc import Callable, Sequence
from functools import cache

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from cloud.api import (
    commands,
    completeness,
    configuration,
    corrections,
    degree_days,
    events,
    export,
    gas,
    gateways,
    imports,
    messages,
    meters,
    operations,
    outputs,
    points,
    quarantine,
    registers,
    rules,
    sites,
    statements,
    tariffs,
    telegrams,
)
from cloud.api.deps import provide
from cloud.api.document import Api
from cloud.api.errors import handle_errors, responses
from cloud.api.etags import ETags
from cloud.api.limits import BodyLimit
from cloud.api.rate import USUAL, Rate, RateLimit
from cloud.api.traffic import Traffic
from cloud.services.commands import Dispatcher
from cloud.services.figures import DatabaseFigures
from cloud.services.metrics import Source
from cloud.services.store import Store
from common.clock import Clock

AGGREGATES = (
    sites,
    gateways,
    completeness,
    messages,
    telegrams,
    configuration,
    meters,
    registers,
    corrections,
    outputs,
    points,
    gas,
    degree_days,
    tariffs,
    statements,
    commands,
    events,
    rules,
    quarantine,
    export,
    imports,
)

DESCRIPTION = """
Meters, readings, consumption and commands of inMetter.

Values are exact decimals, as strings, in base units (m³, Wh, W, m³/h, °C). Times are ISO 8601.
Every route under /api needs a bearer token. Every error is an RFC 9457 problem.
"""


def create_api(
    store: Store,
    *,
    clock: Clock,
    dispatcher: Dispatcher | None = None,
    checks: Sequence[Callable[[], None]] = (),
    figures: Source | None = None,
    rate: Rate = USUAL,
) -> FastAPI:
    """The application. ``dispatcher`` publishes the commands that are issued; ``rate`` is how
    often a client may ask.

    ``checks`` are asked by ``/readyz``, after the database; each raises an InMetterError when
    what it looks after (the broker, the database's structure) is not there. ``figures`` are what
    ``/metrics`` shows beside the counters; by default those of the database.
    """
    app = Api(
        title="inMetter",
        version="1",
        summary="Smart metering of water, gas and electricity",
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        routes=[*_routes()],
    )
    provide(
        app,
        store=store,
        clock=clock,
        dispatcher=dispatcher,
        checks=checks,
        figures=figures or DatabaseFigures(store, clock).families,
    )
    app.state.export_slots = export.Slots()
    app.state.import_slots = export.Slots(imports.AT_ONCE, "imports")
    handle_errors(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(Traffic)
    app.add_middleware(ETags)
    if rate.per_s:
        app.add_middleware(RateLimit, rate=rate, clock=clock)
    return app


@cache
def _routes() -> Sequence[BaseRoute]:
    """They are made once, which takes a quarter of a second, and know of no application."""
    api = APIRouter(
        prefix="/api/v1",
        responses=responses(401, 403, 422, 429, 503),
    )
    for aggregate in AGGREGATES:
        api.include_router(aggregate.router)
    bare = FastAPI(openapi_url=None)
    bare.include_router(api)
    bare.include_router(operations.router)
    return bare.routes
