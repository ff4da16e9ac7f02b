"""The whole REST API, asked by schemathesis: no server error, all answers as their schemas say."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from cloud.api.app import create_api
from cloud.api.rate import Rate
from cloud.api.statement_examples import NEW_TARIFF
from cloud.domain.degree_days import Heating
from cloud.domain.gas_energy import CalorificValue, GasArea
from cloud.domain.tariff_check import open_tariff
from cloud.services import (
    accounts,
    commands,
    corrections,
    degree_days,
    gas_energy,
    inventory,
    messages,
    points,
    statements,
    tariffs,
)
from cloud.services.configuration import desire
from cloud.services.corrections import NewCorrection
from cloud.services.ingest import ingest
from cloud.services.points import Change, NewPoint
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock
from common.messages.batch import Entry, pack
from common.messages.envelope import encode
from common.registers import Kind, Medium
from tests.functional.test_api_document import ROUTES
from tests.harness.masterdata import MasterData
from tests.harness.says import STREAM, Gateway, catalog

NOW = 1_790_000_000_000
EXAMPLES = 2
"""Of each operation."""

NOT_SAID: list[CheckFunction] = [positive_data_acceptance, negative_data_rejection]
"""A schema says neither that ``end`` is after ``start`` nor that 1.0 will do for 1."""

HS = CalorificValue(valid_from=date(2026, 1, 1), hs=Decimal("11.3"))
DAYS = {"start": "2026-06-01", "end": "2026-07-01"}

Known = dict[str, str | int]
Operation = APIOperation[Any, Any, Any, Any]


@pytest.fixture
def known(sqlite_store: Store, sqlite_url: str) -> Known:
    """A store with something in every list; returns what stands in paths and queries for it."""
    says, gateway, stream = Gateway(), 1, 1  # the first ids
    entry = Entry(1, msgspec.Raw(encode(catalog())), NOW, 7, 60_000, 2)
    ingest(sqlite_store, [says.hello(), says.received("journal", pack(STREAM, [entry]))], NOW)
    data = MasterData(sqlite_url)
    device = data.add_device(gateway)
    volume = data.add_register(device, interval_s=3600)
    roof = data.add_register(device, "roof", kind=Kind.OUTPUT, decimals=0)
    data.add_readings(volume, [(NOW - n * 3_600_000, 1000 - n) for n in range(20, 0, -1)])
    data.add_readings(roof, [(NOW, 1)])
    data.add_telegram(gateway, "water-1", NOW)
    data.add_loss(stream, 11, 20, NOW - 60_000, NOW)
    for n in range(3):
        data.add_event(stream, n, gateway, at=NOW - n)
        data.add_rejected(stream, n)
        data.add_quarantined("topic", b"\xff", "no batch")
    outside = data.add_register(device, "outside", kind=Kind.TEMPERATURE, decimals=1)
    other = data.add_register(device, "other", kind=Kind.OUTPUT, decimals=0)
    data.close()
    desire(sqlite_store, gateway, "", set_by="ana", now_ms=NOW)
    [site] = inventory.sites(sqlite_store, NOW)
    wanted = NewPoint("flat-1", "Flat 1", site.key, Medium.COLD_WATER, Kind.VOLUME)
    point = points.create(sqlite_store, wanted, Change("ana", NOW))
    wanted_tariff = {name: one for name, one in NEW_TARIFF.items() if name != "reason"}
    tariff = open_tariff(msgspec.json.encode(wanted_tariff | {"key": "water"}))
    house = NewPoint("house-cold", "House", site.key, Medium.COLD_WATER, Kind.VOLUME)
    virtual = NewPoint("losses", "Losses", site.key, Medium.COLD_WATER, Kind.VOLUME)
    points.create(sqlite_store, house, Change("ana", NOW))
    tariffs.put(sqlite_store, tariff, Change("ana", NOW))
    tariffs.assign(sqlite_store, point.id, date(2026, 1, 1), "water", Change("ana", NOW))
    statement = statements.issue(sqlite_store, point.id, "2026-05", Change("ana", NOW))
    wrong = NewCorrection(NOW - 5 * 3_600_000)
    made = corrections.correct(sqlite_store, volume, wrong, Change("ana", NOW, "wrong"))
    for key in ("water", "mill-valley"):
        gas_area = GasArea(key=key, name="Valley", values=(HS,))
        gas_energy.put_area(sqlite_store, gas_area, Change("ana", NOW))
    wanted = NewPoint("boiler", "Boiler", site.key, Medium.GAS, Kind.VOLUME)
    gas = points.create(sqlite_store, wanted, Change("ana", NOW))
    heating = Heating(register_id=outside)
    degree_days.put(sqlite_store, point.id, heating, Change("ana", NOW))
    command = commands.issue(sqlite_store, register_id=other, value=1, issued_by="ana", now_ms=NOW)
    return {
        "site_id": 1,
        "gateway_id": gateway,
        "device_key": "water-1",
        "meter_id": device,
        "register_id": volume,
        "output": roof,
        "outside": outside,
        "command_id": command.id,
        "message_id": messages.messages(sqlite_store, gateway)[0].id,
        "stream": STREAM,
        "version": 1,
        "seq": 1,
        "day": "2026-09-20",
        "start": "2026-09-20T00:00:00Z",
        "point_id": point.id,
        "gas_id": gas.id,
        "altitude_m": 33,
        "pressure_mbar": 22,
        "statement_id": statement.issued.id,
        "correction_id": made.id,
        "virtual": points.create(sqlite_store, virtual, Change("ana", NOW)).id,
        "key": "water",
        "site": site.key,
    }


@pytest.fixture
def api(sqlite_store: Store) -> FastAPI:
    return create_api(sqlite_store, clock=ManualClock(NOW), rate=Rate(per_s=0))


def test_nothing_that_can_be_asked_is_a_server_error_or_answered_but_as_described(
    sqlite_store: Store, api: FastAPI, known: Known
) -> None:
    accounts.create(sqlite_store, "ana", "correct horse", Role.ADMIN, NOW)
    token = accounts.create_token(sqlite_store, "ana", "test", NOW, None)
    headers = {"Authorization": f"Bearer {token}"}
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", api)
    asked = set()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        answer = sensible(operation, known).call_and_validate(headers=headers)
        assert answer.status_code in {200, 201}, (operation.label, answer.text)
        ask_anything(operation, known, headers)
        asked.add(operation.label)
    assert asked == ROUTES


def sensible(operation: Operation, known: Known) -> Case[Any]:
    """A request that asks for something that there is."""
    parameters = operation.definition.raw.get("parameters", [])
    wanted = {
        place: {
            one["name"]: known_as(one["name"], operation, known)
            for one in parameters
            if one["in"] == place and one.get("required")
        }
        for place in ("path", "query")
    }
    case = operation.Case(path_parameters=wanted["path"], query=wanted["query"])
    body = operation.definition.raw.get("requestBody", {}).get("content", {})
    for media_type, described in list(body.items())[:1]:
        example = described["example"]
        if isinstance(example, dict):
            names = (example.keys() & known.keys()) - {"start", "day"}
            its = {name: known_as(name, operation, known) for name in names}
            example = example | its
        case.body, case.media_type = example, media_type
    return case


def known_as(name: str, operation: Operation, known: Known) -> str | int:
    """What is known by the name of a parameter; an output where it must be one."""
    if operation.path.endswith("/cost"):
        return known.get(name, 1) if name == "point_id" else DAYS[name]
    if name == "point_id" and operation.path.endswith(("/gas", "/energy")):
        return known["gas_id"]
    if name == "register_id" and operation.path.endswith("/heating"):
        return known["outside"]
    if operation.path.endswith("/terms") and name == "point_id":
        return known["virtual"]
    ordered = "/outputs" in operation.path or "/commands" in operation.path
    return known["output" if name == "register_id" and ordered else name]


def ask_anything(operation: Operation, known: Known, headers: dict[str, str]) -> None:
    """Requests for which the schema of the operation is good, and others."""
    valid, invalid = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=valid | invalid, real=st.booleans())
    def run(case: Case[Any], real: bool) -> None:
        if real:
            body = case.body if isinstance(case.body, dict) else {}
            for place in (case.path_parameters, case.query, body):
                for name in place.keys() & known.keys():
                    place[name] = known_as(name, operation, known)
        case.call_and_validate(headers=headers, excluded_checks=NOT_SAID)

    run()
