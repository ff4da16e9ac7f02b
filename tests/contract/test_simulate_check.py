"""The document of the simulation, and the command line of its check, are what they say."""

import re
from pathlib import Path

import pytest

from edge_agent.__main__ import main
from edge_agent.simulators.entries import (
    C11Entry,
    FaultEntry,
    MBusEntry,
    MeterEntry,
    ModbusEntry,
    Scenario,
    Source,
)
from edge_agent.simulators.faults import PARAMETERS, FaultKind
from edge_agent.simulators.series import HOURLY, STANDARD
from tests.contract.playing import TWO_OF_EACH
from tests.harness.ports import free_port

DOCUMENT = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text("utf-8")


def test_every_key_fault_and_series_is_in_the_document() -> None:
    structs = (C11Entry, FaultEntry, MBusEntry, MeterEntry, ModbusEntry, Source, Scenario)
    tables = {"meter", "source", "c11do1eth", "mbus", "modbus", "fault"}
    keys = {key for struct in structs for key in struct.__struct_encode_fields__} - tables
    words = {*keys, *FaultKind, *HOURLY, *STANDARD, "draw_offs", "steady"}
    missing = [word for word in sorted(words) if f"`{word}`" not in DOCUMENT]
    assert [word for word in missing if f'"{word}"' not in DOCUMENT] == []


def test_the_parameters_of_faults_are_the_documents() -> None:
    for kind, parameters in PARAMETERS.items():
        row = next(line for line in DOCUMENT.splitlines() if line.startswith(f"| `{kind}` |"))
        told = {name: int(value) for name, value in re.findall(r"`(\w+)`[ a-z]* \((\d+)\)", row)}
        assert told == parameters


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.toml"
    path.write_text(TWO_OF_EACH)
    (tmp_path / "token").write_text("im_a-token-of-the-tests\n")
    return path


def check(scenario: Path, url: str, *more: str) -> int:
    truth, token = scenario.with_name("truth.json"), scenario.with_name("token")
    own = ["--truth", str(truth), "--gateway", "g", "--token-file", str(token)]
    return main(["simulate", str(scenario), "--check", url, *own, *more])


def test_a_check_says_what_it_lacks(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(scenario), "--check", "http://127.0.0.1:1"]) == 2
    assert "--check goes with --truth, --gateway and" in capsys.readouterr().err
    assert check(scenario, "ftp://127.0.0.1") == 2
    assert "expected http://HOST:PORT" in capsys.readouterr().err
    scenario.with_name("token").write_text("")
    assert check(scenario, "http://127.0.0.1:1") == 2
    assert "the secret is empty" in capsys.readouterr().err


def test_a_cloud_that_is_away_ends_with_1(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    assert check(scenario, f"http://127.0.0.1:{port}") == 1
    assert f"http://127.0.0.1:{port}: " in capsys.readouterr().err
