"""What a token may be used for."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from cloud.__main__ import FAILED, GOOD, main
from cloud.api.app import create_api
from cloud.services import accounts
from cloud.services.scopes import OF_ROLE, Scope
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock

NOW = 1_790_000_000_000
OPEN = {"GET /healthz", "GET /readyz"}
OTHERS = {
    "POST /api/v1/commands": Scope.COMMAND,
    "POST /api/v1/commands/{command_id}/cancel": Scope.COMMAND,
    "PUT /api/v1/gateways/{gateway_id}/configuration": Scope.CONFIGURE,
    "POST /api/v1/metering-points/{point_id}/statements": Scope.BILL,
    "POST /api/v1/registers/{register_id}/corrections": Scope.BILL,
    "POST /api/v1/registers/{register_id}/corrections/{correction_id}/withdraw": Scope.BILL,
    "PUT /api/v1/metering-points/{point_id}/tariff": Scope.CONFIGURE,
    "PUT /api/v1/metering-points/{point_id}/analyses": Scope.CONFIGURE,
    "PUT /api/v1/metering-points/{point_id}/gas": Scope.CONFIGURE,
    "PUT /api/v1/metering-points/{point_id}/heating": Scope.CONFIGURE,
    "PUT /api/v1/gas-areas/{key}": Scope.CONFIGURE,
    "PUT /api/v1/tariffs/{key}": Scope.CONFIGURE,
    "POST /api/v1/import/readings": Scope.CONFIGURE,
    "POST /api/v1/import/metering-points": Scope.CONFIGURE,
    "POST /api/v1/metering-points": Scope.CONFIGURE,
    "PUT /api/v1/metering-points/{point_id}/terms": Scope.CONFIGURE,
    "PUT /api/v1/metering-points/{point_id}/billing": Scope.CONFIGURE,
    "POST /api/v1/metering-points/{point_id}/install": Scope.CONFIGURE,
    "POST /api/v1/metering-points/{point_id}/exchange": Scope.CONFIGURE,
    "POST /api/v1/metering-points/{point_id}/remove": Scope.CONFIGURE,
    "POST /api/v1/metering-points/{point_id}/reset": Scope.CONFIGURE,
}
BODIES = {
    "/api/v1/commands": {"register_id": 1, "value": 1},
    "/api/v1/gateways/1/configuration": {"toml": ""},
}
MISSING = {
    "stream": "0" * 32,
    "command_id": "0" * 32,
    "message_id": "1-1",
    "start": "2026-01-01T00:00:00Z",
    "register_id": "1",
    "key": "water",
    "altitude_m": "33",
    "pressure_mbar": "22",
}

Client = Callable[[Role, list[Scope]], TestClient]


@pytest.fixture
def client(sqlite_store: Store) -> Client:
    """Makes a client with a token of these scopes, of an account of that role."""
    api = create_api(sqlite_store, clock=ManualClock(NOW))

    def made(role: Role, scopes: list[Scope]) -> TestClient:
        if role not in {one.name for one in accounts.accounts(sqlite_store)}:
            accounts.create(sqlite_store, role, "correct horse", role, NOW)
        token = accounts.create_token(sqlite_store, role, "test", NOW, None, scopes=scopes)
        return TestClient(api, headers={"Authorization": f"Bearer {token}"})

    return made


def operations(client: TestClient) -> dict[str, list[dict[str, list[str]]]]:
    """What each operation of the document needs."""
    paths = client.get("/api/openapi.json").json()["paths"]
    return {
        f"{method.upper()} {path}": operation.get("security", [])
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def test_every_route_needs_exactly_one_scope_and_says_so(client: Client) -> None:
    for name, needed in operations(client(Role.VIEWER, [])).items():
        scopes = [] if name in OPEN else [{"token": [OTHERS.get(name, Scope.READ)]}]
        assert needed == scopes, name


@pytest.mark.parametrize("lacking", list(Scope))
def test_a_token_without_the_scope_is_refused_by_every_route_that_needs_it(
    client: Client, lacking: Scope
) -> None:
    admin = client(Role.ADMIN, [one for one in Scope if one != lacking])
    for name, needed in operations(admin).items():
        if name in OPEN:
            continue
        method, path = name.split()
        for part, value in MISSING.items():
            path = path.replace(f"{{{part}}}", value)
        for part in (
            "site_id",
            "gateway_id",
            "meter_id",
            "version",
            "seq",
            "point_id",
            "statement_id",
        ):
            path = path.replace(f"{{{part}}}", "1")
        query = {} if path == "/api/v1/commands" else MISSING
        answer = admin.request(method, path, params=query, json=BODIES.get(path))
        if needed == [{"token": [lacking]}]:
            assert answer.status_code == 403, name
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["detail"] == f"this token has no scope {lacking}"
            challenge = f'Bearer error="insufficient_scope", scope="{lacking}"'
            assert answer.headers["www-authenticate"] == challenge
        else:
            assert answer.status_code in {200, 404, 415, 422}, (name, answer.text)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_what_the_role_has_not_is_said_of_the_account(client: Client, role: Role) -> None:
    answer = client(role, []).put("/api/v1/gateways/1/configuration", json={"toml": ""})
    assert answer.status_code == 403
    assert answer.json()["detail"] == f"{role}, who is {role}, has no scope configure"
    assert Scope.CONFIGURE not in OF_ROLE[role]


def test_the_command_makes_a_token_of_the_scopes_that_it_is_told(
    sqlite_store: Store, sqlite_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "cloud.toml"
    config.write_text(f'[database]\nurl = "{sqlite_url}"\n')
    for role in Role:
        accounts.create(sqlite_store, role, "correct horse", role, NOW)

    def made(role: Role, *scopes: Scope) -> set[Scope] | None:
        given = [word for one in scopes for word in ("--scope", one)]
        done = main(["--config", str(config), "user", "token", role, *given])
        access = accounts.by_token(sqlite_store, capsys.readouterr().out.strip(), NOW)
        assert done == (GOOD if access else FAILED)
        return set(access.scopes) if access else None

    for one in Scope:
        assert made(Role.ADMIN, one) == {one}
    assert made(Role.ADMIN, Scope.READ, Scope.COMMAND) == {Scope.READ, Scope.COMMAND}
    assert made(Role.OPERATOR) == {Scope.READ, Scope.COMMAND, Scope.BILL}
    assert made(Role.VIEWER, Scope.COMMAND) is None
