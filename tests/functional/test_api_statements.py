"""Tariffs, cost and statements over REST: priced, issued, asked again after something changed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO

import pytest
from fastapi.testclient import TestClient
from pypdf import PdfReader

from cloud.api.app import create_api
from cloud.services import accounts
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock, to_ms
from tests.harness.masterdata import MasterData

START = to_ms(datetime(2026, 6, 1, tzinfo=UTC))
NOW = to_ms(datetime(2026, 7, 2, tzinfo=UTC))
HOUR = 3_600_000
HOURS = 30 * 24
POINT = {
    "key": "flat-1",
    "name": "Flat 1",
    "site": "mill",
    "medium": "cold water",
    "kind": "volume",
}
VERSION = {
    "valid_from": "2026-01-01",
    "tax_percent": "9",
    "charges": [
        {"kind": "standing", "name": "Meter", "amount": "3.00", "per": "month"},
        {"kind": "per_unit", "name": "Water", "price": "2.50"},
    ],
}
WATER = {
    "name": "Water",
    "currency": "RON",
    "unit": "m³",
    "versions": [VERSION],
}
NIGHT = {"name": "night", "price": "0.80", "start": "22:00", "end": "06:00"}
HOME = {
    "name": "Household, day and night",
    "currency": "RON",
    "unit": "kWh",
    "versions": [
        {
            "valid_from": "2026-01-01",
            "tax_percent": "19",
            "charges": [
                {"kind": "standing", "name": "Metering", "amount": "6.00", "per": "month"},
                {"kind": "time_of_use", "name": "Energy", "price": "1.20", "bands": [NIGHT]},
            ],
        }
    ],
}
Clients = dict[Role, TestClient]


@pytest.fixture
def data(sqlite_url: str) -> Iterator[MasterData]:
    written = MasterData(sqlite_url)
    yield written
    written.close()


@pytest.fixture
def register(data: MasterData) -> int:
    """10 l each hour of June, but for its last day."""
    device = data.add_device(data.add_gateway(data.add_site(timezone="UTC")))
    found = data.add_register(device, interval_s=3600)
    data.add_readings(found, _readings(0, HOURS - 24))
    return found


@pytest.fixture
def clients(sqlite_store: Store) -> Iterator[Clients]:
    api = create_api(sqlite_store, clock=ManualClock(NOW))
    opened = {}
    for role in Role:
        accounts.create(sqlite_store, role.value, "correct horse", role, NOW)
        token = accounts.create_token(sqlite_store, role.value, "test", NOW, None)
        opened[role] = TestClient(api, headers={"Authorization": f"Bearer {token}"})
    yield opened
    for client in opened.values():
        client.close()


@pytest.fixture
def url(clients: Clients, register: int) -> str:
    """Of a metering point with a meter."""
    admin = clients[Role.ADMIN]
    made = admin.post("/api/v1/metering-points", json=POINT).json()
    url = f"/api/v1/metering-points/{made['id']}"
    order = {"at": "2026-06-01T00:00:00Z", "register_id": register, "serial": "A1"}
    assert admin.post(f"{url}/install", json=order).status_code == 200
    return url


def _readings(first: int, last: int) -> list[tuple[int, int | None]]:
    return [(START + n * HOUR, 1000 + n * 10) for n in range(first, last + 1)]


def _price(admin: TestClient, url: str) -> None:
    assert admin.put("/api/v1/tariffs/water", json=WATER).status_code == 200
    order = {"start": "2026-01-01", "tariff": "water"}
    assert admin.put(f"{url}/tariff", json=order).status_code == 200


def test_a_statement_is_a_pdf_too(clients: Clients, url: str) -> None:
    admin, viewer = clients[Role.ADMIN], clients[Role.VIEWER]
    _price(admin, url)
    issued = admin.post(f"{url}/statements", json={"month": "2026-06"}).json()["issued"]
    answer = viewer.get(f"/api/v1/statements/{issued['id']}.pdf")
    assert answer.headers["content-type"] == "application/pdf"
    name = f"statement_flat-1_2026-06_{issued['id']}.pdf"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    [page] = PdfReader(BytesIO(answer.content)).pages
    assert "22.24 RON" in page.extract_text()
    missing = viewer.get("/api/v1/statements/999.pdf")
    assert (missing.status_code, missing.headers["content-type"]) == (
        404,
        "application/problem+json",
    )


def test_a_month_is_priced_and_issued_and_tells_what_has_changed_since(
    clients: Clients, data: MasterData, register: int, url: str
) -> None:
    admin, operator = clients[Role.ADMIN], clients[Role.OPERATOR]
    _price(admin, url)
    issued = operator.post(f"{url}/statements", json={"month": "2026-06"})
    assert issued.status_code == 201
    statement = issued.json()
    content = statement["content"]
    assert content["meters"] == [
        {
            "device": "Water-1",
            "serial": "A1",
            "register_id": register,
            "multiplier": "1",
            "start": "2026-06-01T00:00:00Z",
            "start_index": "1.000",
            "start_estimated": False,
            "end": "2026-07-01T00:00:00Z",
            "end_index": "7.960",
            "end_estimated": True,
        }
    ]
    assert (content["quantity"], content["missing_s"]) == ("6.960", 86_400)
    assert content["measured_percent"] == "96.6"
    assert content["days"][0] == {
        "day": "2026-06-01",
        "quantity": "0.240",
        "estimated": "0",
        "corrected": "0",
        "missing_s": 0,
    }
    assert content["days"][29]["quantity"] is None
    assert content["priced"]["totals"] == [
        {"currency": "RON", "net": "20.40", "tax": "1.84", "gross": "22.24"}
    ]
    assert statement["since"]["changed"] is False

    data.add_readings(register, _readings(HOURS - 23, HOURS + 1))
    later = operator.get(f"/api/v1/statements/{statement['issued']['id']}").json()
    assert (later["content"], later["issued"]) == (content, statement["issued"])
    lines = operator.get("/api/v1/export/statements", params={"start": "2026-06", "format": "json"})
    assert [row[7:8] + row[16:20] for row in lines.json()["rows"]] == [
        ["Meter", "3.00", "9", "0.27", "3.27"],
        ["Water", "17.40", "9", "1.57", "18.97"],
    ]
    assert later["since"]["changed"] is True
    [line] = later["since"]["lines"]
    assert (line["charge"], line["figures"][-1]) == (
        "Water",
        {"figure": "net", "then": "17.40", "now": "18.00", "difference": "0.60"},
    )
    [day] = later["since"]["days"]
    assert day["day"] == "2026-06-30"
    assert operator.get(f"{url}/statements").json() == [statement["issued"]]
    span = {"start": "2026-06-01", "end": "2026-07-01"}
    [now] = clients[Role.VIEWER].get(f"{url}/cost", params=span).json()["priced"]["totals"]
    gross = {one["figure"]: one["now"] for one in later["since"]["totals"]}["gross RON"]
    assert now["gross"] == gross == "22.89"

    again = operator.post(f"{url}/statements", json={"month": "2026-06"})
    assert again.status_code == 422
    assert "was issued on" in again.json()["detail"]


def test_a_tariff_is_answered_as_it_was_put(clients: Clients) -> None:
    admin = clients[Role.ADMIN]
    for n in (1, 2):
        wanted = HOME | {"decimals": n, "reason": f"for {n}"}
        put = admin.put("/api/v1/tariffs/home", json=wanted)
        assert put.status_code == 200
        assert put.json()["revision"] == n
    found = put.json()
    [version] = found["versions"]
    assert version["valid_until"] is None
    assert version["charges"][1]["bands"][0]["months"] == list(range(1, 13))
    assert version["charges"][1]["price"] == "1.20"
    viewer = clients[Role.VIEWER]
    assert viewer.get("/api/v1/tariffs/home").json() == found
    assert viewer.get("/api/v1/tariffs").json() == [found]
    changes = viewer.get("/api/v1/tariffs/home/changes").json()
    assert [(one["by"], one["action"], one["reason"]) for one in changes] == [
        ("admin", "replaced", "for 2"),
        ("admin", "created", "for 1"),
    ]


def test_a_wrong_tariff_is_refused_with_what_to_do(clients: Clients) -> None:
    admin = clients[Role.ADMIN]
    first = VERSION | {"valid_until": "2026-08-01"}
    wrong: list[tuple[dict[str, object], str]] = [
        (
            {"versions": [first, VERSION | {"valid_from": "2026-07-01"}]},
            "overlaps the version of 2026-07-01; let it end: valid_until 2026-07-01 or before",
        ),
        ({"versions": [VERSION, VERSION]}, "two versions of 2026-01-01"),
        ({"versions": [VERSION, {"valid_from": "2026-07-01", "charges": []}]}, "0 charges"),
        ({"currency": "lei"}, "three capital letters"),
        ({"unit": "l"}, "possible are m³, Wh"),
        ({"colour": "red"}, "body.colour"),
        ({"versions": [{"valid_from": "2026-07-01", "charges": [{"kind": "x"}]}]}, "kind"),
    ]
    for change, said in wrong:
        answer = admin.put("/api/v1/tariffs/water", json=WATER | change)
        assert (answer.status_code, said in answer.text) == (422, True), answer.text
    assert admin.put("/api/v1/tariffs/Water!", json=WATER).status_code == 422
    assert admin.get("/api/v1/tariffs").json() == []


def test_only_an_administrator_prices_and_only_an_operator_issues(
    clients: Clients, url: str
) -> None:
    viewer, operator, admin = (clients[role] for role in Role)
    order = {"start": "2026-01-01", "tariff": "water"}
    for client in (viewer, operator):
        assert client.put("/api/v1/tariffs/water", json=WATER).status_code == 403
        assert client.put(f"{url}/tariff", json=order).status_code == 403
    assert admin.get("/api/v1/tariffs").json() == admin.get(f"{url}/tariff").json() == []
    _price(admin, url)
    assert viewer.get(f"{url}/tariff").json() == [order | {"name": "Water"}]
    assert viewer.post(f"{url}/statements", json={"month": "2026-06"}).status_code == 403
    assert viewer.get(f"{url}/statements").json() == []


def test_what_cannot_be_asked_is_refused_by_name(clients: Clients, url: str) -> None:
    admin = clients[Role.ADMIN]
    for order, said in (
        ({"start": "2026-01-01", "tariff": "gold"}, "no tariff 'gold'"),
        ({"start": "2026-01-01"}, "body.tariff"),
        ({"start": "soon", "tariff": None}, "body.start"),
    ):
        answer = admin.put(f"{url}/tariff", json=order)
        assert (answer.status_code, said in answer.text) == (422, True)
    for month, said in (
        ("2026-07", "is not over"),
        ("2026-6", "body.month"),
        ("2026-06", "no tariff"),
    ):
        answer = admin.post(f"{url}/statements", json={"month": month})
        assert (answer.status_code, said in answer.text) == (422, True)
    answer = admin.get(f"{url}/cost", params={"start": "2026-06-02", "end": "2026-06-01"})
    assert answer.status_code == 422
    assert "first day that does not count" in answer.text


def test_what_is_not_there_is_not_found(clients: Clients) -> None:
    admin = clients[Role.ADMIN]
    point = "/api/v1/metering-points/77"
    for path in (
        "/api/v1/tariffs/gold",
        "/api/v1/tariffs/gold/changes",
        "/api/v1/statements/1",
        f"{point}/tariff",
        f"{point}/cost?start=2026-06-01&end=2026-06-02",
        f"{point}/statements",
    ):
        assert admin.get(path).status_code == 404
    assert admin.put(
        f"{point}/tariff", json={"start": "2026-01-01", "tariff": None}
    ).is_client_error
    assert admin.post(f"{point}/statements", json={"month": "2026-06"}).status_code == 404
