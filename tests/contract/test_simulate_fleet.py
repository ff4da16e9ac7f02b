"""A generated fleet: deterministic, right by the agent's own check, and every device readable."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest

from common.clock import SystemClock
from edge_agent.__main__ import main
from edge_agent.simulators.scenario import load_site
from edge_agent.simulators.site import SimulatedSite
from tests.harness.ports import free_port

DEVICES = 20


def make(folder: Path, *more: str) -> int:
    return main(
        ["simulate", "--generate", str(folder), "--gateways", "3", "--devices", str(DEVICES), *more]
    )


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_seed_makes_the_same_fleet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert make(tmp_path / name, "--seed", seed) == 0
    assert capsys.readouterr().out.count("scenario.toml edge.toml") == 9
    first = files(tmp_path / "a")
    assert first == files(tmp_path / "b")
    other = files(tmp_path / "c")
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first if name.endswith((".key", "rio.toml")))
    keys = [content for name, content in first.items() if name.endswith(".key")]
    assert len(set(keys)) == len(keys) >= 3
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "a").rglob("*.key")}
    assert modes == {0o600}


def test_every_gateway_has_devices_and_ports_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(tmp_path / "fleet") == 0
    places: set[str] = set()
    for number in (1, 2, 3):
        gateway = tmp_path / "fleet" / f"gw-{number:03}"
        capsys.readouterr()
        assert main(["check", str(gateway / "edge.toml")]) == 0
        assert f"gateway gw-{number:03} " in capsys.readouterr().out
        site = load_site(gateway / "scenario.toml")
        counts = (len(site.c11do1eth), len(site.mbus), len(site.modbus))
        assert sum(counts) == DEVICES
        assert min(counts) >= 5
        own = {one.listen for one in site.mbus} | {one.listen for one in site.modbus}
        own |= {one.server for one in site.c11do1eth}
        assert not own & places
        places |= own


def test_every_device_of_a_generated_gateway_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The simulated site in this process, the agent's own reading beside it."""
    ports = [free_port() for _ in range(3)]
    assert make(tmp_path / "fleet") == 0
    folder = tmp_path / "fleet" / "gw-002"
    for name in ("scenario.toml", "edge.toml"):
        text = (folder / name).read_text()
        for usual, port in zip((20050, 20051, 20052), ports, strict=True):
            assert f"{usual}" in text
            text = text.replace(f":{usual}", f":{port}").replace(f"= {usual}", f"= {port}")
        (folder / name).write_text(text)
    capsys.readouterr()
    assert asyncio.run(read_all(folder)) == 0
    found = json.loads(capsys.readouterr().out)
    outcomes = found["devices"] if isinstance(found, dict) else found
    assert len(outcomes) == DEVICES
    assert [one for one in outcomes if one["error"]] == []


async def read_all(folder: Path) -> int:
    site = SimulatedSite(load_site(folder / "scenario.toml"), SystemClock())
    running = asyncio.ensure_future(site.run(lambda _: None))
    try:
        arguments = ["read", str(folder / "edge.toml"), "--json", "--wait", "30"]
        return await asyncio.to_thread(main, arguments)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--gateways", "0"], "--gateways: 0: expected 1 to 10000"),
        (["--devices", "1001"], "--devices: 1001: expected 1 to 1000"),
        (["--first-port", "80"], "expected 1024 to 65535"),
        (["--gateways", "1000"], "need the ports 20000 to 69999"),
        (["--seed", 'a"b'], "--seed: expected printable text"),
        (["--broker", "here"], "--broker: 'here' is not HOST:PORT"),
    ],
)
def test_a_fleet_that_cannot_be_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert make(tmp_path / "fleet", *more) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "fleet").exists()


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "precious").write_text("a file of somebody")
    assert make(tmp_path) == 2
    assert "expected a new or an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
