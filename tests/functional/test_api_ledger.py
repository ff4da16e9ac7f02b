"""The books over REST: ledger, rejections, quarantine, completeness."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient

from cloud.api.app import create_api
from cloud.services import accounts
from cloud.services.ingest import ingest
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock, to_ms
from common.messages.batch import Entry, pack
from common.messages.envelope import deflate, encode
from tests.harness.masterdata import STREAM, MasterData
from tests.harness.says import Gateway, catalog, power

NOW = to_ms(datetime(2026, 6, 2, 12, tzinfo=UTC))
MINUTE = 60_000


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    """A client with a viewer's token."""
    accounts.create(store, "ana", "correct horse", Role.VIEWER, NOW)
    token = accounts.create_token(store, "ana", "test", NOW, None)
    api = create_api(store, clock=ManualClock(NOW))
    with TestClient(api, headers={"Authorization": f"Bearer {token}"}) as opened:
        yield opened


@pytest.fixture
def gateway(data: MasterData) -> int:
    return data.add_gateway(data.add_site(), seen_at=NOW)


def test_a_ledger_tells_what_came_what_is_missing_and_what_is_lost(
    client: TestClient, data: MasterData, gateway: int
) -> None:
    old = data.add_stream(gateway, [(1, 5)], stream="a" * 32)
    stream = data.add_stream(gateway, [(1, 40), (43, 60)])
    data.add_loss(stream, 11, 20, NOW - MINUTE, NOW)
    data.add_rejected(stream, 7)
    assert old != stream
    newest, oldest = client.get(f"/api/v1/gateways/{gateway}/ledger").json()
    assert newest == {
        "stream": STREAM,
        "current": True,
        "since": "1970-01-01T00:00:01Z",
        "closed_at": None,
        "settled": [{"first": 1, "last": 40}, {"first": 43, "last": 60}],
        "missing": [{"first": 41, "last": 42, "since": "1970-01-01T00:00:00Z", "held": True}],
        "losses": [
            {
                "first": 11,
                "last": 20,
                "reason": "drop_oldest",
                "start": "2026-06-02T11:59:00Z",
                "end": "2026-06-02T12:00:00Z",
                "received_at": "2026-06-02T12:00:00Z",
            }
        ],
        "committed": 48,
        "lost": 10,
        "rejected": 1,
    }
    assert (oldest["stream"], oldest["current"], oldest["missing"]) == ("a" * 32, False, [])


def test_an_entry_is_asked_by_which_clock_it_was_dated(client: TestClient, store: Store) -> None:
    entries = [
        Entry(seq, msgspec.Raw(encode(body)), NOW, 7, 60_000, 2)
        for seq, body in enumerate((catalog(), power(NOW, 5)), 1)
    ]
    says = Gateway(stream=STREAM)
    ingest(store, [says.hello(), says.received("journal", pack(STREAM, entries))], NOW)
    [gateway] = client.get("/api/v1/gateways").json()
    url = f"/api/v1/gateways/{gateway['id']}/streams/{STREAM}"
    span = {"first": 1, "last": 2, "boot": 7, "ahead_ms": NOW - 60_000, "quality": "cloud"}
    assert client.get(f"{url}/clocks").json() == {"items": [span], "next": None}
    assert client.get(f"{url}/entries/2/clock").json() == span
    assert client.get(f"{url}/entries/3/clock").status_code == 404
    assert client.get(f"{url[:-1]}x/clocks").status_code == 422
    del client.headers["Authorization"]
    assert client.get(f"{url}/clocks").status_code == 401


def test_rejected_entries_are_shown_with_reason_and_body(
    client: TestClient, data: MasterData, gateway: int
) -> None:
    stream = data.add_stream(gateway)
    for seq in (7, 8, 9):
        data.add_rejected(stream, seq)
    other = data.add_stream(data.add_gateway(data.add_site("hall"), "gw-2"))
    data.add_rejected(other, 1)
    url = f"/api/v1/gateways/{gateway}/rejections"
    found = client.get(url).json()["items"]
    assert [one["seq"] for one in found] == [9, 8, 7]
    assert found[0] == {
        "stream": STREAM,
        "seq": 9,
        "reason": "no such register",
        "body": "{}",
        "size": 2,
        "received_at": "1970-01-01T00:00:01Z",
    }


def test_messages_in_quarantine_are_shown_as_text_where_they_are_some(
    client: TestClient, data: MasterData
) -> None:
    text = '{"stream":"' + "x" * 300 + '"}'
    for payload in (text.encode(), deflate(text.encode()), b"\xff\x00"):
        data.add_quarantined("inmetter/v1/gw-1/up/journal", payload, "not a batch")
    binary, packed, plain = client.get("/api/v1/quarantine").json()["items"]
    assert (binary["text"], binary["payload"], binary["size"]) == (None, "/wA=", 2)
    assert packed["text"] == plain["text"] == text
    assert packed["size"] < plain["size"]
    assert plain["reason"] == "not a batch"


def test_completeness_is_by_register_and_local_day(
    client: TestClient, data: MasterData, gateway: int
) -> None:
    midnight = to_ms(datetime(2026, 6, 1, 21, tzinfo=UTC))
    register = data.add_register(data.add_device(gateway), interval_s=3600)
    data.add_readings(register, [(midnight + n * 60 * MINUTE, n) for n in range(10)])
    span = {"start": "2026-06-01T21:00:00Z"}
    day = {
        "start": "2026-06-01T21:00:00Z",
        "end": "2026-06-02T21:00:00Z",
        "expected": 15,
        "got": 10,
        "estimated": 0,
        "missing": 5,
        "failing": 0,
        "lost": 0,
        "waiting": 0,
    }
    one = {
        "register_id": register,
        "key": "volume",
        "name": "Volume",
        "interval_s": 3600,
        "days": [day],
    }
    device = {"key": "water-1", "name": "Water-1", "days": [day], "registers": [one]}
    assert client.get(f"/api/v1/registers/{register}/completeness", params=span).json() == one
    assert client.get(f"/api/v1/gateways/{gateway}/completeness", params=span).json() == {
        "gateway": "gw-1",
        "timezone": "Europe/Bucharest",
        "days": [day],
        "devices": [device],
    }


def test_what_cannot_be_asked_is_a_problem(client: TestClient, gateway: int) -> None:
    base = "/api/v1/gateways"
    backwards = {"start": "2026-06-02T00:00:00Z", "end": "2026-06-01T00:00:00Z"}
    years = {"start": "2020-06-02T00:00:00Z"}
    asked: list[tuple[str, dict[str, Any], int]] = [
        (f"{base}/4711/ledger", {}, 404),
        (f"{base}/4711/rejections", {}, 404),
        (f"{base}/4711/completeness", years, 404),
        ("/api/v1/registers/4711/completeness", years, 404),
        (f"{base}/{gateway}/completeness", {}, 422),
        (f"{base}/{gateway}/completeness", backwards, 422),
        (f"{base}/{gateway}/completeness", years, 422),
        (f"{base}/{gateway}/rejections", {"limit": 1001}, 422),
        ("/api/v1/quarantine", {"limit": 0}, 422),
    ]
    for url, query, status in asked:
        answer = client.get(url, params=query)
        assert (answer.status_code, answer.json()["status"]) == (status, status), url
