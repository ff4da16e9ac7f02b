"""Every command of the installer's guide, run on a simulated site."""

import asyncio
import re
import shlex
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from edge_agent.__main__ import USAGE
from tests.harness.processes import Programs
from tests.harness.site import SiteFiles
from tests.unit.edge_parts import event, opened

DOCUMENT = (Path(__file__).parents[2] / "docs/installing.md").read_text("utf-8")
COMMANDS = re.findall(r"^inmetter-edge (.*)$", DOCUMENT, re.MULTILINE)
ANSWERS = """\
[gateway]
id = "hall-1"
site = "hall"
timezone = "Europe/Bucharest"
"""


def words(command: str, site: SiteFiles, directory: Path) -> list[str]:
    """The command as it is for this site."""
    if command.startswith("init"):
        answers = directory / "answers.toml"
        answers.write_text(ANSWERS)
        return ["init", str(directory / "gateway"), "--answers", str(answers)]
    here = (
        command.replace("gateway/edge.toml", str(site.edge))
        .replace("HOST:10001", f"127.0.0.1:{site.mbus}")
        .replace("HOST:502", f"127.0.0.1:{site.modbus}")
    )
    if command.startswith("journal"):
        aside = directory / "edge.db"
        asyncio.run(_keep_something(site.journal, aside))
        here = re.sub(r"data/edge\.db\.damaged-\d+", str(aside), here)
    return shlex.split(here)


async def _keep_something(*paths: Path) -> None:
    for path in paths:
        async with opened(path.parent) as journal:
            await journal.append(event())


def test_the_guide_uses_every_command_of_the_installers() -> None:
    used = {command.split()[0] for command in COMMANDS}
    assert used >= {"init", "check", "doctor", "scan", "probe", "read", "output", "run", "journal"}


@pytest.mark.parametrize("command", [one for one in COMMANDS if not one.startswith("run")])
def test_a_command_of_the_guide_runs(command: str, site: SiteFiles, tmp_path: Path) -> None:
    arguments = words(command, site, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    # The doctor may find something on the machine that the tests run on.
    allowed = {0, 1} if arguments[0] == "doctor" else {0}
    assert done.returncode in allowed, done.stdout + done.stderr
    assert done.stdout
    assert "Traceback" not in done.stderr


def test_the_service_of_the_guide_runs_the_agent_as_a_user_who_may_write_its_data_alone() -> None:
    [text] = re.findall(r"```ini\n(.*?)```", DOCUMENT, re.DOTALL)
    unit = ConfigParser(interpolation=None, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser says it
    unit.read_string(text)
    service = unit["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    assert Path(program).name in DOCUMENT
    assert arguments[0] == "run"
    assert Path(arguments[1]).parent == Path(service["ReadWritePaths"])
    assert service["RestartPreventExitStatus"] == str(USAGE)
    assert f" {service['User']}\n" in DOCUMENT[: DOCUMENT.index("```ini")]


def test_the_agent_of_the_guide_runs_until_it_is_told_to_stop(
    site: SiteFiles, tmp_path: Path
) -> None:
    [command] = [one for one in COMMANDS if one.startswith("run")]
    with Programs(tmp_path) as programs:
        arguments = words(command, site, tmp_path)
        agent = programs.add("edge", sys.executable, "-m", "edge_agent", *arguments).start()
        agent.wait_for("5 devices")
        agent.stop()
        assert agent.exit_code == 0
