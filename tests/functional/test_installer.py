"""The installer's commands on a simulated site, as a person runs them."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.harness.ports import free_port
from tests.harness.processes import Programs
from tests.harness.site import SiteFiles


def edge(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_agent", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_every_device_is_checked_with_a_verdict_a_line(site: SiteFiles) -> None:
    done = edge("check", site.edge, "--online")
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = {
        line.split()[2]: line.split()[0] for line in done.stdout.splitlines() if " device " in line
    }
    assert len(verdicts) == 5
    assert set(verdicts.values()) == {"good"}
    assert "broker's login" in done.stdout


def test_a_device_that_is_not_there_is_bad_and_the_others_are_good(
    site: SiteFiles, tmp_path: Path
) -> None:
    text = site.edge.read_text()
    assert text.count("unit = 1") == 1
    wrong = site.edge.with_name("wrong.toml")
    wrong.write_text(text.replace("unit = 1", "unit = 9"))
    done = edge("check", wrong, "--online", "--json")
    assert done.returncode == 1
    found = {one["subject"]: one for one in json.loads(done.stdout)}
    devices = {key: one["verdict"] for key, one in found.items() if key.startswith("device ")}
    assert sorted(devices.values()) == ["bad", "good", "good", "good", "good"]
    [key] = [key for key, verdict in devices.items() if verdict == "bad"]
    assert "unit 9" in found[key]["found"]


def test_a_broker_that_is_away_is_bad(site: SiteFiles) -> None:
    port = next(line for line in site.edge.read_text().splitlines() if line.startswith("port"))
    wrong = site.edge.with_name("no-broker.toml")
    wrong.write_text(site.edge.read_text().replace(port, f"port = {free_port()}", 1))
    done = edge("check", wrong, "--online", "--json")
    found = {one["subject"]: one["verdict"] for one in json.loads(done.stdout)}
    assert (done.returncode, found["broker's port"]) == (1, "bad")


def test_an_output_is_switched_and_read_back(site: SiteFiles) -> None:
    for state, value in (("open", 1), ("off", 0)):
        done = edge("output", site.edge, "cold-water", state, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {
            "device": "cold-water",
            "output": "roof",
            "ordered": value,
            "read_back": value,
            "error": None,
        }


def test_what_cannot_be_switched_is_said_with_what_can(site: SiteFiles) -> None:
    for arguments, words in (
        (("nobody", "on"), "there is no device 'nobody'; there are: electricity-hall"),
        (("hot-water", "on"), "which output of hot-water? There are: none"),
        (("cold-water/door", "on"), "There are: cold-water/roof"),
        (("cold-water", "ajar"), "'ajar' is none of on, off, closed, open"),
    ):
        done = edge("output", site.edge, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_a_person_is_asked_before_something_moves(site: SiteFiles) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "edge_agent", "output", str(site.edge), "cold-water", "open"]
    with subprocess.Popen(command, stdin=theirs, stdout=-1, stderr=-1) as asked:
        os.close(theirs)
        os.write(ours, b"n\n")
        out, errors = asked.communicate(timeout=30)
    os.close(ours)
    assert (asked.returncode, out) == (1, b"")
    assert errors.startswith(b"Set cold-water/roof to open? [y/N]")


def test_a_running_agent_has_the_modules_and_that_is_said(site: SiteFiles) -> None:
    with Programs(site.edge.parent) as programs:
        agent = programs.add("edge", *site.edge_command()).start()
        agent.wait_for("device cold-water: session")
        done = edge("output", site.edge, "cold-water", "on")
        read = edge("read", site.edge, "cold-water")
        doctor = edge("doctor", site.edge, "--json")
        agent.stop()
    assert done.returncode == 1
    assert "is the running agent's" in done.stderr
    assert "is the running agent's" in read.stdout
    found = {one["subject"]: one["found"] for one in json.loads(doctor.stdout)}
    assert "the running agent listens there" in found.values()


def test_progress_is_for_who_watches(site: SiteFiles) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "edge_agent", "read", str(site.edge)]
    with subprocess.Popen(command, stdout=-1, stderr=theirs) as reading:
        os.close(theirs)
        out, _ = reading.communicate(timeout=60)
    shown = os.read(ours, 65536)
    os.close(ours)
    assert b"1/5 " in shown
    assert b"/5" not in out
