"""The API's own description, and the routes for those who run the program."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from jsonschema_rs import Draft202012Validator

from cloud.api.app import create_api
from cloud.api.examples import OF
from cloud.services import accounts
from cloud.services.metrics import readings_stored
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock
from tests.harness.masterdata import MasterData
from tests.harness.metrics import counted

NOW = 1_790_000_000_000
ROUTES = {
    "GET /api/v1/sites",
    "GET /api/v1/sites/{site_id}",
    "GET /api/v1/gateways",
    "GET /api/v1/gateways/{gateway_id}",
    "GET /api/v1/gateways/{gateway_id}/configuration",
    "PUT /api/v1/gateways/{gateway_id}/configuration",
    "GET /api/v1/gateways/{gateway_id}/configuration/versions",
    "GET /api/v1/gateways/{gateway_id}/configuration/versions/{version}",
    "GET /api/v1/gateways/{gateway_id}/ledger",
    "GET /api/v1/gateways/{gateway_id}/messages",
    "GET /api/v1/gateways/{gateway_id}/messages/{message_id}",
    "GET /api/v1/gateways/{gateway_id}/messages/{message_id}/raw",
    "GET /api/v1/gateways/{gateway_id}/devices/{device_key}/telegrams",
    "GET /api/v1/gateways/{gateway_id}/rejections",
    "GET /api/v1/gateways/{gateway_id}/streams/{stream}/clocks",
    "GET /api/v1/gateways/{gateway_id}/streams/{stream}/losses",
    "GET /api/v1/gateways/{gateway_id}/streams/{stream}/entries/{seq}/clock",
    "GET /api/v1/gateways/{gateway_id}/completeness",
    "GET /api/v1/meters",
    "GET /api/v1/meters/{meter_id}",
    "GET /api/v1/latest",
    "GET /api/v1/registers/{register_id}/readings",
    "GET /api/v1/registers/{register_id}/consumption",
    "GET /api/v1/registers/{register_id}/rate",
    "GET /api/v1/registers/{register_id}/completeness",
    "GET /api/v1/metering-points",
    "POST /api/v1/metering-points",
    "GET /api/v1/metering-points/{point_id}",
    "GET /api/v1/metering-points/{point_id}/changes",
    "GET /api/v1/metering-points/{point_id}/uncounted",
    "GET /api/v1/metering-points/{point_id}/consumption",
    "GET /api/v1/metering-points/{point_id}/findings",
    "GET /api/v1/metering-points/{point_id}/analyses",
    "PUT /api/v1/metering-points/{point_id}/analyses",
    "PUT /api/v1/metering-points/{point_id}/terms",
    "GET /api/v1/metering-points/{point_id}/billing",
    "PUT /api/v1/metering-points/{point_id}/billing",
    "POST /api/v1/metering-points/{point_id}/install",
    "POST /api/v1/metering-points/{point_id}/exchange",
    "POST /api/v1/metering-points/{point_id}/remove",
    "POST /api/v1/metering-points/{point_id}/reset",
    "GET /api/v1/metering-points/{point_id}/tariff",
    "PUT /api/v1/metering-points/{point_id}/tariff",
    "GET /api/v1/metering-points/{point_id}/cost",
    "GET /api/v1/metering-points/{point_id}/statements",
    "POST /api/v1/metering-points/{point_id}/statements",
    "GET /api/v1/statements/{statement_id}",
    "GET /api/v1/completeness",
    "GET /api/v1/sites/{site_id}/consumption",
    "GET /api/v1/registers/{register_id}/corrections",
    "POST /api/v1/registers/{register_id}/corrections",
    "POST /api/v1/registers/{register_id}/corrections/{correction_id}/withdraw",
    "GET /api/v1/metering-points/{point_id}/gas",
    "PUT /api/v1/metering-points/{point_id}/gas",
    "GET /api/v1/metering-points/{point_id}/energy",
    "GET /api/v1/metering-points/{point_id}/heating",
    "PUT /api/v1/metering-points/{point_id}/heating",
    "GET /api/v1/metering-points/{point_id}/degree-days",
    "GET /api/v1/gas-areas",
    "GET /api/v1/gas-areas/{key}",
    "PUT /api/v1/gas-areas/{key}",
    "GET /api/v1/gas-areas/{key}/changes",
    "GET /api/v1/gas-state-number",
    "GET /api/v1/statements/{statement_id}.pdf",
    "GET /api/v1/tariffs",
    "GET /api/v1/tariffs/{key}",
    "PUT /api/v1/tariffs/{key}",
    "GET /api/v1/tariffs/{key}/changes",
    "GET /api/v1/outputs",
    "GET /api/v1/outputs/{register_id}",
    "GET /api/v1/commands",
    "POST /api/v1/commands",
    "GET /api/v1/commands/{command_id}",
    "POST /api/v1/commands/{command_id}/cancel",
    "GET /api/v1/events",
    "GET /api/v1/rules",
    "GET /api/v1/quarantine",
    "GET /api/v1/export/readings",
    "GET /api/v1/export/consumption",
    "GET /api/v1/export/statements",
    "POST /api/v1/import/readings",
    "POST /api/v1/import/metering-points",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
}


@pytest.fixture
def document(sqlite_store: Store) -> dict[str, Any]:
    api = create_api(sqlite_store, clock=ManualClock(NOW))
    found: dict[str, Any] = api.openapi()
    return found


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"{method.upper()} {path}", operation


def _references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def test_every_route_is_documented(document: dict[str, Any]) -> None:
    operations = dict(_operations(document))
    assert operations.keys() == ROUTES
    assert all(operation["description"] for operation in operations.values())


def test_every_operation_has_a_summary_and_an_example_of_all_it_takes_and_gives(
    document: dict[str, Any],
) -> None:
    for name, operation in _operations(document):
        assert operation["summary"], name
        said = {"body": operation.get("requestBody"), **operation["responses"]}
        for where, one in said.items():
            for kind, media in one["content"].items() if one else ():
                example = media.get("example")
                assert example, (name, where)
                if kind == "text/plain" or "schema" not in media:  # a text, or a file
                    continue
                schema = media["schema"] | {"components": document["components"]}
                Draft202012Validator(schema).validate(example)
                if where != "body" and where >= "400":
                    assert example["status"] == int(where)


def test_every_operation_tells_of_the_problems_that_it_can_have(document: dict[str, Any]) -> None:
    always = {"401", "403", "422", "429", "503"}
    for name, operation in _operations(document):
        if name in {"GET /healthz", "GET /readyz"}:
            continue
        _, path = name.split()
        expected = always | ({"404"} if "{" in path else set())
        if "requestBody" in operation:
            expected |= {"413"}
        assert expected <= operation["responses"].keys(), name


def test_every_field_of_a_model_is_in_its_example(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert OF.keys() <= schemas.keys()
    for name, one in OF.items():
        assert one.keys() == schemas[name]["properties"].keys(), name


def test_every_reference_in_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in _references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert place


def test_every_route_under_api_wants_a_token_and_tells_its_errors(
    document: dict[str, Any],
) -> None:
    for name, operation in _operations(document):
        if "/api/" not in name:
            continue
        assert {"401", "422", "503"} <= operation["responses"].keys(), name
        for status, response in operation["responses"].items():
            if status >= "400":
                assert list(response["content"]) == ["application/problem+json"]


def test_no_value_of_a_register_is_a_number_in_the_document(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for model, field in (("Reading", "value"), ("Consumption", "value"), ("Rule", "above")):
        text = json.dumps(schemas[model]["properties"][field])
        assert '"string"' in text
        assert '"number"' not in text


def test_parameters_are_described_and_bounded(document: dict[str, Any]) -> None:
    parameters = {
        parameter["name"]: parameter
        for name, operation in _operations(document)
        if name.endswith("/registers/{register_id}/readings")
        for parameter in operation["parameters"]
    }
    assert parameters.keys() == {"register_id", "start", "end", "limit", "cursor"}
    assert parameters["limit"]["schema"]["maximum"] == 10_000
    assert parameters["start"]["schema"]["format"] == "date-time"


def test_metrics_need_a_token_unless_asked_from_this_machine(
    sqlite_store: Store, sqlite_url: str
) -> None:
    data = MasterData(sqlite_url)
    gateway = data.add_gateway(data.add_site(), seen_at=NOW, queued=4)
    data.add_stream(gateway, [(1, 5), (8, 9)])
    data.close()
    readings_stored.inc(3)
    api = create_api(sqlite_store, clock=ManualClock(NOW))

    local = TestClient(api, client=("127.0.0.1", 5000)).get("/metrics")
    assert local.status_code == 200
    lines = local.text.splitlines()
    assert 'inmetter_gateway_online{gateway="gw-1"} 1.0' in lines
    assert 'inmetter_gateway_queued_entries{gateway="gw-1"} 4.0' in lines
    assert 'inmetter_gateway_missing_entries{gateway="gw-1"} 2.0' in lines
    assert f"inmetter_readings_stored_total {counted('readings_stored_total')}" in lines

    proxied = {"X-Forwarded-For": "203.0.113.9"}
    for client, headers in (("203.0.113.9", {}), ("127.0.0.1", proxied), ("testclient", {})):
        answer = TestClient(api, client=(client, 5000)).get("/metrics", headers=headers)
        assert answer.status_code == 401

    accounts.create(sqlite_store, "ana", "correct horse", Role.VIEWER, NOW)
    token = accounts.create_token(sqlite_store, "ana", "prometheus", NOW, None)
    authorised = {"Authorization": f"Bearer {token}"}
    assert TestClient(api).get("/metrics", headers=authorised).status_code == 200


def test_alive_needs_nothing(sqlite_store: Store) -> None:
    api = create_api(sqlite_store, clock=ManualClock(NOW))
    answer = TestClient(api).get("/healthz")
    assert (answer.status_code, answer.text) == (200, "alive\n")
