"""Files sent to the REST API: only looked at, unless told otherwise; whole or not at all."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from cloud.api.app import create_api
from cloud.api.export import Slots
from cloud.api.imports import AT_ONCE
from cloud.api.limits import MAX_IMPORT_BYTES
from cloud.services import accounts
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock, to_ms
from tests.harness.masterdata import MasterData

NOW = to_ms(datetime(2026, 7, 1, tzinfo=UTC))
URL = "/api/v1/import/readings"
CSV = {"Content-Type": "text/csv"}
HEAD = "gateway,device,register,unit,time,value\n"
LINE = "gw-1,water-1,volume,m³,2026-06-01T00:00:00Z,1.5\n"


@pytest.fixture
def register(sqlite_url: str) -> int:
    data = MasterData(sqlite_url)
    found = data.add_register(data.add_device(data.add_gateway(data.add_site())))
    data.close()
    return found


@pytest.fixture
def api(sqlite_store: Store, register: int) -> FastAPI:
    return create_api(sqlite_store, clock=ManualClock(NOW))


@pytest.fixture
def clients(api: FastAPI, sqlite_store: Store) -> Iterator[tuple[TestClient, TestClient]]:
    """An administrator's and an operator's."""
    with ExitStack() as opened:
        found = []
        for name, role in (("ana", Role.ADMIN), ("ion", Role.OPERATOR)):
            accounts.create(sqlite_store, name, "correct horse", role, NOW)
            token = accounts.create_token(sqlite_store, name, "test", NOW, None)
            client = TestClient(api, headers={"Authorization": f"Bearer {token}"})
            found.append(opened.enter_context(client))
        yield found[0], found[1]


@pytest.fixture
def client(clients: tuple[TestClient, TestClient]) -> TestClient:
    return clients[0]


def stored(client: TestClient, register: int) -> list[str]:
    query = {"start": "2026-01-01T00:00:00Z"}
    answer = client.get(f"/api/v1/registers/{register}/readings", params=query)
    return [one["value"] for one in answer.json()["items"]]


def test_a_file_is_only_looked_at_unless_it_is_told_otherwise(
    client: TestClient, register: int
) -> None:
    looked = client.post(URL, content=HEAD + LINE, headers=CSV)
    assert looked.status_code == 200
    assert (looked.json()["new"], looked.json()["stored"]) == (1, False)
    assert stored(client, register) == []
    done = client.post(URL, content=HEAD + LINE, headers=CSV, params={"dry_run": "false"})
    assert (done.json()["new"], done.json()["stored"]) == (1, True)
    assert stored(client, register) == ["1.500"]


def test_a_bad_line_is_told_and_nothing_is_stored(client: TestClient, register: int) -> None:
    text = HEAD + LINE + LINE.replace("m³", "l").replace("01T", "02T")
    looked = client.post(URL, content=text, headers=CSV)
    assert looked.json()["faults"] == [
        {
            "line": 3,
            "column": "unit",
            "wrong": "'l' is not the register's unit, 'm³'",
            "advice": "convert the values",
        }
    ]
    refused = client.post(URL, content=text, headers=CSV, params={"dry_run": "false"})
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["detail"] == "nothing is imported: 1 of 2 lines cannot be taken"
    assert [one["field"] for one in refused.json()["errors"]] == ["line 3, unit"]
    assert stored(client, register) == []


def test_how_a_file_is_read_can_be_said(client: TestClient, register: int) -> None:
    text = HEAD.replace(",", "\t") + "gw-1\twater-1\tvolume\tm³\t2026-06-01\t1,5\n"
    query = {"decimal": "comma", "zone": "Europe/Bucharest", "dry_run": "false"}
    assert client.post(URL, content=text, headers=CSV, params=query).json()["stored"] is True
    assert stored(client, register) == ["1.500"]


@pytest.mark.parametrize(
    ("body", "headers", "query", "status"),
    [
        (HEAD + LINE, {"Content-Type": "application/json"}, {}, 415),
        ("device\nx\n", CSV, {}, 422),
        (HEAD + LINE, CSV, {"zone": "Middle/Earth"}, 422),
        (HEAD + LINE, CSV, {"decimal": "dot"}, 422),
        (HEAD + LINE, CSV | {"Content-Length": str(MAX_IMPORT_BYTES + 1)}, {}, 413),
    ],
)
def test_what_is_no_file_is_a_problem(
    *,
    client: TestClient,
    body: str,
    headers: dict[str, str],
    query: dict[str, str],
    status: int,
) -> None:
    for kind in ("readings", "metering-points"):
        answer = client.post(f"/api/v1/import/{kind}", content=body, headers=headers, params=query)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_only_an_administrator_may(clients: tuple[TestClient, TestClient], register: int) -> None:
    for kind in ("readings", "metering-points"):
        answer = clients[1].post(f"/api/v1/import/{kind}", content=HEAD + LINE, headers=CSV)
        assert answer.status_code == 403


def test_a_file_larger_than_other_bodies_is_taken(client: TestClient, register: int) -> None:
    lines = [LINE.replace("T00:00", f"T{n // 60:02}:{n % 60:02}") for n in range(1400)]
    answer = client.post(URL, content=HEAD + "".join(lines), headers=CSV)
    assert answer.json()["new"] == 1400


def test_so_many_files_are_taken_in_at_a_time_and_no_more(api: FastAPI, client: TestClient) -> None:
    slots: Slots = api.state.import_slots
    with ExitStack() as running:
        for _ in range(AT_ONCE):
            running.enter_context(slots.one())
        answer = client.post(URL, content=HEAD + LINE, headers=CSV)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert "imports" in answer.json()["detail"]
    assert client.post(URL, content=HEAD + LINE, headers=CSV).status_code == 200


def test_the_examples_of_the_document_work(client: TestClient) -> None:
    document = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    pattern = r"^POST (/api/v1/import/\S+)\nContent-Type: (\S+)\n\n(.*?)^```"
    examples = re.findall(pattern, document, re.MULTILINE | re.DOTALL)
    assert len(examples) == 2
    for url, kind, body in examples:
        answer = client.post(url, content=body, headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["new"], answer.json()["faults"]) == (200, 2, [])
        assert answer.json()["stored"] is ("dry_run=false" in url)
