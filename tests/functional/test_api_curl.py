"""Every command of docs/api.md, run against a real server: it answers as the page says."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.client import parse_headers
from io import BytesIO
from pathlib import Path

import httpx
import pytest

from cloud.api.rate import USUAL, Rate
from cloud.config import WebSettings
from cloud.services import accounts
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import SystemClock
from common.registers import Kind
from edge_agent.simulators import cloud_reader
from tests.harness.cloud import CloudFiles
from tests.harness.masterdata import MasterData
from tests.harness.ports import free_port
from tests.harness.processes import Programs

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/api.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [(kind, text) for kind, text in BLOCK.findall(DOCUMENT) if kind]
MINUTE, DAY = 60_000, 86_400_000
JUNE = 1_780_261_200_000
"""2026-05-31T21:00:00Z."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudFiles]:
    """The web server over what the page says that there is, and an administrator ana."""
    directory = tmp_path_factory.mktemp("cloud")
    url = f"sqlite:///{directory / 'cloud.db'}"
    files = CloudFiles(directory, url, broker=free_port())
    files.write()
    now = SystemClock().now_ms()
    data = MasterData(url)
    gateway = data.add_gateway(data.add_site(), seen_at=now)
    device = data.add_device(gateway)
    data.add_readings(data.add_register(device), [(JUNE + n * DAY // 24, n) for n in range(25)])
    roof = data.add_register(device, "roof", kind=Kind.OUTPUT, decimals=0)
    data.add_readings(roof, [(now, 0)])
    stream = data.add_stream(gateway, [(1, 4320)])
    data.add_loss(stream, 2001, 2500, JUNE, JUNE + MINUTE)
    data.add_rejected(stream, 7)
    for n in range(3):
        data.add_event(stream, n, gateway, at=now - n * MINUTE)
    data.add_message(gateway, now)
    data.add_telegram(gateway, "electricity-main", now)
    data.forget_status(gateway)
    data.close()
    store = Store(url)
    accounts.create(store, "ana", "correct horse", Role.ADMIN, now)
    store.close()
    limited = files.config.read_text().replace("[web]", "[web]\nrequests_at_once = 300")
    files.config.write_text(limited)
    with Programs(directory, forked=True) as programs:
        programs.add("web", *files.command("web")).start()
        files.wait_until_ready()
        yield files


def run(cloud: CloudFiles) -> list[tuple[str, str]]:
    """What each block of commands says, with the commands."""
    blocks = [text for kind, text in BLOCKS if kind == "sh"]
    script = ["set -euo pipefail"]
    for n, text in enumerate(blocks):
        here = text.replace("http://127.0.0.1:8080", cloud.address)
        script.append(f"{{\n{here}}} >answer-{n}\n")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=cloud.directory,
        env={**os.environ, "PATH": path, "INMETTER_CLOUD_CONFIG": str(cloud.config)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answers = [(cloud.directory / f"answer-{n}").read_text("utf-8") for n in range(len(blocks))]
    return list(zip(blocks, answers, strict=True))


def shape(value: object) -> object:
    """What a value is made of: the keys of objects, the kinds of the rest."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value[:1]]
    return type(value).__name__


def test_every_command_of_the_page_is_answered_as_the_page_says(cloud: CloudFiles) -> None:
    answers = iter(run(cloud))
    commands = answer = ""
    for kind, text in BLOCKS:
        if kind == "sh":
            commands, answer = next(answers)
            assert answer, commands
        elif kind == "json":
            said, found = json.loads(text), json.loads(answer)
            assert shape(found) == shape(said), commands
            if isinstance(found, dict) and "status" in found:
                assert (found["status"], found["detail"]) == (said["status"], said["detail"])
        else:
            assert kind == "http"
            (status, said), (actual, found) = _head(text), _head(answer)
            assert status == actual, commands
            for name, value in said.items():
                assert shape_of_header(found.get(name, "")) == shape_of_header(value), name


def shape_of_header(value: str) -> str:
    """A header's value without what differs from time to time."""
    return re.sub(r'(?<=[qwrt]=)\d+|"[0-9a-f]{32}"', "…", value)


def _head(text: str) -> tuple[str, dict[str, str]]:
    first, _, rest = text.replace("\r\n", "\n").partition("\n")
    headers = parse_headers(BytesIO(rest.replace("\n", "\r\n").encode()))
    return first.strip(), {name.lower(): value for name, value in headers.items()}


def test_every_command_of_the_page_that_asks_the_cloud_is_run() -> None:
    run_here = "".join(text for kind, text in BLOCKS if kind == "sh")
    assert DOCUMENT.count("curl -") == run_here.count("curl -") >= 10


def test_the_reader_of_the_simulation_follows_the_pages(
    cloud: CloudFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = cloud.directory / "token"
    token.write_text(cloud.token + "\n")
    monkeypatch.setattr(cloud_reader, "PAGE", 7)
    found = cloud_reader.CloudReader(cloud.address, token).indexes("gw-1")
    assert [one.at_ms for one in found["water-1"]] == [JUNE + n * DAY // 24 for n in range(25)]


def test_the_server_limits_as_its_file_says_and_without_as_the_page_does(cloud: CloudFiles) -> None:
    policy = httpx.get(f"{cloud.address}/api/v1/sites").headers["ratelimit-policy"]
    assert policy == '"requests";q=300;w=6'
    usual = Rate(WebSettings().requests_per_s, WebSettings().requests_at_once)
    assert usual == Rate(50, 200) == USUAL
    assert '"requests";q=200;w=4' in DOCUMENT
