"""``inmetter-edge init``: from nothing to a configuration whose devices answer."""

import json
import os
import pty
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from edge_agent.config import load
from tests.harness.eventually import eventually
from tests.harness.site import SiteFiles

ANSWERS = """\
[gateway]
id = "hall-1"
site = "hall"
site_name = "The \\"great\\" hall"
timezone = "Europe/Bucharest"

[mqtt]
host = "127.0.0.1"
port = {broker}

[[mbus]]
url = "tcp://127.0.0.1:{mbus}"
scan = "secondary"

[[modbus]]
url = "tcp://127.0.0.1:{modbus}"

[modbus.1]

[c11do1eth]
keys = "cold-water gas"
port = {server}

[c11do1eth.cold-water]
medium = "cold_water"
pulse_weight = "10 l"
start_index = "1234.5 m³"
output = true
output_name = "Roof"

[c11do1eth.gas]
medium = "gas"
""".replace("[modbus.1]\n\n", "")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "edge_agent", *map(str, arguments)]


def edge(*arguments: object, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), input=said, capture_output=True, text=True, timeout=110, check=False
    )


def answers(site: SiteFiles, directory: Path) -> Path:
    path = directory / "answers.toml"
    path.write_text(
        ANSWERS.format(broker=site.broker, mbus=site.mbus, modbus=site.modbus, server=site.server)
    )
    return path


def test_a_file_of_answers_becomes_a_configuration_whose_devices_answer(
    site: SiteFiles, tmp_path: Path
) -> None:
    target = tmp_path / "gateway"
    done = edge("init", target, "--answers", answers(site, tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "configuration": str(target / "edge.toml"),
        "secrets": [str(target / "cold-water.key"), str(target / "gas.key")],
    }
    settings = load(target / "edge.toml").settings
    assert settings.gateway.site_name == 'The "great" hall'
    assert [one.key for one in settings.device][-2:] == ["cold-water", "gas"]
    assert {one.profile for one in settings.device[:2] if hasattr(one, "profile")} == {
        "mbus_electricity_3phase",
        "abb_b23",
    }
    for path in target.glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(path.read_text().strip()) == 32
    assert not (target / "edge.toml.draft").exists()
    for one in settings.device[:2]:
        read = edge("read", target / "edge.toml", one.key, "--json")
        assert read.returncode == 0, read.stdout
        assert json.loads(read.stdout)[0]["readings"]


def test_what_is_there_is_not_replaced_unasked(site: SiteFiles, tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text("mine")
    done = edge("init", tmp_path, "--answers", answers(site, tmp_path))
    assert done.returncode == 1
    assert (tmp_path / "edge.toml").read_text() == "mine"


def test_a_wrong_answer_names_file_and_key_and_makes_nothing(
    site: SiteFiles, tmp_path: Path
) -> None:
    path = answers(site, tmp_path)
    path.write_text(path.read_text().replace("Europe/Bucharest", "Mars/Olympus"))
    done = edge("init", tmp_path / "new", "--answers", path)
    assert done.returncode == 2
    assert f"{path}: gateway.timezone: expected a zone such as Europe/Bucharest" in done.stderr
    assert not list((tmp_path / "new").iterdir())


def asked(lines: Sequence[str], directory: Path) -> subprocess.CompletedProcess[str]:
    """A person who types these lines, and then leaves."""
    return edge("init", directory, said="".join(f"{line}\n" for line in lines))


def test_a_person_is_asked_again_when_an_answer_cannot_be(tmp_path: Path) -> None:
    said = ["Hall 1", "hall-1", "hall", "", "", "nowhere", "Europe/Bucharest", "", "", "", ""]
    done = asked(said, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "key 'Hall 1' is not a key" in done.stderr
    assert "expected a zone" in done.stderr
    settings = load(tmp_path / "edge.toml").settings
    assert (settings.gateway.name, settings.mqtt, settings.device) == ("hall-1", None, ())


def test_an_interrupted_interview_is_taken_up_where_it_was(tmp_path: Path) -> None:
    first = asked(["hall-1", "hall", "Great hall"], tmp_path)
    assert first.returncode == 2
    assert "what was said is kept" in first.stderr
    assert not (tmp_path / "edge.toml").exists()
    then = asked(["", "", "", "", "Europe/Bucharest", "", "", "", ""], tmp_path)
    assert then.returncode == 0, then.stderr
    settings = load(tmp_path / "edge.toml").settings
    assert (settings.gateway.id, settings.gateway.name) == ("hall-1", "Great hall")


def test_ctrl_c_keeps_what_was_said_and_makes_nothing(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(command("init", tmp_path), stdin=theirs, stdout=-1, stderr=-1) as asking:
        os.close(theirs)
        os.write(ours, b"hall-1\n")
        eventually((tmp_path / "edge.toml.draft").exists, 20, "the first answer is kept")
        asking.send_signal(signal.SIGINT)
        _, errors = asking.communicate(timeout=30)
    os.close(ours)
    assert asking.returncode == 1
    assert b"Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["edge.toml.draft"]


def test_a_draft_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "edge.toml.draft").write_text("{")
    done = asked([], tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no draft of ours" in done.stderr
