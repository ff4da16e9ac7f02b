"""The REST API: ``/api/v1``, and the routes for those who run the program."""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, Depends, FastAPI

from cloud.api import (
    commands,
    configuration,
    events,
    export,
    gateways,
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
)
from cloud.api.deps import provide, signed_in
from cloud.api.errors import Problem, handle_errors, responses
from cloud.api.limits import BodyLimit
from cloud.api.traffic import Traffic
from cloud.services.commands import Dispatcher
from cloud.services.figures import DatabaseFigures
from cloud.services.metrics import Source
from cloud.services.store import Store
from common.clock import Clock

AGGREGATES = (
    sites,
    gateways,
    configuration,
    meters,
    registers,
    outputs,
    points,
    tariffs,
    statements,
    commands,
    events,
    rules,
    quarantine,
    export,
)

DESCRIPTION = """
Meters, readings, consumption and commands of inMetter.

Values are exact decimals, as strings, in base units (m³, Wh, W, m³/h, °C). Times are ISO 8601.
Every route under /api needs a bearer token. Every error is an RFC 9457 problem.
"""


class Api(FastAPI):
    """FastAPI, with our Problem among the schemas of its OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = document["components"]["schemas"]
        schemas.update(problem.pop("$defs"))
        schemas["Problem"] = problem
        return document


def create_api(
    store: Store,
    *,
    clock: Clock,
    dispatcher: Dispatcher | None = None,
    checks: Sequence[Callable[[], None]] = (),
    figures: Source | None = None,
) -> FastAPI:
    """The application. ``dispatcher`` publishes the commands that are issued.

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
    handle_errors(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(Traffic)
    api = APIRouter(
        prefix="/api/v1",
        dependencies=[Depends(signed_in)],
        responses=responses(401, 422, 503),
    )
    for aggregate in AGGREGATES:
        api.include_router(aggregate.router)
    app.include_router(api)
    app.include_router(operations.router)
    return app
