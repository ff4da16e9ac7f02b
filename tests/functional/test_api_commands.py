"""The REST API: who may give orders, and what becomes of them."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from cloud.api.app import create_api
from cloud.services import accounts, commands
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock
from common.messages.downlink import Command
from common.messages.envelope import decode
from common.registers import Kind
from tests.harness.dispatch import KeepingDispatcher
from tests.harness.masterdata import MasterData

NOW = 1_790_000_000_000

SignIn = Callable[[Role], TestClient]


@pytest.fixture
def dispatcher() -> KeepingDispatcher:
    """Who publishes."""
    return KeepingDispatcher()


@pytest.fixture
def sign_in(sqlite_store: Store, dispatcher: KeepingDispatcher) -> SignIn:
    """Makes a client with the token of an account of that role."""
    api = create_api(sqlite_store, clock=ManualClock(NOW), dispatcher=dispatcher)

    def with_role(role: Role) -> TestClient:
        accounts.create(sqlite_store, role.value, "correct horse", role, NOW)
        token = accounts.create_token(sqlite_store, role.value, "test", NOW, None)
        return TestClient(api, headers={"Authorization": f"Bearer {token}"})

    return with_role


@pytest.fixture
def roof(sqlite_url: str) -> Iterator[int]:
    """An output."""
    data = MasterData(sqlite_url)
    device = data.add_device(data.add_gateway(data.add_site(), seen_at=NOW), "roof")
    yield data.add_register(device, "left", kind=Kind.OUTPUT, decimals=0)
    data.close()


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_an_operator_gives_an_order_and_it_is_sent_at_once(
    sign_in: SignIn, roof: int, dispatcher: KeepingDispatcher, role: Role
) -> None:
    client = sign_in(role)
    order = {"register_id": roof, "value": 1, "reason": "too hot", "ttl_s": 30}
    response = client.post("/api/v1/commands", json=order)
    assert response.status_code == 201
    issued = response.json()
    assert [step["state"] for step in issued["steps"]] == ["pending", "sent"]
    assert issued["wanted"] == "open"
    assert issued["issued_by"] == role.value
    assert issued["register"] == "left"
    assert issued["expires_at"] == "2026-09-21T14:13:50Z"
    (publication,) = dispatcher.sent
    assert decode(publication.payload, Command).id == issued["id"]
    assert client.get(f"/api/v1/commands/{issued['id']}").json() == issued
    assert client.get("/api/v1/commands", params={"register_id": roof}).json()["items"] == [issued]
    (output,) = client.get("/api/v1/outputs").json()
    assert output["last_command"] == issued
    assert output["register"]["states"] == ["closed", "open"]
    assert client.get(f"/api/v1/outputs/{roof}").json() == output


def test_a_viewer_gives_no_orders(
    sign_in: SignIn, sqlite_store: Store, roof: int, dispatcher: KeepingDispatcher
) -> None:
    client = sign_in(Role.VIEWER)
    pending = commands.issue(
        sqlite_store, register_id=roof, value=1, issued_by="x", ttl_s=60, now_ms=NOW
    )
    answers = [
        client.post("/api/v1/commands", json={"register_id": roof, "value": 1}),
        client.post(f"/api/v1/commands/{pending.id}/cancel"),
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].headers["content-type"] == "application/problem+json"
    assert dispatcher.sent == []
    assert [one.state for one in commands.recent(sqlite_store)] == ["pending"]


def test_a_command_is_cancelled_once(
    sign_in: SignIn, roof: int, dispatcher: KeepingDispatcher
) -> None:
    dispatcher.ready = False
    client = sign_in(Role.OPERATOR)
    issued = client.post("/api/v1/commands", json={"register_id": roof, "value": 0}).json()
    cancelled = client.post(f"/api/v1/commands/{issued['id']}/cancel")
    assert cancelled.json()["state"] == "cancelled"
    assert cancelled.json()["final"] is True
    again = client.post(f"/api/v1/commands/{issued['id']}/cancel")
    assert again.status_code == 403
    assert client.post(f"/api/v1/commands/{'0' * 32}/cancel").status_code == 404


@pytest.mark.parametrize(
    "order",
    [
        {"value": 1},
        {"register_id": 1},
        {"register_id": 1, "value": 2},
        {"register_id": 1, "value": True},
        {"register_id": 1, "value": "1"},
        {"register_id": 1, "value": 1, "ttl_s": 0},
        {"register_id": 1, "value": 1, "ttl_s": 3601},
        {"register_id": 1, "value": 1, "reason": "x" * 501},
        {"register_id": 1, "value": 1, "toggle": True},
    ],
)
def test_an_order_that_is_not_exact_is_refused(
    sign_in: SignIn, roof: int, dispatcher: KeepingDispatcher, order: dict[str, object]
) -> None:
    assert sign_in(Role.OPERATOR).post("/api/v1/commands", json=order).status_code == 422
    assert dispatcher.sent == []


def test_what_is_no_output_takes_no_order(sign_in: SignIn, sqlite_url: str, roof: int) -> None:
    data = MasterData(sqlite_url)
    volume = data.add_register(data.add_device(data.add_gateway(data.add_site("hall"), "gw-2")))
    data.close()
    client = sign_in(Role.OPERATOR)
    for register, status in ((volume, 403), (4711, 404)):
        order = {"register_id": register, "value": 1}
        assert client.post("/api/v1/commands", json=order).status_code == status


def test_an_expired_token_is_worth_nothing(sqlite_store: Store, sign_in: SignIn) -> None:
    client = sign_in(Role.ADMIN)
    old = accounts.create_token(sqlite_store, "admin", "old", NOW - 5000, timedelta(seconds=5))
    client.headers["Authorization"] = f"Bearer {old}"
    assert client.get("/api/v1/sites").status_code == 401
