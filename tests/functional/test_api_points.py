"""Metering points over REST: made, given a meter, exchanged, and asked what they consumed."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from cloud.api.app import create_api
from cloud.services import accounts
from cloud.services.store import Store
from cloud.services.views import Role
from cloud.services.watching import watch
from common.clock import ManualClock, to_ms
from tests.harness.masterdata import MasterData

START = to_ms(datetime(2026, 6, 1, tzinfo=UTC))
HOUR = 3_600_000
NOW = START + 48 * HOUR
POINT = {
    "key": "flat-1",
    "name": "Flat 1",
    "site": "mill",
    "medium": "cold water",
    "kind": "volume",
}


@pytest.fixture
def registers(sqlite_url: str) -> list[int]:
    """The old meter's and the new one's."""
    data = MasterData(sqlite_url)
    gateway = data.add_gateway(data.add_site(timezone="UTC"))
    data.add_stream(gateway)
    device = data.add_device(gateway)
    found = [data.add_register(device, key, interval_s=3600) for key in ("old", "new")]
    data.add_readings(found[0], [(START + n * HOUR, 1000 + n * 10) for n in range(25)])
    data.add_readings(found[1], [(START + n * HOUR, n * 10) for n in range(24, 49)])
    data.close()
    return found


@pytest.fixture
def clients(sqlite_store: Store) -> Iterator[tuple[TestClient, TestClient]]:
    """An administrator's and an operator's."""
    api = create_api(sqlite_store, clock=ManualClock(NOW))
    opened = []
    for name, role in (("ana", Role.ADMIN), ("ion", Role.OPERATOR)):
        accounts.create(sqlite_store, name, "correct horse", role, NOW)
        token = accounts.create_token(sqlite_store, name, "test", NOW, None)
        opened.append(TestClient(api, headers={"Authorization": f"Bearer {token}"}))
    yield opened[0], opened[1]
    for client in opened:
        client.close()


def test_a_meter_is_exchanged_and_the_month_is_whole(
    clients: tuple[TestClient, TestClient], registers: list[int]
) -> None:
    client, _ = clients
    made = client.post("/api/v1/metering-points", json=POINT)
    assert made.status_code == 201
    url = f"/api/v1/metering-points/{made.json()['id']}"
    put = client.post(
        f"{url}/install",
        json={"at": "2026-06-01T00:00:00Z", "register_id": registers[0], "serial": "A1"},
    )
    assert put.json()["installations"][0]["start_index"] == "1.000"
    exchanged = client.post(
        f"{url}/exchange",
        json={
            "at": "2026-06-02T03:00:00+03:00",
            "register_id": registers[1],
            "start_index": "0.240",
            "final_index": "1.240",
            "reason": "calibration has expired",
        },
    )
    assert [one["end"] for one in exchanged.json()["installations"]] == [
        "2026-06-02T00:00:00Z",
        None,
    ]
    span = {"start": "2026-06-01T00:00:00Z", "end": "2026-06-03T00:00:00Z"}
    days = client.get(f"{url}/consumption", params=span).json()
    assert [(one["value"], one["estimated"], one["measured_percent"]) for one in days] == [
        ("0.240", False, "100.0"),
        ("0.240", False, "100.0"),
    ]
    (month,) = client.get(f"{url}/consumption", params={**span, "step": "month"}).json()
    assert month["value"] == "0.480"
    newest = client.get(f"{url}/changes").json()[0]
    assert (newest["by"], newest["action"], newest["reason"]) == (
        "ana",
        "exchanged",
        "calibration has expired",
    )
    assert client.get("/api/v1/metering-points").json() == [client.get(url).json()]
    assert client.get("/api/v1/metering-points", params={"site_id": 999}).json() == []


def test_a_meter_that_was_reset_is_told_of_and_what_is_to_be_done_is_done(
    clients: tuple[TestClient, TestClient], sqlite_store: Store, sqlite_url: str
) -> None:
    client, _ = clients
    data = MasterData(sqlite_url)
    gateway = data.add_gateway(data.add_site(timezone="UTC"))
    data.add_stream(gateway)
    register = data.add_register(data.add_device(gateway), interval_s=3600)
    fallen = [(START + n * HOUR, 300 + n * 10 if n < 12 else (n - 12) * 10) for n in range(25)]
    data.add_readings(register, fallen)
    data.close()
    url = (
        f"/api/v1/metering-points/{client.post('/api/v1/metering-points', json=POINT).json()['id']}"
    )
    order: dict[str, object] = {"at": "2026-06-01T00:00:00Z", "register_id": register}
    assert client.post(f"{url}/install", json=order).status_code == 200
    watch(sqlite_store, START + 13 * HOUR)
    found = {one["code"]: one for one in client.get(f"{url}/findings").json()}
    fall = found["reverse_flow"]
    assert fall["since"] == "2026-06-01T11:00:00Z"
    assert "record a reset or an exchange" in fall["text"]
    order = {"at": "2026-06-01T12:00:00Z", "final_index": "0.420", "reason": "battery"}
    reset = client.post(f"{url}/reset", json=order).json()
    assert [(one["start_index"], one["final_index"]) for one in reset["installations"]] == [
        ("0.300", "0.420"),
        ("0.000", None),
    ]
    span = {"start": "2026-06-01T00:00:00Z", "end": "2026-06-02T00:00:00Z"}
    [day] = client.get(f"{url}/consumption", params=span).json()
    assert (day["value"], day["estimated"]) == ("0.240", False)
    refused = client.post(f"{url}/reset", json={"at": "2026-06-01T06:00:00Z", "final_index": "0.1"})
    assert refused.status_code == 422
    assert "read more at 2026-06-01T05:00:00+00:00: 0.350" in refused.json()["detail"]


def test_a_virtual_point_is_made_changed_and_asked(
    clients: tuple[TestClient, TestClient], registers: list[int]
) -> None:
    admin, operator = clients
    main = admin.post("/api/v1/metering-points", json=POINT).json()
    order = {"at": "2026-06-01T00:00:00Z", "register_id": registers[0]}
    admin.post(f"/api/v1/metering-points/{main['id']}/install", json=order)
    wanted = {**POINT, "key": "share", "terms": [{"point": "flat-1", "factor": "0.35"}]}
    assert operator.post("/api/v1/metering-points", json=wanted).status_code == 403
    made = admin.post("/api/v1/metering-points", json=wanted)
    assert made.status_code == 201
    terms = [{"point_id": main["id"], "point": "flat-1", "factor": "0.35"}]
    assert (made.json()["terms"], made.json()["installations"]) == (terms, [])
    url = f"/api/v1/metering-points/{made.json()['id']}"
    span = {"start": "2026-06-01T00:00:00Z", "end": "2026-06-02T00:00:00Z"}
    [day] = operator.get(f"{url}/consumption", params=span).json()
    assert (day["value"], day["missing"]) == ("0.08400", [])

    loss = {"terms": [{"point": "flat-1", "factor": "-1"}], "reason": "turned round"}
    assert operator.put(f"{url}/terms", json=loss).status_code == 403
    assert admin.put(f"{url}/terms", json=loss).json()["terms"][0]["factor"] == "-1"
    [day] = operator.get(f"{url}/consumption", params=span).json()
    assert day["value"] == "-0.240"
    newest = operator.get(f"{url}/changes").json()[0]
    assert (newest["by"], newest["reason"]) == ("ana", "turned round")
    refused = admin.put(f"{url}/terms", json={"terms": [{"point": "share"}]})
    assert (refused.status_code, "made of itself" in refused.text) == (422, True)


def test_a_point_is_billed_by_its_own_periods(
    clients: tuple[TestClient, TestClient], registers: list[int]
) -> None:
    admin, operator = clients
    url = (
        f"/api/v1/metering-points/{admin.post('/api/v1/metering-points', json=POINT).json()['id']}"
    )
    order = {"at": "2026-06-01T00:00:00Z", "register_id": registers[0]}
    admin.post(f"{url}/install", json=order)
    span = {"start": "2026-06-01T00:00:00Z", "end": "2026-06-02T00:00:00Z", "step": "billing"}
    refused = operator.get(f"{url}/consumption", params=span)
    assert (refused.status_code, "set them first" in refused.text) == (422, True)
    none: dict[str, object] = {"day": None, "months": 1, "first_month": 1, "dates": []}
    assert operator.get(f"{url}/billing").json() == none
    wanted = {"dates": ["2026-06-01", "2026-06-02"], "reason": "moved in and out"}
    assert operator.put(f"{url}/billing", json=wanted).status_code == 403
    assert admin.put(f"{url}/billing", json=wanted).json() == none | {"dates": wanted["dates"]}
    [period] = operator.get(f"{url}/consumption", params=span).json()
    assert (period["start"], period["value"]) == ("2026-06-01T00:00:00Z", "0.240")
    assert operator.get(f"{url}/changes").json()[0]["reason"] == "moved in and out"
    both = admin.put(f"{url}/billing", json={**wanted, "day": 1})
    assert (both.status_code, "not by both" in both.text) == (422, True)
    assert operator.get(f"{url}/billing").json()["dates"] == wanted["dates"]


def test_only_an_administrator_changes_metering_points(
    clients: tuple[TestClient, TestClient], registers: list[int]
) -> None:
    admin, operator = clients
    assert operator.post("/api/v1/metering-points", json=POINT).status_code == 403
    point = admin.post("/api/v1/metering-points", json=POINT).json()
    url = f"/api/v1/metering-points/{point['id']}"
    order = {"at": "2026-06-01T00:00:00Z", "register_id": registers[0]}
    for action in ("install", "exchange", "remove", "reset"):
        assert operator.post(f"{url}/{action}", json=order).status_code == 403
    assert operator.get(url).json()["installations"] == []


@pytest.mark.parametrize(
    ("action", "order", "said"),
    [
        ("install", {"register_id": 7}, "at"),
        ("install", {"at": "2026-06-01T00:00:00", "register_id": 7}, "at"),
        ("install", {"at": "2026-06-01T00:00:00Z", "register_id": 7}, "no register 7"),
        ("install", {"at": "2026-06-01T00:00:00Z", "register_id": 1, "start_index": "-1"}, "start"),
        ("remove", {"at": "2026-06-01T00:00:00Z", "final_index": "x"}, "final_index"),
        ("remove", {"at": "2026-06-01T00:00:00Z"}, "install one"),
        ("exchange", {"at": "2030-06-01T00:00:00Z", "register_id": 1}, "still to come"),
        ("remove", {"at": "2026-06-01T00:00:00Z", "when": 1}, "when"),
        ("reset", {"at": "2026-06-01T00:00:00Z"}, "no meter counted then"),
        ("reset", {"at": "2026-06-01T00:00:00Z", "register_id": 1}, "register_id"),
    ],
)
def test_a_wrong_order_is_refused_by_name(
    clients: tuple[TestClient, TestClient],
    registers: list[int],
    action: str,
    order: dict[str, object],
    said: str,
) -> None:
    client, _ = clients
    point = client.post("/api/v1/metering-points", json=POINT).json()
    answer = client.post(f"/api/v1/metering-points/{point['id']}/{action}", json=order)
    assert answer.status_code == 422
    assert said in answer.text
    assert client.get(f"/api/v1/metering-points/{point['id']}").json() == point


def test_a_metering_point_that_is_not_there_is_not_found(
    clients: tuple[TestClient, TestClient],
) -> None:
    client, _ = clients
    paths = (
        "",
        "/changes",
        "/findings",
        "/analyses",
        "/billing",
        "/consumption?start=2026-06-01T00:00:00Z",
    )
    for path in paths:
        assert client.get(f"/api/v1/metering-points/77{path}").status_code == 404
    order = {"at": "2026-06-01T00:00:00Z", "register_id": 1}
    assert client.post("/api/v1/metering-points/77/install", json=order).status_code == 404
    wanted: dict[str, object] = {"analyses": {}}
    assert client.put("/api/v1/metering-points/77/analyses", json=wanted).status_code == 404
    assert client.put("/api/v1/metering-points/77/billing", json={}).status_code == 404
    assert client.put("/api/v1/metering-points/77/terms", json={"terms": []}).status_code == 404


def test_what_is_found_and_how_is_asked_and_set(
    clients: tuple[TestClient, TestClient], registers: list[int], sqlite_store: Store
) -> None:
    admin, operator = clients
    point = admin.post("/api/v1/metering-points", json=POINT).json()
    url = f"/api/v1/metering-points/{point['id']}"
    assert operator.get(f"{url}/findings").json() == []
    order = {"at": "2026-06-01T00:00:00Z", "register_id": registers[0]}
    assert admin.post(f"{url}/install", json=order).status_code == 200
    assert watch(sqlite_store, START + 25 * HOUR) == 1
    [leak] = operator.get(f"{url}/findings").json()
    assert (leak["code"], leak["severity"], leak["since"], leak["until"]) == (
        "continuous_flow",
        "alarm",
        "2026-06-01T00:00:00Z",
        None,
    )
    assert leak["evidence"]["loss_a_day"] == "0.24"
    assert (leak["told_at"], leak["closed_at"]) == ("2026-06-02T01:00:00Z", None)
    [alarm] = operator.get("/api/v1/events", params={"open_alarms": True}).json()["items"]
    assert alarm["code"] == "continuous_flow"

    own = {"continuous_flow": {"threshold": "0.02"}, "night_flow": None}
    wanted = {"analyses": own, "reason": "a fountain"}
    assert operator.put(f"{url}/analyses", json=wanted).status_code == 403
    put = admin.put(f"{url}/analyses", json=wanted)
    assert put.json()["own"] == own
    assert put.json()["effective"]["continuous_flow"]["threshold"] == "0.02"
    assert put.json()["effective"]["night_flow"] is None
    assert operator.get(f"{url}/analyses").json() == put.json()
    newest = operator.get(f"{url}/changes").json()[0]
    assert (newest["action"], newest["by"], newest["reason"]) == (
        "analyses_set",
        "ana",
        "a fountain",
    )
    assert watch(sqlite_store, START + 25 * HOUR + 1) == 1
    [over] = operator.get(f"{url}/findings").json()
    assert over["until"] == over["closed_at"] == "2026-06-02T01:00:00.001000Z"


@pytest.mark.parametrize(
    ("analyses", "said"),
    [
        ({"leaks": None}, "leaks"),
        ({"standstill": {"hours": 1}}, "standstill.hours"),
        ({"standstill": {"hours": 99.5}}, "standstill.hours"),
        ({"night_flow": {"least": "1e99999"}}, "night_flow.least"),
        ({"night_flow": {"least": True}}, "night_flow.least"),
        ({"night_flow": False}, "night_flow"),
    ],
)
def test_wrong_analyses_are_refused_by_name(
    clients: tuple[TestClient, TestClient],
    registers: list[int],
    analyses: dict[str, object],
    said: str,
) -> None:
    client, _ = clients
    assert registers
    point = client.post("/api/v1/metering-points", json=POINT).json()
    url = f"/api/v1/metering-points/{point['id']}/analyses"
    answer = client.put(url, json={"analyses": analyses})
    assert answer.status_code == 422
    assert said in answer.text
    assert client.get(url).json()["own"] == {}
