"""Lists that grow, page by page: whole, in order, nothing twice, and each row found by its key."""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from cloud.api.app import create_api
from cloud.services import accounts, commands
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock, to_ms
from common.registers import Kind
from tests.harness.masterdata import STREAM, MasterData

NOW = to_ms(datetime(2026, 6, 2, 12, tzinfo=UTC))
START = "start=2026-06-01T00:00:00Z"
LINK = re.compile(r'<([^>]*)>; rel="next"')
ROWS = 9

LISTS = (
    "/events",
    "/events?open_alarms=true",
    "/commands",
    "/commands?register_id=1",
    "/quarantine",
    f"/registers/1/readings?{START}",
    "/gateways/1/rejections",
    "/gateways/1/devices/water-1/telegrams",
    "/gateways/1/configuration/versions",
    f"/gateways/1/streams/{STREAM}/losses",
    f"/gateways/1/streams/{STREAM}/clocks",
)


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    accounts.create(store, "ana", "correct horse", Role.VIEWER, NOW)
    token = accounts.create_token(store, "ana", "test", NOW, None)
    api = create_api(store, clock=ManualClock(NOW))
    with TestClient(api, headers={"Authorization": f"Bearer {token}"}) as opened:
        yield opened


@pytest.fixture
def ids(data: MasterData, url: str) -> dict[str, str]:
    """What stands in LISTS for 1: the ids of a register and a gateway that have something."""
    gateway = data.add_gateway(data.add_site(), seen_at=NOW)
    register = data.add_register(data.add_device(gateway), kind=Kind.OUTPUT, decimals=0)
    streams = [data.add_stream(gateway, stream=one) for one in (STREAM, "f" * 32)]
    numbers = range(1, ROWS + 1)
    data.add_readings(register, [(NOW - 1000 * (ROWS - n), n) for n in range(ROWS)])
    for n in numbers:
        data.add_event(streams[n % 2], n, gateway, at=NOW - n // 3)
        data.add_rejected(streams[n % 2], n)
        data.add_telegram(gateway, "water-1", NOW - n // 4, streams[n % 2], n)
        data.add_loss(streams[0], 10 * n, 10 * n + 5, 1, 2)
        data.add_quarantined("topic", b"x", "no batch")
    engine = create_engine(url)
    with engine.begin() as connection:
        for n in numbers:
            span = f"({streams[0]}, {10 * n}, {n if n % 4 else 'NULL'}, {n}, 3)"
            connection.execute(text(f"INSERT INTO clock_span VALUES {span}"))
            version = f"({gateway}, {n}, '', 'ana', '', 1, 'sent', '', 1, NULL, NULL)"
            connection.execute(text(f"INSERT INTO configuration VALUES {version}"))
    engine.dispose()
    return {"gateways": str(gateway), "registers": str(register), "register_id": str(register)}


def at(one: str, ids: dict[str, str]) -> str:
    """The URL of a list."""
    place = re.sub(r"/(gateways|registers)/1\b", lambda m: f"/{m[1]}/{ids[m[1]]}", one)
    return "/api/v1" + place.replace("register_id=1", f"register_id={ids['register_id']}")


def pages(client: TestClient, url: str, limit: int) -> Iterator[list[Any]]:
    """Every page from ``url`` on, by the links."""
    following = f"{url}{'&' if '?' in url else '?'}limit={limit}"
    while following:
        answer = client.get(following)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        link = LINK.fullmatch(answer.headers.get("link", ""))
        following = link[1] if link else ""
        cursor = parse_qs(urlsplit(following).query).get("cursor", [None])[0]
        assert body["next"] == cursor
        yield body["items"]


def order(store: Store, register: str, count: int = ROWS) -> None:
    for n in range(count):
        commands.issue(
            store, register_id=int(register), value=1, issued_by="ana", ttl_s=60, now_ms=NOW + n
        )


def test_the_pages_of_a_list_are_the_list(
    client: TestClient, store: Store, ids: dict[str, str]
) -> None:
    order(store, ids["register_id"])
    for one in LISTS:
        url = at(one, ids)
        (whole,) = pages(client, url, 100)
        assert len(whole) == (ROWS - ROWS // 4 if one.endswith("clocks") else ROWS)
        for limit in (1, 2, len(whole) - 1, len(whole)):
            parts = list(pages(client, url, limit))
            assert [row for part in parts for row in part] == whole
            assert {len(part) for part in parts[:-1]} <= {limit}
            assert parts[-1]


def test_what_is_stored_between_two_pages_makes_nothing_come_twice_and_hides_nothing(
    client: TestClient, data: MasterData, ids: dict[str, str]
) -> None:
    url = "/api/v1/events"
    (before,) = pages(client, url, 100)
    walk = pages(client, url, 2)
    seen = next(walk)
    gateway, stream = int(ids["gateways"]), before[0]["stream_id"]
    data.add_event(stream, 1000, gateway, at=NOW + 5)  # newer than all
    data.add_event(stream, 1001, gateway, at=NOW - 2)  # of a backlog: among those to come
    for page in walk:
        seen += page
    numbers = [one["seq"] for one in seen]
    assert sorted(numbers) == sorted([*(one["seq"] for one in before), 1001])
    assert client.get(url).json()["items"][0]["seq"] == 1000


def test_a_forged_cursor_is_refused_and_told_what_to_do(
    client: TestClient, ids: dict[str, str]
) -> None:
    invented = base64.urlsafe_b64encode(b"0" * 12 + b"[1,2,3]").decode()
    for one in LISTS:
        for cursor in ("", "x", "é", "AAAA", "====", invented):
            answer = client.get(at(one, ids), params=_with(at(one, ids), cursor=cursor))
            assert answer.status_code == 422, (one, cursor)
            assert answer.headers["content-type"] == "application/problem+json"
            assert "begin without a cursor" in answer.json()["detail"]


def test_a_cursor_is_of_one_list_and_its_parameters(
    client: TestClient, store: Store, ids: dict[str, str]
) -> None:
    order(store, ids["register_id"], 3)
    given = {
        one: client.get(at(one, ids), params=_with(at(one, ids), limit="1")).json() for one in LISTS
    }
    for ours in LISTS:
        for theirs in LISTS:
            query = _with(at(ours, ids), cursor=given[theirs]["next"], limit="7")
            answer = client.get(at(ours, ids), params=query)
            assert answer.status_code == (200 if ours == theirs else 422), (ours, theirs)


def _with(url: str, **more: str) -> dict[str, str]:
    """The parameters of a list, and some more; httpx drops those of the URL when it gets any."""
    return {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()} | more
