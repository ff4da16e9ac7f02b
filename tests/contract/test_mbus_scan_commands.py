"""``inmetter-edge scan mbus`` and ``inmetter-edge mbus`` on a simulated converter."""

import errno
import io
import json
import os
import signal
import socket
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.__main__ import main
from edge_agent.cli import scan_mbus
from edge_agent.config import load
from edge_agent.drivers.mbus_scan import PrimaryPosition
from edge_agent.protocols.mbus import link
from edge_agent.simulators.mbus_slave import Slave
from tests.contract.mbus_site import converter, electricity
from tests.harness.eventually import eventually
from tests.harness.ports import free_port

Capture = pytest.CaptureFixture[str]
QUICK = ["--timeout", "0.05"]
PATIENT = ["--timeout", "0.3"]
CONFIG = """
[gateway]
id = "g"
name = "g"
site = "s"
site_name = "s"
timezone = "Europe/Bucharest"

[[line]]
id = "bus"
url = "{url}"
"""


@pytest.fixture
def slaves() -> list[Slave]:
    return [electricity(1, "10203040"), electricity(3, "10903050")]


@pytest.fixture
def url(slaves: list[Slave]) -> Iterator[str]:
    with converter(slaves) as where:
        yield where


def told(capsys: Capture) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_scan_shows_a_table_and_what_to_put_into_the_configuration(
    url: str, capsys: Capture, tmp_path: Path
) -> None:
    assert main(["scan", "mbus", url, "--to", "3", *QUICK]) == 0
    shown = capsys.readouterr()
    table, _, snippets = shown.out.partition("# for the configuration:\n")
    assert table.splitlines()[1].split()[:4] == ["1", "10203040-INM-01-02", "INM", "1"]
    assert "mbus_electricity_3phase" in table
    assert shown.err == "", "no progress where nobody looks"
    config = tmp_path / "edge.toml"
    config.write_text(CONFIG.format(url=url) + snippets.replace('line = "?"', 'line = "bus"'))
    assert [device.key for device in load(config).settings.device] == [
        "meter-10203040",
        "meter-10903050",
    ]
    assert main(["read", str(config)]) == 0


def test_a_search_gives_json_and_configuration_by_secondary_address(
    url: str, capsys: Capture
) -> None:
    assert main(["scan", "mbus", url, "--secondary", "--json", "--progress", *QUICK]) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert (found["url"], found["complete"], found["troubles"]) == (url, True, [])
    assert [(one["secondary"], one["address"]) for one in found["meters"]] == [
        ("10203040-INM-01-02", 1),
        ("10903050-INM-01-02", 3),
    ]
    assert "2 found" in shown.err
    main(["scan", "mbus", url, "--secondary", "--mask", "1020FFFF", *QUICK])
    assert 'secondary = "10203040-INM-01-02"' in capsys.readouterr().out


def test_an_empty_bus_ends_with_the_likely_causes(capsys: Capture) -> None:
    with converter([]) as url:
        assert main(["scan", "mbus", url, "--to", "1", *QUICK]) == 1
    shown = capsys.readouterr()
    assert "no power on the bus" in shown.err
    assert "baud rate" in shown.err
    assert "plain switch" in shown.err


def test_no_converter_ends_with_the_likely_cause(capsys: Capture) -> None:
    assert main(["scan", "mbus", f"tcp://127.0.0.1:{free_port()}"]) == 1
    assert "wrong port, or no converter" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["tcp://x"], "expected tcp://HOST:PORT"),
        (["tcp://x:1", "--from", "9", "--to", "3"], "--from and --to: expected 0 to 250"),
        (["tcp://x:1", "--to", "251"], "--from and --to: expected 0 to 250"),
        (["tcp://x:1", "--timeout", "0"], "--timeout 0: expected above 0"),
        (["tcp://x:1", "--secondary", "--mask", "12"], "--mask '12': expected 8 digits"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], reason: str, capsys: Capture) -> None:
    assert main(["scan", "mbus", *arguments]) == 2
    assert reason in capsys.readouterr().err


def test_an_interrupted_scan_tells_what_it_has_and_goes_on_later(
    url: str, capsys: Capture, tmp_path: Path
) -> None:
    state = tmp_path / "scan.json"
    command = ["scan", "mbus", url, "--to", "20", "--json", "--resume", str(state)]
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_agent", *command, "--timeout", "0.3"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: state.exists() and "10903050" in state.read_text(), what="two found")
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors
    assert f"goes on from {state}" in errors
    partial = json.loads(out)
    assert process.returncode == 1
    assert partial["complete"] is False
    assert len(partial["meters"]) == 2
    assert json.loads(state.read_text())["position"]["next"] >= 4
    assert main([*command, *QUICK]) == 0
    whole = told(capsys)
    assert whole["complete"] is True
    assert [one["address"] for one in whole["meters"]] == [1, 3]
    assert not state.exists()


def test_the_state_of_another_line_is_not_gone_on_with(
    url: str, capsys: Capture, tmp_path: Path
) -> None:
    state = tmp_path / "scan.json"
    state.write_text(json.dumps({"url": "tcp://x:1", "position": {"type": "primary"}}))
    assert main(["scan", "mbus", url, "--resume", str(state)]) == 2
    assert "is a scan of tcp://x:1, not of" in capsys.readouterr().err
    for broken in ("{", json.dumps({"url": url, "position": {"type": "primary", "next": 999}})):
        state.write_text(broken)
        assert main(["scan", "mbus", url, "--resume", str(state)]) == 2
        assert "expected a scan that was interrupted" in capsys.readouterr().err


def test_the_state_of_another_scan_of_the_line_is_not_gone_on_with(
    url: str, capsys: Capture, tmp_path: Path
) -> None:
    state = tmp_path / "scan.json"
    scope = "primary addresses 0 to 250"
    told = {"url": url, "scope": scope, "position": {"type": "primary", "next": 250}}
    state.write_text(json.dumps(told))
    for other in (["--secondary"], ["--to", "3"]):
        assert main(["scan", "mbus", url, "--resume", str(state), *other]) == 2
        assert f"is a scan of {scope}, not of" in capsys.readouterr().err
    assert json.loads(state.read_text()) == told


def test_a_state_that_cannot_be_kept_is_told_before_anything_is_asked(
    url: str, slaves: list[Slave], capsys: Capture, tmp_path: Path
) -> None:
    nowhere = tmp_path / "none" / "scan.json"
    assert main(["scan", "mbus", url, "--to", "4", "--resume", str(nowhere), *PATIENT]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert [slave._asked_ms for slave in slaves] == [None, None]


def test_what_was_found_is_shown_though_it_cannot_be_kept(
    url: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _to: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def begun(_arguments: Namespace) -> scan_mbus.Scan:
        monkeypatch.setattr(Path, "replace", full)
        return scan_mbus.Scan(url, PrimaryPosition(0, 3))

    monkeypatch.setattr(scan_mbus, "_begin", begun)
    state = tmp_path / "scan.json"
    assert main(["scan", "mbus", url, "--resume", str(state), *PATIENT]) == 2
    shown = capsys.readouterr()
    assert "10203040-INM-01-02" in shown.out
    assert "No space left on device" in shown.err


class Garbling(Slave):
    """Answers every question with what is no M-Bus."""

    def answer(self, frame: link.Frame, at_ms: int) -> bytes:
        return b"\x00HTTP"


def test_a_scan_that_gives_up_in_noise_is_not_complete(capsys: Capture) -> None:
    one = electricity(1, "10203040")
    with converter([Garbling(1, one.identity, one._source)]) as url:
        assert main(["scan", "mbus", url, "--to", "9", "--json", *QUICK]) == 1
    whole = told(capsys)
    assert (whole["complete"], whole["meters"]) == (False, [])
    assert "the whole line" in [trouble["where"] for trouble in whole["troubles"]]


def test_a_meter_is_given_another_address_and_is_found_there(
    url: str, slaves: list[Slave], capsys: Capture
) -> None:
    assert main(["mbus", "set-address", url, "1", "9", "--yes", "--json", *PATIENT]) == 0
    done = told(capsys)
    assert (done["verified"], done["meter"]["secondary"]) == (True, "10203040-INM-01-02")
    assert slaves[0].address == 9
    assert main(["mbus", "set-address", url, "10903050", "4", "--yes", *PATIENT]) == 0
    assert slaves[1].address == 4


def test_an_address_that_is_taken_is_not_given_twice(
    url: str, slaves: list[Slave], capsys: Capture
) -> None:
    assert main(["mbus", "set-address", url, "1", "3", "--yes", *PATIENT]) == 1
    assert "address 3 is taken" in capsys.readouterr().err
    assert [slave.address for slave in slaves] == [1, 3]


def test_nothing_is_changed_without_a_yes(
    url: str, slaves: list[Slave], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text, code, address in (("\n", 1, 1), ("", 1, 1), ("y\n", 0, 9)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        assert main(["mbus", "set-address", url, "1", "9", *PATIENT]) == code
        assert "10203040-INM-01-02 (electricity) at 1: set-address 9?" in capsys.readouterr().err
        assert slaves[0].address == address


class Interrupting(Slave):
    """Takes its new address in the moment in which somebody types Ctrl-C."""

    def _write(self, record: bytes) -> None:
        super()._write(record)
        os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_in_the_middle_of_a_change_tells_that_it_may_have_happened(capsys: Capture) -> None:
    one = electricity(1, "10203040")
    slave = Interrupting(1, one.identity, one._source)
    with converter([slave]) as url:
        assert main(["mbus", "set-address", url, "1", "9", "--yes", *PATIENT]) == 1
    assert "interrupted: it may have happened or not" in capsys.readouterr().err
    assert slave.address == 9


def test_several_meters_at_one_address_are_not_changed_together(capsys: Capture) -> None:
    slaves = [electricity(1, "10203040"), electricity(1, "99999999")]
    with converter(slaves) as url:
        for where in ("1", "254"):
            assert main(["mbus", "set-address", url, where, "9", "--yes", *QUICK]) == 1
    assert [slave.address for slave in slaves] == [1, 1]


@pytest.mark.parametrize("where", ["1", "10203040-INM-01-02", "10203040"])
def test_an_application_is_reset(url: str, where: str, capsys: Capture) -> None:
    assert main(["mbus", "reset", url, where, "--yes", *PATIENT]) == 0
    assert main(["mbus", "reset", url, where, "16", "--yes", *PATIENT]) == 0
    assert capsys.readouterr().out.count("done and verified") == 2


def test_a_baud_rate_over_tcp_is_told_and_not_verified(
    url: str, slaves: list[Slave], capsys: Capture
) -> None:
    assert main(["mbus", "baud", url, "1", "9600", "--yes"]) == 0
    assert "Set the converter to 9600 baud within two minutes" in capsys.readouterr().out
    assert slaves[0].baud == 9600


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["set-address", "tcp://x:1", "1"], "expected a value"),
        (["set-address", "tcp://x:1", "meter", "1"], "'meter': expected 8 digits"),
        (["reset", "tcp://x:1", "251"], "address 251: expected 0 to 250"),
        (["reset", "tcp:", "1"], "expected tcp://HOST:PORT"),
    ],
)
def test_wrong_usage_of_mbus_is_told(arguments: list[str], reason: str, capsys: Capture) -> None:
    assert main(["mbus", *arguments, "--yes"]) == 2
    assert reason in capsys.readouterr().err


def test_values_that_cannot_be_are_told(url: str, slaves: list[Slave], capsys: Capture) -> None:
    for action, value in (("set-address", "251"), ("baud", "1234"), ("reset", "256")):
        assert main(["mbus", action, url, "1", value, "--yes"]) == 2
        assert f"{value}: expected" in capsys.readouterr().err
    assert (slaves[0].address, slaves[0].baud) == (1, 2400)


def test_what_is_a_plain_web_page_ends_with_the_likely_cause(capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = f"""
import socket
s = socket.socket(fileno={server.fileno()})
while True:
    c, _ = s.accept()
    while c.recv(1024):
        c.sendall(b"HTTP/1.1 400 Bad Request")
"""
        process = subprocess.Popen([sys.executable, "-c", script], pass_fds=[server.fileno()])
        try:
            port = server.getsockname()[1]
            assert main(["scan", "mbus", f"tcp://127.0.0.1:{port}", *QUICK]) == 1
        finally:
            process.kill()
            process.wait()
    shown = capsys.readouterr()
    assert "HTTP/1.1 400 Bad" in shown.out
    assert "speaks another protocol" in shown.err
