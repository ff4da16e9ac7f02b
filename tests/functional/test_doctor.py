"""The doctor's findings, on real files, ports and a real broker."""

import json
import socket
from pathlib import Path

import msgspec
import pytest

from common.clock import SystemClock
from common.mqtt import MqttSettings
from edge_agent.__main__ import main
from edge_agent.config import Config, GatewaySettings, Settings, load
from edge_agent.doctor import Finding, Verdict, check_data, check_host, check_network
from edge_agent.doctor.data import _file_system
from edge_agent.doctor.network import _default_route, _interfaces, check_broker
from edge_agent.store.database import Database, is_in_use
from tests.harness.mosquitto import Mosquitto
from tests.harness.ports import free_port

GATEWAY = """\
[gateway]
id = "hall-1"
name = "Hall"
site = "hall"
site_name = "Hall"
timezone = "Europe/Bucharest"
"""

MODULE = """\
[c11do1eth]
port = {port}

[[device]]
driver = "c11do1eth"
key = "water"
name = "Water"
medium = "water"
key_file = "water.key"
pulse_weight = "10 l"
"""


def configuration(directory: Path, more: str = "") -> Config:
    path = directory / "edge.toml"
    path.write_text(GATEWAY + more)
    return load(path)


def of(findings: list[Finding], subject: str) -> Finding:
    return next(one for one in findings if one.subject == subject)


def with_key(directory: Path, mode: int = 0o600) -> int:
    """A key with this mode, and a free port for its module."""
    key = directory / "water.key"
    key.write_text("0123456789abcdef0123456789abcdef\n")
    key.chmod(mode)
    return free_port()


def test_a_clock_that_was_never_set_is_bad() -> None:
    for says in (0, 2_086_000_000_000):
        found = of(list(check_host(says)), "clock")
        assert found.verdict is Verdict.BAD
        assert found.found.startswith("this gateway's clock is not set")
        assert "timedatectl" in found.advice
    assert of(list(check_host(SystemClock().now_ms())), "clock").verdict is Verdict.GOOD


def test_a_gateway_without_a_battery_clock_is_told_of_it(tmp_path: Path) -> None:
    assert of(list(check_host(0, tmp_path)), "battery clock").verdict is Verdict.WARNING
    (tmp_path / "rtc0").mkdir()
    assert of(list(check_host(0, tmp_path)), "battery clock").verdict is Verdict.GOOD


def test_the_data_file_is_looked_at_and_nothing_is_written(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    found = of(list(check_data(config)), "data file")
    assert (found.verdict, "first start" in found.found) == (Verdict.GOOD, True)
    assert sorted(tmp_path.rglob("*")) == before
    database = Database(config.database)
    try:
        assert is_in_use(config.database)
        assert "in use by a running agent" in of(list(check_data(config)), "data file").found
    finally:
        database.close()
    assert not is_in_use(config.database)
    stood = {path: path.read_bytes() for path in config.database.parent.iterdir()}
    assert of(list(check_data(config)), "data file").verdict is Verdict.GOOD
    assert {path: path.read_bytes() for path in config.database.parent.iterdir()} == stood


def test_a_damaged_data_file_is_bad_and_left_as_it_is(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    Database(config.database).close()
    with config.database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    stood = config.database.read_bytes()
    found = of(list(check_data(config)), "data file")
    assert found.verdict is Verdict.BAD
    assert "damaged" in found.found
    assert config.database.read_bytes() == stood


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("/dev/sda1 / ext4 rw,relatime 0 0", Verdict.GOOD),
        ("tmpfs / tmpfs rw 0 0", Verdict.BAD),
        ("/dev/sda1 / ext4 ro,relatime 0 0", Verdict.BAD),
        ("/dev/sda1 / vfat rw 0 0", Verdict.WARNING),
        ("server:/x / nfs4 rw 0 0", Verdict.WARNING),
        ("proc /proc proc rw 0 0", Verdict.UNKNOWN),
    ],
)
def test_the_file_system_must_keep_what_is_written(
    tmp_path: Path, line: str, verdict: Verdict
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"{line}\n")
    assert _file_system(tmp_path, mounts).verdict is verdict


def test_secrets_are_there_and_nobody_elses_to_read(tmp_path: Path) -> None:
    port = with_key(tmp_path)
    config = configuration(tmp_path, MODULE.format(port=port))
    assert of(list(check_data(config)), "secret water key_file").verdict is Verdict.GOOD
    (tmp_path / "water.key").chmod(0o644)
    found = of(list(check_data(config)), "secret water key_file")
    assert (found.verdict, found.advice) == (Verdict.WARNING, f"chmod 600 {tmp_path}/water.key")
    (tmp_path / "water.key").unlink()
    assert of(list(check_data(config)), "secret water key_file").verdict is Verdict.BAD


def test_a_serial_port_that_is_not_there_is_bad(tmp_path: Path) -> None:
    line = '[[line]]\nid = "bus"\nurl = "serial:///dev/no-such-port?baud=2400"\n'
    found = of(list(check_data(configuration(tmp_path, line))), "line bus")
    assert (found.verdict, found.found) == (Verdict.BAD, "there is no /dev/no-such-port")


def test_interfaces_and_routes_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    for name, state in (("lo", "unknown"), ("eth0", "down")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "operstate").write_text(f"{state}\n")
    assert _interfaces(tmp_path).found == "none is up (eth0 down)"
    (tmp_path / "eth0" / "operstate").write_text("up\n")
    assert _interfaces(tmp_path).verdict is Verdict.GOOD
    routes = tmp_path / "route"
    head = "Iface\tDestination\tGateway\tFlags\n"
    routes.write_text(head + "eth0\t000200C0\t00000000\t0001\n")
    assert _default_route(routes).verdict is Verdict.WARNING
    routes.write_text(head + "eth0\t00000000\t010200C0\t0003\n")
    assert _default_route(routes).found == "by eth0"


async def test_a_broker_that_takes_us_is_good(mosquitto: Mosquitto) -> None:
    findings = await check_broker(mosquitto.settings, "hall-1", 5)
    assert [one.subject for one in findings] == [
        "broker's name",
        "broker's port",
        "broker's login",
    ]
    assert {one.verdict for one in findings} == {Verdict.GOOD}


async def test_a_broker_that_does_not_know_us_says_so(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("")
    access = f"allow_anonymous false\npassword_file {tmp_path}/users"
    (tmp_path / "password").write_text("wrong\n")
    with Mosquitto(tmp_path, access) as broker:
        settings = msgspec.structs.replace(
            broker.settings, username="hall-1", password_file=str(tmp_path / "password")
        )
        login = of(await check_broker(settings, "hall-1", 5), "broker's login")
    assert login.verdict is Verdict.BAD
    assert "not authorised" in login.found.lower() or "not authorized" in login.found.lower()
    assert "wrong" not in login.found


async def test_what_listens_at_the_brokers_port_may_be_no_broker() -> None:
    closed = free_port()
    findings = await check_broker(MqttSettings(port=closed), "hall-1", 5)
    assert findings[-1].subject == "broker's port"
    assert findings[-1].verdict is Verdict.BAD
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        login = (await check_broker(MqttSettings(port=port, keepalive_s=1), "hall-1", 1.5))[-1]
    assert (login.subject, login.verdict) == ("broker's login", Verdict.BAD)


async def test_a_brokers_name_that_is_none_is_bad() -> None:
    findings = await check_broker(MqttSettings(host="no-such-broker.invalid"), "hall-1", 20)
    assert [(one.subject, one.verdict) for one in findings] == [("broker's name", Verdict.BAD)]


async def test_the_port_for_modules_is_free_or_somebodys(tmp_path: Path) -> None:
    port = with_key(tmp_path)
    config = configuration(tmp_path, MODULE.format(port=port))
    subject = f"port {port} for C11DO1ETH modules"
    assert of(await check_network(config), subject).verdict is Verdict.GOOD
    with socket.create_server(("127.0.0.1", port)):
        found = of(await check_network(config), subject)
        assert (found.verdict, "ss -ltnp" in found.advice) == (Verdict.BAD, True)
        database = Database(config.database)
        try:
            assert (
                of(await check_network(config), subject).found == "the running agent listens there"
            )
        finally:
            database.close()


async def test_a_gateway_that_sends_nothing_is_told_of_it(tmp_path: Path) -> None:
    settings = Settings(GatewaySettings("hall-1", "Hall", "hall", "Hall", "Europe/Bucharest"))
    findings = await check_network(Config(tmp_path / "edge.toml", settings))
    assert of(findings, "broker").verdict is Verdict.WARNING


def test_the_command_prints_a_verdict_a_line_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = with_key(tmp_path, 0o644)
    configuration(tmp_path, MODULE.format(port=port))
    code = main(["doctor", str(tmp_path / "edge.toml")])
    lines = capsys.readouterr().out.splitlines()
    assert code == any(line.startswith("bad") for line in lines)  # what /tmp is on, we do not know
    at = next(n for n, line in enumerate(lines) if line.startswith("warning  secret water"))
    assert lines[at + 1].strip() == f"→ chmod 600 {tmp_path}/water.key"


def test_the_command_says_the_same_in_json_and_calls_a_wrong_file_bad(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(GATEWAY.replace("Europe/Bucharest", "Mars/Olympus"))
    assert main(["doctor", str(path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    [wrong] = [one for one in found if one["verdict"] == "bad"]
    assert wrong["subject"] == "configuration"
    assert "gateway.timezone" in wrong["found"]
    assert set(wrong) == {"subject", "verdict", "found", "advice"}
