"""Ctrl-C at any time: no traceback, exit code 1, and what was found until then is shown."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.eventually import eventually
from tests.harness.ports import free_port, wait_for_port

CONFIG = """\
[gateway]
id = "hall-1"
name = "Hall"
site = "hall"
site_name = "Hall"
timezone = "Europe/Bucharest"

[mqtt]
port = {broker}

[c11do1eth]
port = {server}

[[line]]
id = "bus"
url = "tcp://127.0.0.1:{port}"
timeout_s = 60

[[device]]
driver = "{driver}"
key = "meter"
name = "Meter"
line = "bus"
{device}

[[device]]
driver = "c11do1eth"
key = "water"
name = "Water"
medium = "water"
key_file = "water.key"
pulse_weight = "10 l"

[device.output]
key = "valve"
name = "Valve"
"""
MBUS = ("mbus", 'address = 5\nprofile = "mbus_electricity_3phase"')
MODBUS = ("modbus", 'unit = 5\nprofile = "eastron_sdm630"')


class Silent:
    """A port that takes what comes and says nothing."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.asked = threading.Event()
        self.left = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        try:
            while True:
                connection, _ = self._server.accept()
                with connection:
                    while connection.recv(1000):
                        self.asked.set()
                self.left.set()
        except OSError:
            return

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(10)


@pytest.fixture
def silent() -> Iterator[Silent]:
    one = Silent()
    yield one
    one.close()


def write(folder: Path, port: int, kind: tuple[str, str] = MBUS) -> tuple[Path, int]:
    """A configuration, and its port for modules."""
    path, server = folder / "edge.toml", free_port()
    (folder / "water.key").write_text("0123456789abcdef0123456789abcdef\n")
    driver, device = kind
    values = {"port": port, "driver": driver, "device": device, "broker": free_port()}
    path.write_text(CONFIG.format(server=server, **values))
    return path, server


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "edge_agent", *map(str, arguments)]
    with subprocess.Popen(command, stdin=-3, stdout=-1, stderr=-1, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def interrupted(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it has said on its two streams."""
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 1, errors
    assert "Traceback" not in errors
    return out, errors


def once(happened: Callable[[], bool], what: str) -> None:
    eventually(happened, 30, what)


@pytest.mark.parametrize("kind", [MBUS, MODBUS], ids=["mbus", "modbus"])
def test_a_read_that_is_interrupted_shows_who_had_not_answered(
    silent: Silent, tmp_path: Path, kind: tuple[str, str]
) -> None:
    path, _ = write(tmp_path, silent.port, kind)
    with running("read", path, "--json") as process:
        once(silent.asked.is_set, "the meter is asked")
        out, errors = interrupted(process)
    assert {one["device"]: one["error"] for one in json.loads(out)} == {
        "meter": "interrupted before it had answered",
        "water": "interrupted before it had answered",
    }
    assert errors == ""
    once(silent.left.is_set, "the line is free")


def test_a_check_that_is_interrupted_is_bad_and_says_why(silent: Silent, tmp_path: Path) -> None:
    path, _ = write(tmp_path, silent.port)
    with running("check", path, "--online", "--json") as process:
        once(silent.asked.is_set, "the meter is asked")
        out, _ = interrupted(process)
    found = {one["subject"]: one["verdict"] for one in json.loads(out)}
    assert found == {
        "configuration": "good",
        "device meter": "bad",
        "device water": "bad",
        "broker": "bad",
    }
    once(silent.left.is_set, "the line is free")


def test_an_output_that_is_waited_for_can_be_given_up(silent: Silent, tmp_path: Path) -> None:
    path, server = write(tmp_path, silent.port)
    with running("output", path, "water", "on", "--yes", "--json") as process:
        wait_for_port(server, lambda: process.poll() is not None)
        out, errors = interrupted(process)
    assert json.loads(out) == {"error": "interrupted"}
    assert errors == "interrupted\n"


@pytest.mark.parametrize(
    "command",
    [
        ["scan", "mbus", "{url}"],
        ["scan", "mbus", "{url}", "--secondary"],
        ["scan", "modbus", "{url}", "--timeout", "60"],
        ["probe", "modbus", "{url}", "--unit", "1", "--address", "0", "--timeout", "60"],
        ["mbus", "set-address", "{url}", "5", "6", "--yes"],
    ],
    ids=["mbus", "mbus-secondary", "modbus", "probe", "mbus-set-address"],
)
def test_a_line_is_left_free(silent: Silent, command: list[str]) -> None:
    url = f"tcp://127.0.0.1:{silent.port}"
    arguments = [one.format(url=url) for one in command]
    with running(*arguments, "--json") as process:
        once(silent.asked.is_set, "somebody is asked")
        out, _ = interrupted(process)
    assert isinstance(json.loads(out), dict)
    once(silent.left.is_set, "the line is free")


def test_an_init_that_is_interrupted_in_a_scan_keeps_what_was_said(
    silent: Silent, tmp_path: Path
) -> None:
    answers = tmp_path / "answers.toml"
    answers.write_text(
        '[gateway]\nid = "g"\nsite = "s"\ntimezone = "UTC"\n'
        f'[[mbus]]\nurl = "tcp://127.0.0.1:{silent.port}"\n'
    )
    with running("init", tmp_path / "new", "--answers", answers, "--json") as process:
        once(silent.asked.is_set, "the bus is scanned")
        out, errors = interrupted(process)
    assert json.loads(out) == {"error": "interrupted"}
    assert "Nothing is made" in errors
    assert not (tmp_path / "new" / "edge.toml").exists()


def test_a_progress_line_is_wiped(silent: Silent, tmp_path: Path) -> None:
    path, _ = write(tmp_path, silent.port)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "edge_agent", "read", str(path), "--wait", "0.1"]
    with subprocess.Popen(command, stdout=-1, stderr=theirs, text=True) as process:
        os.close(theirs)
        shown = ""

        def is_shown() -> bool:
            nonlocal shown
            shown += os.read(ours, 1000).decode()
            return "1/2 water" in shown

        once(is_shown, "the progress")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    shown += os.read(ours, 1000).decode()
    os.close(ours)
    assert process.returncode == 1
    assert shown.endswith("\r\x1b[K")
    assert "interrupted before it had answered" in out
