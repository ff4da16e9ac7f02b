"""Files over the REST API: what they are called, what is refused before the first byte, and that
nothing stays behind of one that is not taken to its end."""

import asyncio
import json
import re
import socket
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from starlette.types import Message, Scope

from cloud.api.app import create_api
from cloud.api.export import AT_ONCE, Download, Slots
from cloud.export.formats import Decimals, Format
from cloud.services import accounts, exports, points
from cloud.services.exports import ROWS_AT_ONCE, Selection
from cloud.services.points import Change, NewPoint
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock, to_datetime, to_ms
from common.registers import Kind, Medium
from tests.harness.eventually import eventually
from tests.harness.masterdata import MasterData
from tests.harness.ports import free_port, wait_for_port
from tests.harness.xlsx import sheets

NOW = to_ms(datetime(2026, 6, 2, 12, tzinfo=UTC))
HOUR = 3_600_000
URL = "/api/v1/export/readings"
SPAN = {"start": "2026-06-02T00:00:00Z"}


@pytest.fixture
def data(sqlite_url: str) -> Iterator[MasterData]:
    written = MasterData(sqlite_url)
    yield written
    written.close()


@pytest.fixture
def register(data: MasterData) -> int:
    register = data.add_register(data.add_device(data.add_gateway(data.add_site())))
    data.add_readings(register, [(NOW - HOUR, 12_000), (NOW - 1500, 12_345)])
    return register


@pytest.fixture
def api(sqlite_store: Store) -> FastAPI:
    return create_api(sqlite_store, clock=ManualClock(NOW))


@pytest.fixture
def token(sqlite_store: Store) -> str:
    accounts.create(sqlite_store, "ana", "correct horse", Role.VIEWER, NOW)
    return accounts.create_token(sqlite_store, "ana", "test", NOW, None)


@pytest.fixture
def client(api: FastAPI, token: str) -> Iterator[TestClient]:
    with TestClient(api, headers={"Authorization": f"Bearer {token}"}) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def free_slots(api: FastAPI) -> int:
    slots: Slots = api.state.export_slots
    with ExitStack() as taken:
        for free in range(AT_ONCE):
            try:
                taken.enter_context(slots.one())
            except HTTPException:
                return free
    return AT_ONCE


def test_csv_is_a_file_with_a_name_that_says_what_is_in_it(
    client: TestClient, register: int
) -> None:
    answer = client.get(URL, params={**SPAN, "site": "mill", "device": "water-1"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    name = "readings_mill_water-1_2026-06-02_2026-06-02.csv"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.text == (
        "site,gateway,device,register,unit,time,value,quality,raw\r\n"
        "mill,gw-1,water-1,volume,m³,2026-06-02T14:00:00.000+03:00,12.000,good,7\r\n"
        "mill,gw-1,water-1,volume,m³,2026-06-02T14:59:58.500+03:00,12.345,good,7\r\n"
    )


def test_json_and_xlsx_say_the_same(client: TestClient, register: int, folder: Path) -> None:
    query = {**SPAN, "register_id": register}
    answer = client.get(URL, params={**query, "format": "json"})
    assert answer.headers["content-type"] == "application/json"
    assert [row[5:7] for row in answer.json()["rows"]] == [
        ["2026-06-02T11:00:00Z", "12.000"],
        ["2026-06-02T11:59:58.500000Z", "12.345"],
    ]
    answer = client.get(URL, params={**query, "format": "xlsx"})
    assert answer.headers["content-disposition"].endswith('.xlsx"')
    (sheet,) = sheets(answer.content)
    assert [str(row["H"].value) for row in sheet[1:]] == ["12.000", "12.345"]
    assert not list(folder.iterdir())


def test_a_decimal_comma_comes_with_semicolons(client: TestClient, register: int) -> None:
    answer = client.get(URL, params={**SPAN, "decimal": "comma"})
    assert answer.content.decode("utf-8-sig").splitlines()[2].split(";")[6] == "12,345"


def test_nothing_in_the_span_is_a_table_without_rows(client: TestClient, register: int) -> None:
    span = {"start": "2027-01-01T00:00:00Z", "end": "2028-01-01T00:00:00Z"}
    answer = client.get(URL, params=span)
    assert answer.text.splitlines() == ["site,gateway,device,register,unit,time,value,quality,raw"]


def test_consumption_is_a_file_as_readings_are(client: TestClient, register: int) -> None:
    url = "/api/v1/export/consumption"
    query = {"start": "2026-06-02T11:00:00Z", "step": "hour", "register_id": register}
    answer = client.get(url, params=query)
    assert answer.text == (
        "site,gateway,device,register,unit,start,end,value,quality,measured_percent\r\n"
        "mill,gw-1,water-1,volume,m³,2026-06-02T14:00:00.000+03:00,2026-06-02T15:00:00.000+03:00,"
        "0.345,estimated,99.9\r\n"
    )
    name = f"consumption_{register}_hour_2026-06-02_2026-06-02.csv"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    answer = client.get(url, params={**query, "format": "json"})
    assert [row[7:9] for row in answer.json()["rows"]] == [["0.345", "estimated"]]
    answer = client.get(url, params={**query, "format": "xlsx"})
    assert len(sheets(answer.content)[0]) == 2
    answer = client.get(url, params={**query, "start": "1000-01-01T00:00:00Z"})
    assert (answer.status_code, "more than 100000" in answer.json()["detail"]) == (422, True)
    assert client.get(url, params={**query, "point": "flat-1"}).status_code == 422
    assert client.get(url, params=SPAN).status_code == 404  # no metering point


def test_the_example_of_the_document_works(
    client: TestClient, sqlite_store: Store, register: int
) -> None:
    wanted = NewPoint("flat-1", "Flat 1", "mill", Medium.COLD_WATER, Kind.VOLUME)
    points.create(sqlite_store, wanted, Change("ana", NOW))
    document = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    examples = re.findall(r"^GET (/api/v1/export/\S+)$", document, re.MULTILINE)
    complete = [example for example in examples if "…" not in example]
    assert len(complete) == 3
    for example in complete:
        assert client.get(example).status_code == 200, example


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 422),
        ({"start": "yesterday"}, 422),
        ({"start": "2026-06-02T00:00:00"}, 422),
        ({"start": "2026-06-02T12:00:00Z"}, 422),
        ({**SPAN, "format": "pdf"}, 422),
        ({**SPAN, "format": "json", "decimal": "comma"}, 422),
        ({**SPAN, "site": 'mill"; x='}, 422),
        ({**SPAN, "register_id": "0"}, 422),
        ({**SPAN, "site": "nowhere"}, 404),
        ({**SPAN, "register_id": "99"}, 404),
    ],
)
def test_what_is_wrong_is_said_before_the_first_byte(
    *, client: TestClient, api: FastAPI, register: int, query: dict[str, str], status: int
) -> None:
    answer = client.get(URL, params=query)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "content-disposition" not in answer.headers
    assert free_slots(api) == AT_ONCE


def test_so_many_exports_run_at_a_time_and_no_more(
    client: TestClient, api: FastAPI, register: int
) -> None:
    slots: Slots = api.state.export_slots
    with ExitStack() as running:
        for _ in range(AT_ONCE):
            running.enter_context(slots.one())
        answer = client.get(URL, params=SPAN)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "30"
        assert answer.headers["content-type"] == "application/problem+json"
    assert client.get(URL, params=SPAN).status_code == 200


def add_many(url: str, register: int, count: int) -> None:
    connection = sqlite3.connect(Path(url.removeprefix("sqlite:///")))
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)"
        " INSERT INTO reading (register_id, at, value, quality, raw)"
        " SELECT ?, ? + i, i, 0, i FROM n",
        (count, register, NOW - 4 * HOUR),
    )
    connection.commit()
    connection.close()


@pytest.fixture
def address(api: FastAPI) -> Iterator[str]:
    """The API on a real server."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(api, port=port, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for_port(port, lambda: not thread.is_alive())
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@contextmanager
def asked(address: str, token: str, query: str) -> Iterator[socket.socket]:
    """A client that has asked for a file and got the head of the answer; hangs up at the end."""
    host, port = address.removeprefix("http://").split(":")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((host, int(port)))
        head = f"GET {URL}?{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(15).startswith(b"HTTP/1.1 200")
        yield connection


@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_a_client_that_hangs_up_leaves_nothing_behind(
    *,
    api: FastAPI,
    address: str,
    token: str,
    register: int,
    sqlite_url: str,
    folder: Path,
    file_format: str,
) -> None:
    add_many(sqlite_url, register, 30_000)
    query = f"start=2026-06-01T00:00:00Z&format={file_format}"
    with asked(address, token, query):
        assert free_slots(api) == AT_ONCE - 1
        if file_format == "xlsx":
            eventually(lambda: list(folder.iterdir()), what="it is being built")
    eventually(lambda: free_slots(api) == AT_ONCE, what="the slot is free")
    assert not list(folder.iterdir())


def test_a_client_that_takes_nothing_is_hung_up_on(
    sqlite_store: Store, sqlite_url: str, register: int, folder: Path
) -> None:
    add_many(sqlite_url, register, ROWS_AT_ONCE)
    table = exports.readings(sqlite_store, Selection(), to_datetime(0), to_datetime(NOW))
    download = Download(table, Format.XLSX, Decimals.POINT, patience_s=0.05)
    sent: list[Message] = []
    held: list[Path] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        return {}

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) == 3:
            held.extend(folder.iterdir())  # noqa: ASYNC240
            await asyncio.Event().wait()

    scope: Scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
    asyncio.run(download(scope, receive, send))
    assert len(sent) == 3
    assert held
    assert all(message.get("more_body", True) for message in sent)
    assert not list(folder.iterdir())


def test_a_file_that_is_cut_off_by_the_database_is_not_taken_for_a_whole_one(
    *,
    api: FastAPI,
    address: str,
    token: str,
    register: int,
    sqlite_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    add_many(sqlite_url, register, 20 * ROWS_AT_ONCE)
    headers = {"Authorization": f"Bearer {token}"}
    query = {"start": "2026-06-01T00:00:00Z", "format": "json"}
    with httpx.stream("GET", address + URL, params=query, headers=headers) as answer:
        parts = answer.iter_raw(1000)
        got = next(parts)
        with sqlite3.connect(Path(sqlite_url.removeprefix("sqlite:///"))) as connection:
            connection.execute("ALTER TABLE reading RENAME TO elsewhere")
        with pytest.raises(httpx.RemoteProtocolError):
            for part in parts:
                got += part
    with pytest.raises(json.JSONDecodeError):
        json.loads(got)
    eventually(lambda: free_slots(api) == AT_ONCE)
    assert any("no such table" in record.getMessage() for record in caplog.records)
    assert not any(record.exc_info for record in caplog.records)
