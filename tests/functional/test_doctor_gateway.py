"""The doctor on a gateway as it stands: running or not, locked, with a broker that speaks TLS."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.mqtt import MqttSettings
from edge_agent.config import load
from edge_agent.doctor import Finding, Verdict, check_data
from edge_agent.doctor.network import check_broker
from edge_agent.store.database import Database
from tests.functional.c11do1eth_certificates import Certificates, make_certificates
from tests.harness.mosquitto import Mosquitto
from tests.harness.ports import free_port
from tests.harness.processes import Programs

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
port = {port}

[[device]]
driver = "c11do1eth"
key = "water"
name = "Water"
medium = "water"
key_file = "water.key"
pulse_weight = "10 l"
"""


def write(folder: Path, broker: int) -> Path:
    path = folder / "edge.toml"
    key = folder / "water.key"
    key.write_text("0123456789abcdef0123456789abcdef\n")
    key.chmod(0o600)
    path.write_text(CONFIG.format(broker=broker, port=free_port()))
    return path


def doctor(path: Path) -> dict[str, Any]:
    """Its findings by subject."""
    command = [sys.executable, "-m", "edge_agent", "doctor", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return {one["subject"]: one for one in json.loads(done.stdout)}


def standing(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every file with when it was changed, and its size."""
    found = {path: path.stat() for path in (folder, *folder.rglob("*"))}
    return {path: (one.st_mtime_ns, one.st_size) for path, one in found.items()}


def of(findings: list[Finding], subject: str) -> Finding:
    return next(one for one in findings if one.subject == subject)


def test_beside_a_running_agent_all_is_good_and_nothing_is_made(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    folder = tmp_path / "gateway"
    folder.mkdir()
    path = write(folder, mosquitto.port)
    with Programs(tmp_path) as programs:
        command = (sys.executable, "-m", "edge_agent", "run", str(path))
        agent = programs.add("edge", *command).start()
        agent.wait_for("1 devices")
        before = set(standing(folder))
        found = doctor(path)
        assert set(standing(folder)) == before
        agent.stop()
        assert agent.exit_code == 0
    port = load(path).settings.c11do1eth.port
    assert found["data file"]["found"].endswith("in use by a running agent")
    assert found[f"port {port} for C11DO1ETH modules"]["verdict"] == "good"
    for subject in ("broker's port", "broker's login", "secret water key_file"):
        assert found[subject]["verdict"] == "good"


def test_nothing_is_written_or_touched(tmp_path: Path) -> None:
    path = write(tmp_path, free_port())
    stood = standing(tmp_path)
    doctor(path)
    assert standing(tmp_path) == stood
    Database(load(path).database).close()
    stood = standing(tmp_path)
    assert doctor(path)["data file"]["verdict"] == "good"
    assert standing(tmp_path) == stood


def test_a_data_file_that_is_locked_is_not_called_damaged(tmp_path: Path) -> None:
    path = write(tmp_path, free_port())
    config = load(path)
    Database(config.database).close()
    holder = sqlite3.connect(config.database, isolation_level=None)
    try:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        holder.execute("CREATE TABLE held (x)")
        found = of(list(check_data(config)), "data file")
    finally:
        holder.close()
    assert found.verdict in {Verdict.GOOD, Verdict.UNKNOWN}
    assert "damaged" not in found.found


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates") / "ours")


@pytest.fixture(scope="module")
def tls(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MqttSettings]:
    """A broker that speaks TLS alone."""
    access = f"allow_anonymous true\ncertfile {certificates.server}\nkeyfile {certificates.key}\n"
    with Mosquitto(tmp_path_factory.mktemp("broker"), access) as broker:
        yield msgspec.structs.replace(broker.settings, tls_ca_file=str(certificates.ca))


async def test_a_broker_with_a_good_certificate_is_good(tls: MqttSettings) -> None:
    findings = await check_broker(tls, "hall-1", 5)
    assert [one.verdict for one in findings] == [Verdict.GOOD] * 4
    assert of(findings, "broker's TLS").found == "the certificate is good"


async def test_a_broker_of_another_authority_is_bad(tls: MqttSettings, tmp_path: Path) -> None:
    other = make_certificates(tmp_path / "others")
    settings = msgspec.structs.replace(tls, tls_ca_file=str(other.ca))
    found = (await check_broker(settings, "hall-1", 5))[-1]
    assert (found.subject, found.verdict) == ("broker's TLS", Verdict.BAD)
    assert "certificate" in found.found
    assert "is mqtt.tls_ca_file the broker's CA" in found.advice


async def test_tls_on_one_side_alone_is_bad(
    tls: MqttSettings, certificates: Certificates, mosquitto: Mosquitto
) -> None:
    plain = msgspec.structs.replace(mosquitto.settings, tls_ca_file=str(certificates.ca))
    found = (await check_broker(plain, "hall-1", 5))[-1]
    assert (found.subject, found.verdict) == ("broker's TLS", Verdict.BAD)
    assert "speaks no TLS" in found.found
    found = (await check_broker(msgspec.structs.replace(tls, tls_ca_file=""), "hall-1", 5))[-1]
    assert (found.subject, found.verdict) == ("broker's login", Verdict.BAD)
    assert "TLS" in found.advice


async def test_a_ca_file_that_is_none_is_named(tls: MqttSettings, tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("not a certificate\n")
    settings = msgspec.structs.replace(tls, tls_ca_file=str(wrong))
    found = (await check_broker(settings, "hall-1", 5))[-1]
    assert (found.verdict, str(wrong) in found.found) == (Verdict.BAD, True)
