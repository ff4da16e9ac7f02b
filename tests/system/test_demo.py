"""``make demo``: ready in time, stops cleanly, leaves nothing behind."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.harness.eventually import eventually
from tests.harness.ports import free_port

ROOT = Path(__file__).parents[2]
READY = re.compile(r"inMetter is ready: (http://127\.0\.0\.1:\d+)  user (\S+) password (\S+)")


@contextmanager
def demo(state: Path, port: int, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The demo's launcher, with everything it keeps under ``state``."""
    command = [sys.executable, "-m", "deploy.demo", "--state", str(state), "--port", str(port)]
    process = subprocess.Popen(
        [*command, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ready(process: subprocess.Popen[str]) -> re.Match[str]:
    """The line that says how to get in; fails when the demo ends before it."""
    said = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if found := READY.search(line):
            return found
    raise AssertionError("the demo ended early:\n" + "".join(said))


def of(state: Path) -> list[psutil.Process]:
    """The living processes that work on ``state``."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(state) in w for w in words):
            found.append(process)
    return found


def metrics(url: str) -> dict[str, float]:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="mosquitto"),
        pytest.param(("--embedded-broker",), id="embedded", marks=pytest.mark.long),
    ],
)
def test_the_demo_gets_ready_brings_its_history_and_stops_cleanly(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    state = tmp_path / "demo"
    with demo(state, free_port(), *options) as process:
        url, user, password = ready(process).groups()
        assert len(of(state)) >= 5
        assert user == "admin"
        assert password
        assert httpx.get(f"{url}/api/v1/meters").status_code == 401
        # Two weeks at a quarter of an hour, of five devices, came through the journal.
        everything = 5 * 14 * 96
        eventually(
            lambda: metrics(url)["inmetter_entries_committed_total"] > everything,
            60,
            "the history is in the database",
        )
        truth = json.loads((state / "truth.json").read_text("utf-8"))
        assert set(truth["outputs"]) == {"cold-water/roof"}
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert of(state) == []


def test_a_demo_lets_no_second_one_in_leaves_nothing_when_killed_and_starts_again(
    tmp_path: Path,
) -> None:
    state = tmp_path / "demo"
    with demo(state, free_port()) as process:
        ready(process)
        before = of(state)
        assert len(before) >= 5
        with demo(state, free_port()) as second:
            output, _ = second.communicate(timeout=30)
            assert second.returncode == 1
            assert "another one is running" in output
            assert "Traceback" not in output
        assert process.poll() is None
        process.kill()
        process.wait()
        eventually(lambda: of(state) == [], 10, "nothing is left")
    with demo(state, free_port()) as process:
        ready(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
