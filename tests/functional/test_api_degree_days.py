"""Degree days over REST."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from cloud.api.app import create_api
from cloud.services import accounts
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock, to_ms
from common.registers import Kind, Medium
from tests.harness.masterdata import MasterData

START = to_ms(datetime(2026, 2, 1, tzinfo=UTC))
NOW = to_ms(datetime(2026, 3, 2, tzinfo=UTC))
HOUR = 3_600_000
POINT = {"key": "boiler", "name": "Boiler", "site": "mill", "medium": "gas", "kind": "volume"}
USUAL = ["620", "560", "450", "280", "120", "30", "0", "5", "90", "260", "430", "570"]
URL = "/api/v1/metering-points/1"


@pytest.fixture
def admin(sqlite_store: Store, sqlite_url: str) -> Iterator[TestClient]:
    """Of a boiler that burns 0.1 m³ each hour at 5 °C, as metering point 1."""
    data = MasterData(sqlite_url)
    device = data.add_device(data.add_gateway(data.add_site(timezone="UTC")))
    register = data.add_register(device, interval_s=3600, medium=Medium.GAS)
    outside = data.add_register(device, "outside", kind=Kind.TEMPERATURE, decimals=1)
    hours = range(28 * 24 + 2)
    data.add_readings(register, [(START + n * HOUR, 1000 + n * 100) for n in hours])
    data.add_readings(outside, [(START + n * HOUR, 50) for n in hours])
    data.close()
    accounts.create(sqlite_store, "ana", "correct horse", Role.ADMIN, NOW)
    token = accounts.create_token(sqlite_store, "ana", "test", NOW, None)
    api = create_api(sqlite_store, clock=ManualClock(NOW))
    with TestClient(api, headers={"Authorization": f"Bearer {token}"}) as client:
        assert client.post("/api/v1/metering-points", json=POINT).status_code == 201
        order = {"at": "2026-02-01T00:00:00Z", "register_id": register}
        assert client.post(f"{URL}/install", json=order).status_code == 200
        yield client


def test_a_month_is_told_with_what_it_would_have_been_in_a_usual_year(admin: TestClient) -> None:
    asked = {"start": "2026-02-01T00:00:00Z", "end": "2026-03-01T00:00:00Z"}
    assert admin.get(f"{URL}/degree-days", params=asked).status_code == 404
    put = admin.put(f"{URL}/heating", json={"register_id": 2, "reference": USUAL})
    assert (put.status_code, put.json()["base"], put.json()["limit"]) == (200, "20", "15")
    [month] = admin.get(f"{URL}/degree-days", params=asked).json()
    assert month == {
        "start": "2026-02-01T00:00:00Z",
        "end": "2026-03-01T00:00:00Z",
        "degree_days": "420.00",
        "heating_days": 28,
        "temperature_percent": "100.0",
        "consumption": "67.200",
        "estimated": False,
        "corrected": False,
        "measured_percent": "100.0",
        "reference": "560",
        "per_degree_day": "0.160000",
        "normalised": "89.600000",
        "status": "good",
    }
    assert admin.get(f"{URL}/degree-days", params={**asked, "step": "hour"}).status_code == 422


def test_with_if_match_nothing_is_replaced_that_was_not_seen(admin: TestClient) -> None:
    assert admin.put(f"{URL}/heating", json={"register_id": 2}).status_code == 200
    seen = {"If-Match": admin.get(f"{URL}/heating").headers["etag"]}
    wanted = {"register_id": 2, "limit": "12"}
    assert admin.put(f"{URL}/heating", json=wanted, headers=seen).json()["revision"] == 2
    refused = admin.put(f"{URL}/heating", json={"register_id": 2}, headers=seen)
    assert refused.status_code == 412
