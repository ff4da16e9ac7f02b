"""The REST API over a real store: what was measured, and how it is said."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from fastapi.testclient import TestClient

from cloud.api.app import create_api
from cloud.services import accounts
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock, to_ms
from common.registers import Kind
from tests.harness.masterdata import MasterData

NOW = to_ms(datetime(2026, 6, 2, 12, tzinfo=UTC))
HOUR = 3_600_000


@pytest.fixture
def data(sqlite_url: str) -> Iterator[MasterData]:
    written = MasterData(sqlite_url)
    yield written
    written.close()


@pytest.fixture
def client(sqlite_store: Store) -> Iterator[TestClient]:
    """A client with a viewer's token."""
    accounts.create(sqlite_store, "ana", "correct horse", Role.VIEWER, NOW)
    token = accounts.create_token(sqlite_store, "ana", "test", NOW, None)
    api = create_api(sqlite_store, clock=ManualClock(NOW))
    with TestClient(api, headers={"Authorization": f"Bearer {token}"}) as opened:
        yield opened


@pytest.fixture
def register(data: MasterData) -> int:
    """A cold water index with three decimals."""
    gateway = data.add_gateway(data.add_site(), seen_at=NOW - 1000, queued=3)
    return data.add_register(data.add_device(gateway), interval_s=3600)


def test_sites_gateways_and_meters_are_listed_and_found(
    client: TestClient, data: MasterData, register: int
) -> None:
    data.add_readings(register, [(NOW - 1500, 12345)])
    answers: dict[str, dict[str, object]] = {
        "sites": {"key": "mill", "timezone": "Europe/Bucharest", "gateways_online": 1},
        "gateways": {"key": "gw-1", "online": True, "queued": 3, "seen_at": "2026-06-02T11:59:59Z"},
        "meters": {"key": "water-1", "medium": "cold water", "site": "mill", "rate": None},
    }
    for what, expected in answers.items():
        (listed,) = client.get(f"/api/v1/{what}").json()
        assert listed.items() >= expected.items()
        assert client.get(f"/api/v1/{what}/{listed['id']}").json() == listed


def test_an_index_is_a_string_with_all_its_decimals(
    client: TestClient, data: MasterData, register: int
) -> None:
    data.add_readings(register, [(NOW - 1500, 12000)])
    (meter,) = client.get("/api/v1/meters").json()
    assert meter["index"]["reading"] == {
        "at": "2026-06-02T11:59:58.500000Z",
        "value": "12.000",
        "quality": "good",
        "raw": 7,
    }
    assert meter["index"]["register"]["unit"] == "m³"
    assert meter["index"]["register"]["kind"] == "volume"


def test_small_and_large_values_are_written_out(
    client: TestClient, data: MasterData, register: int
) -> None:
    device = data.add_device(data.add_gateway(data.add_site("hall"), "gw-2"))
    tiny = data.add_register(device, "tiny", kind=Kind.FLOW, decimals=9)
    data.add_readings(tiny, [(NOW, 0)])
    data.add_readings(register, [(NOW, 2**63 - 1)])
    found = client.get("/api/v1/latest", params={"register_id": [tiny, register]}).json()
    values = {one["register"]["id"]: one["reading"]["value"] for one in found}
    assert values == {tiny: "0.000000000", register: "9223372036854775.807"}


def test_a_span_has_an_inclusive_start_and_an_exclusive_end(
    client: TestClient, data: MasterData, register: int
) -> None:
    data.add_readings(register, [(NOW - HOUR, 1), (NOW, 2)])
    page = client.get(
        f"/api/v1/registers/{register}/readings",
        params={"start": "2026-06-02T14:00:00+03:00", "end": "2026-06-02T12:00:00Z"},
    ).json()
    assert [reading["value"] for reading in page["items"]] == ["0.001"]


def test_consumption_is_by_the_clock_of_the_site(
    client: TestClient, data: MasterData, register: int
) -> None:
    midnight = to_ms(datetime(2026, 5, 31, 21, tzinfo=UTC))
    data.add_readings(register, [(midnight + n * HOUR, n * 125) for n in range(25)])
    url = f"/api/v1/registers/{register}/consumption"
    span = {"start": "2026-05-31T21:00:00Z", "end": "2026-06-01T21:00:00Z"}
    assert client.get(url, params=span).json() == [
        {
            "start": "2026-05-31T21:00:00Z",
            "end": "2026-06-01T21:00:00Z",
            "value": "3.000",
            "estimated": False,
            "corrected": False,
            "quality": "measured",
            "measured_percent": "100.0",
        }
    ]
    hours = client.get(url, params={**span, "step": "hour"}).json()
    assert [hour["value"] for hour in hours] == ["0.125"] * 24
    assert sum(Decimal(hour["value"]) for hour in hours) == 3


def test_the_day_that_is_not_over_is_estimated(
    client: TestClient, data: MasterData, register: int
) -> None:
    midnight = to_ms(datetime(2026, 6, 1, 21, tzinfo=UTC))
    data.add_readings(register, [(midnight + n * HOUR, n * 125) for n in range(9)])
    url = f"/api/v1/registers/{register}/consumption"
    (today,) = client.get(url, params={"start": "2026-06-01T21:00:00Z"}).json()
    assert (today["value"], today["estimated"]) == ("1.000", True)


def test_events_are_listed_newest_first(
    client: TestClient, data: MasterData, register: int
) -> None:
    gateway = data.add_gateway(data.add_site("hall"), "gw-2")
    stream = data.add_stream(gateway)
    data.add_event(stream, 1, gateway, at=NOW - 2000)
    data.add_event(stream, 2, gateway, at=NOW - 1000, severity="info")
    listed = client.get("/api/v1/events").json()["items"]
    assert [event["seq"] for event in listed] == [2, 1]
    assert listed[1]["code"] == "leak"
    alarms = client.get("/api/v1/events", params={"open_alarms": True}).json()["items"]
    assert [event["seq"] for event in alarms] == [1]


def test_an_empty_installation_answers_with_empty_lists(client: TestClient) -> None:
    for what in ("sites", "gateways", "meters", "outputs", "rules"):
        response = client.get(f"/api/v1/{what}")
        assert (response.status_code, response.json()) == (200, [])
    for what in ("commands", "events", "quarantine"):
        response = client.get(f"/api/v1/{what}")
        assert (response.status_code, response.json()) == (200, {"items": [], "next": None})
        assert "link" not in response.headers
