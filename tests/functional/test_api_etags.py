"""The REST API tells a client that has the answer already that nothing has changed."""

from collections.abc import AsyncIterator, Iterator

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

from cloud.api.app import create_api
from cloud.api.etags import ETags
from cloud.services import accounts
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock
from tests.harness.masterdata import MasterData

NOW = 1_790_000_000_000


@pytest.fixture
def client(sqlite_store: Store, sqlite_url: str) -> Iterator[TestClient]:
    accounts.create(sqlite_store, "ana", "correct horse", Role.VIEWER, NOW)
    token = accounts.create_token(sqlite_store, "ana", "test", NOW, None)
    data = MasterData(sqlite_url)
    gateway = data.add_gateway(data.add_site(), seen_at=NOW)
    data.add_event(data.add_stream(gateway), 1, gateway, at=NOW)
    data.add_event(1, 2, gateway, at=NOW + 1)
    data.close()
    api = create_api(sqlite_store, clock=ManualClock(NOW))
    with TestClient(api, headers={"Authorization": f"Bearer {token}"}) as opened:
        yield opened


@pytest.mark.parametrize("wrap", ["{}", "W/{}", '"x", {}', "*"])
def test_an_answer_that_the_client_has_is_not_sent_again(client: TestClient, wrap: str) -> None:
    whole = client.get("/api/v1/events?limit=1")
    etag = whole.headers["etag"]
    assert etag.startswith('"')
    assert whole.headers["cache-control"] == "private, no-cache"
    headers = {"If-None-Match": wrap.format(etag)}
    again = client.get("/api/v1/events?limit=1", headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag
    assert again.headers["link"] == whole.headers["link"]
    assert "content-type" not in again.headers


def test_an_answer_that_has_changed_is_sent(client: TestClient, sqlite_url: str) -> None:
    etag = client.get("/api/v1/events").headers["etag"]
    data = MasterData(sqlite_url)
    data.add_event(1, 3, 1, at=NOW + 2)
    data.close()
    changed = client.get("/api/v1/events", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert len(changed.json()["items"]) == 3
    assert changed.headers["etag"] != etag


def test_errors_have_no_etag_and_are_sent_to_who_has_something(client: TestClient) -> None:
    for path in ("/api/v1/sites/9", "/api/v1/events?limit=0"):
        answer = client.get(path, headers={"If-None-Match": "*"})
        assert answer.status_code in {404, 422}
        assert "etag" not in answer.headers


def test_what_is_streamed_is_neither_held_back_nor_tagged() -> None:
    app = FastAPI()
    app.add_middleware(ETags)

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x"

    @app.get("/api/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(parts())

    answer = TestClient(app).get("/api/stream", headers={"If-None-Match": "*"})
    assert (answer.status_code, answer.text) == (200, "xxx")
    assert "etag" not in answer.headers
