"""The program as an operator runs it: exit codes, accounts, all roles, a clean end."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.eventually import eventually
from tests.harness.mosquitto import Mosquitto
from tests.harness.ports import free_port

ROOT = Path(__file__).parents[2]


class Cloud:
    """A configuration on free ports, and the program on it."""

    def __init__(self, folder: Path, broker: int) -> None:
        self.port = free_port()
        self.config = folder / "cloud.toml"
        self._folder = folder
        self.config.write_text(
            '[database]\nurl = "sqlite:///cloud.db"\n'
            f"[mqtt]\nport = {broker}\n"
            f'[web]\nport = {self.port}\nsessions_dir = "sessions"\n'
        )

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "cloud", "--config", str(self.config), *words]

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if "INMETTER" not in name}
        # NiceGUI behaves otherwise when it thinks that it is under test.
        kept.pop("PYTEST_CURRENT_TEST", None)
        return {**kept, "PYTHONPATH": str(ROOT)}

    def call(self, *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            input=said,
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            env=self.environment(),
        )

    def get(self, path: str, token: str = "") -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
                status: int = answer.status
                return status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0


@pytest.fixture
def cloud(tmp_path: Path, mosquitto: Mosquitto) -> Cloud:
    return Cloud(tmp_path, mosquitto.port)


@pytest.fixture
def running(cloud: Cloud, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            cloud.command("all"), stdout=log, stderr=log, cwd=tmp_path, env=cloud.environment()
        )
    yield process
    process.kill()
    process.wait()


def test_all_roles_serve_from_one_process_and_end_cleanly(
    cloud: Cloud, running: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    eventually(lambda: cloud.get("/readyz") == 200, 60)
    added = cloud.call("user", "add", "anna", "--role", "admin", said="correct horse battery\n")
    assert added.returncode == 0, added.stderr
    token = cloud.call("user", "token", "anna").stdout.strip()
    assert cloud.get("/api/v1/sites") == 401
    assert cloud.get("/api/v1/sites", token) == 200
    assert cloud.get("/login") == 200
    running.send_signal(signal.SIGTERM)
    assert running.wait(15) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_port_that_is_taken_is_said_without_a_traceback(
    cloud: Cloud, mosquitto: Mosquitto
) -> None:
    text = cloud.config.read_text().replace(f"port = {cloud.port}", f"port = {mosquitto.port}")
    cloud.config.write_text(text)
    ended = cloud.call("web")
    assert ended.returncode == 2
    assert f"cannot listen on port {mosquitto.port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_metrics_port_that_is_taken_is_said_at_once(cloud: Cloud, mosquitto: Mosquitto) -> None:
    ended = cloud.call("ingest", "--metrics-port", str(mosquitto.port))
    assert ended.returncode == 2
    assert f"cannot listen on port {mosquitto.port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_accounts_are_made_and_listed(cloud: Cloud, tmp_path: Path) -> None:
    assert cloud.call("migrate").returncode == 0
    secret = tmp_path / "password"
    secret.write_text("correct horse battery\n")
    assert cloud.call("user", "add", "bob", "--password-file", str(secret)).returncode == 0
    again = cloud.call("user", "add", "bob", said="correct horse battery\n")
    assert again.returncode == 1
    assert "bob" in again.stderr
    assert cloud.call("user", "list").stdout.split("\n")[0].split() == ["bob", "viewer"]
    assert cloud.call("user", "token", "nobody").returncode == 1


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["dance"], 2, "invalid choice"),
        ([], 2, "required"),
        (["user", "add", "x", "--role", "king"], 2, "invalid choice"),
        (["user", "list"], 1, "database"),
    ],
)
def test_wrong_usage_is_said_without_a_traceback(
    cloud: Cloud, words: list[str], code: int, message: str
) -> None:
    ended = cloud.call(*words)
    assert ended.returncode == code
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wrong_file_is_named(cloud: Cloud) -> None:
    cloud.config.write_text("[web]\nport = 99999\n")
    ended = cloud.call("all")
    assert ended.returncode == 2
    assert str(cloud.config) in ended.stderr
    assert "web.port" in ended.stderr
