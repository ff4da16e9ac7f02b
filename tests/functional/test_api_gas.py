"""The energy of gas over REST."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from cloud.api.app import create_api
from cloud.services import accounts
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock, to_ms
from common.registers import Medium
from tests.harness.masterdata import MasterData

START = to_ms(datetime(2026, 6, 1, tzinfo=UTC))
NOW = to_ms(datetime(2026, 7, 2, tzinfo=UTC))
POINT = {"key": "boiler", "name": "Boiler", "site": "mill", "medium": "gas", "kind": "volume"}
AREA = {
    "name": "Valley",
    "values": [
        {"valid_from": "2026-06-01", "hs": "11.302"},
        {"valid_from": "2026-06-02", "hs": "11.28", "preliminary": True},
    ],
    "reason": "published",
}
STATES = {"states": [{"valid_from": "2026-01-01", "z": "0.9674", "area": "valley"}]}


@pytest.fixture
def admin(sqlite_store: Store, sqlite_url: str) -> Iterator[TestClient]:
    """Of a boiler that burns 0.1 m³ each hour of two days, as metering point 1."""
    data = MasterData(sqlite_url)
    device = data.add_device(data.add_gateway(data.add_site(timezone="UTC")))
    register = data.add_register(device, interval_s=3600, medium=Medium.GAS)
    data.add_readings(register, [(START + n * 3_600_000, 1000 + n * 100) for n in range(50)])
    data.close()
    accounts.create(sqlite_store, "ana", "correct horse", Role.ADMIN, NOW)
    token = accounts.create_token(sqlite_store, "ana", "test", NOW, None)
    api = create_api(sqlite_store, clock=ManualClock(NOW))
    with TestClient(api, headers={"Authorization": f"Bearer {token}"}) as client:
        assert client.post("/api/v1/metering-points", json=POINT).status_code == 201
        order = {"at": "2026-06-01T00:00:00Z", "register_id": register}
        assert client.post("/api/v1/metering-points/1/install", json=order).status_code == 200
        yield client


def test_volume_becomes_energy_with_the_factors_that_were_put(admin: TestClient) -> None:
    assert admin.put("/api/v1/gas-areas/valley", json=AREA).json()["revision"] == 1
    assert admin.put("/api/v1/metering-points/1/gas", json=STATES).status_code == 200
    asked = {"start": "2026-06-01T00:00:00Z", "end": "2026-06-03T00:00:00Z"}
    first, second = admin.get("/api/v1/metering-points/1/energy", params=asked).json()
    assert first == {
        "start": "2026-06-01T00:00:00Z",
        "end": "2026-06-02T00:00:00Z",
        "volume": "2.400",
        "energy": "26.2405315200",
        "estimated": False,
        "corrected": False,
        "measured_percent": "100.0",
        "uses": [
            {
                "start": "2026-06-01",
                "end": "2026-06-02",
                "volume": "2.400",
                "z": "0.9674",
                "hs": "11.302",
                "area": "valley",
                "preliminary": False,
                "energy": "26.2405315200",
            }
        ],
    }
    assert (second["estimated"], second["energy"]) == (True, "26.189452800")
    [change] = admin.get("/api/v1/gas-areas/valley/changes").json()
    assert (change["by"], change["reason"]) == ("ana", "published")


@pytest.mark.parametrize(
    ("url", "first", "second"),
    [
        ("/api/v1/gas-areas/valley", AREA, {**AREA, "name": "Hill"}),
        ("/api/v1/metering-points/1/gas", STATES, {"states": []}),
    ],
)
def test_with_if_match_nothing_is_replaced_that_was_not_seen(
    admin: TestClient, url: str, first: dict[str, object], second: dict[str, object]
) -> None:
    admin.put("/api/v1/gas-areas/valley", json=AREA)
    assert admin.put(url, json=first).status_code == 200
    seen = {"If-Match": admin.get(url).headers["etag"]}
    assert admin.put(url, json=second, headers=seen).json()["revision"] == 2
    refused = admin.put(url, json=first, headers=seen)
    assert refused.status_code == 412
    assert admin.get(url).json()["revision"] == 2


def test_what_cannot_be_used_is_refused_with_what_to_do(admin: TestClient) -> None:
    in_mj = {"name": "Valley", "values": [{"valid_from": "2026-06-01", "hs": "40.7"}]}
    refused = admin.put("/api/v1/gas-areas/valley", json=in_mj)
    assert refused.status_code == 422
    assert "write it in kWh/m³" in refused.json()["detail"]
    assert admin.get("/api/v1/gas-areas/valley").status_code == 404
    assert admin.get("/api/v1/gas-areas").json() == []
    assert admin.put("/api/v1/metering-points/1/gas", json=STATES).status_code == 422


def test_the_state_number_is_told_with_what_it_was_made_of(admin: TestClient) -> None:
    asked = {"altitude_m": "33", "pressure_mbar": "22"}
    assert admin.get("/api/v1/gas-state-number", params=asked).json() == {
        "z": "0.9674",
        "altitude_m": "33",
        "pressure_mbar": "22",
        "temperature_c": "15",
        "compressibility": "1",
    }
