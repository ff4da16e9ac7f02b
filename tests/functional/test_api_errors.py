"""The REST API when something is wrong: every answer is a problem, and none is a traceback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from cloud.api.app import create_api
from cloud.api.limits import MAX_BODY_BYTES
from cloud.services import accounts
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock
from common.errors import Unreachable
from tests.harness.masterdata import MasterData

NOW = 1_790_000_000_000


@pytest.fixture
def token(sqlite_store: Store) -> str:
    accounts.create(sqlite_store, "ana", "correct horse", Role.OPERATOR, NOW)
    return accounts.create_token(sqlite_store, "ana", "test", NOW, None)


@pytest.fixture
def client(sqlite_store: Store, token: str) -> Iterator[TestClient]:
    api = create_api(sqlite_store, clock=ManualClock(NOW))
    headers = {"Authorization": f"Bearer {token}"}
    with TestClient(api, headers=headers, raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def register(sqlite_url: str) -> Iterator[int]:
    data = MasterData(sqlite_url)
    yield data.add_register(data.add_device(data.add_gateway(data.add_site())))
    data.close()


@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer nonsense", "Basic YTpi", "Bearer ü"])
def test_without_a_valid_token_every_route_says_401(client: TestClient, header: str | None) -> None:
    del client.headers["Authorization"]
    headers = {"Authorization": header.encode()} if header else {}
    document = client.get("/api/openapi.json").json()
    for path, operations in document["paths"].items():
        if not path.startswith("/api/"):
            continue
        url = path.replace("{command_id}", "0" * 32)
        for name in ("site_id", "gateway_id", "meter_id", "register_id", "version"):
            url = url.replace(f"{{{name}}}", "1")
        for method in operations:
            response = client.request(method, url, headers=headers)
            assert response.status_code == 401, (method, url)
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/sites/9",
        "/api/v1/gateways/9",
        "/api/v1/gateways/9/configuration",
        "/api/v1/gateways/9/configuration/versions",
        "/api/v1/gateways/9/configuration/versions/1",
        "/api/v1/meters/9",
        "/api/v1/outputs/9",
        "/api/v1/registers/9/readings?start=2026-01-01T00:00:00Z",
        "/api/v1/registers/9/consumption?start=2026-01-01T00:00:00Z",
        f"/api/v1/commands/{'0' * 32}",
        "/api/v1/nothing",
    ],
)
def test_what_does_not_exist_is_404(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == 404
    assert body["title"] == "Not Found"
    assert body["type"] == "about:blank"


@pytest.mark.parametrize(
    "query",
    [
        "/registers/1/readings",
        "/registers/1/readings?start=yesterday",
        "/registers/1/readings?start=2026-01-01T00:00:00",
        "/registers/1/readings?start=2026-01-01T00:00:00Z&limit=0",
        "/registers/1/readings?start=2026-01-01T00:00:00Z&limit=10001",
        "/registers/1/readings?start=2026-01-01T00:00:00Z&end=2026-01-01T00:00:00Z",
        "/registers/1/readings?start=2026-01-01T00:00:00Z&cursor=x",
        "/registers/1/consumption?start=2026-01-01T00:00:00Z&step=fortnight",
        "/registers/1/consumption?start=1026-01-01T00:00:00Z",
        "/registers/1/consumption?start=9999-12-31T00:00:00Z&end=9999-12-31T23:59:00Z",
        "/registers/99999999999/readings?start=2026-01-01T00:00:00Z",
        "/meters/0",
        "/meters/one",
        "/latest",
        "/latest?register_id=99999999999",
        "/commands/xyz",
        f"/commands/{'A' * 32}",
        "/commands?limit=501",
        "/events?limit=-1",
    ],
)
def test_what_makes_no_sense_is_422_and_says_why(
    client: TestClient, register: int, query: str
) -> None:
    response = client.get(f"/api/v1{query}")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["detail"]
    assert all(one["field"] and one["detail"] for one in body.get("errors", []))


def test_a_field_that_is_wrong_is_named(client: TestClient) -> None:
    body = client.get("/api/v1/events?limit=0").json()
    assert [error["field"] for error in body["errors"]] == ["query.limit"]


def test_the_ends_of_the_calendar_are_no_trouble(client: TestClient, register: int) -> None:
    response = client.get(
        f"/api/v1/registers/{register}/readings",
        params={"start": "0001-01-01T00:00:00+14:00", "end": "9999-12-31T23:59:59-14:00"},
    )
    assert response.json() == {"items": [], "next": None}


def test_a_wrong_method_is_405(client: TestClient) -> None:
    response = client.delete("/api/v1/sites")
    assert response.status_code == 405
    assert response.headers["content-type"] == "application/problem+json"


def test_a_body_that_is_too_large_is_413_declared_or_not(client: TestClient) -> None:
    body = b'{"reason": "' + b"x" * MAX_BODY_BYTES + b'"}'

    def in_parts() -> Iterator[bytes]:
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    for content in (body, in_parts()):
        response = client.post("/api/v1/commands", content=content)
        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"]\xef\xbf", b"\xff\xfe", b"[]", b"null", b"1e999", b"[" * 60_000]
)
def test_a_body_that_is_no_order_is_422(client: TestClient, content: bytes) -> None:
    response = client.post("/api/v1/commands", content=content)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"


def test_when_the_database_is_away_the_answer_is_503_without_its_secrets(
    client: TestClient, sqlite_url: str, sqlite_store: Store
) -> None:
    sqlite_store.close()
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    file.rename(file.with_suffix(".away"))
    file.mkdir()
    for path in ("/api/v1/sites", "/readyz"):
        response = client.get(path)
        assert response.status_code == 503
        assert response.headers["retry-after"] == "5"
        assert response.headers["content-type"] == "application/problem+json"
        assert file.name not in response.text


def test_ready_means_database_and_every_check(sqlite_store: Store) -> None:
    broker_is_there = True

    def check_broker() -> None:
        if not broker_is_there:
            raise Unreachable("no connection to the MQTT broker")

    api = create_api(sqlite_store, clock=ManualClock(NOW), checks=[check_broker])
    with TestClient(api) as client:
        assert client.get("/readyz").status_code == 200
        broker_is_there = False
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200


def test_a_fault_of_ours_is_500_without_a_traceback(sqlite_store: Store) -> None:
    def check() -> None:
        raise ZeroDivisionError("secret")

    api = create_api(sqlite_store, clock=ManualClock(NOW), checks=[check])
    with TestClient(api, raise_server_exceptions=False) as client:
        response = client.get("/readyz")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret" not in response.text
    assert "Traceback" not in response.text
