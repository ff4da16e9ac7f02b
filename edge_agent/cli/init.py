"""``inmetter-edge init``: asks, finds devices, writes the configuration."""

import json
import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from common.clock import SystemClock
from common.errors import ConfigError, NotAllowed
from edge_agent.cli.interview import Interview
from edge_agent.cli.plan import Plan
from edge_agent.cli.questions import Questions
from edge_agent.config import load
from edge_agent.devices import Devices

NAME = "edge.toml"
DRAFT = "edge.toml.draft"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, nargs="?", default=Path(), help="where to (.)")
    parser.add_argument("--answers", type=Path, help="a TOML file that answers instead of you")
    parser.add_argument("--json", action="store_true", help="print what was made as JSON")


def run(arguments: Namespace) -> int:
    """0 when a configuration was written.

    Raises ConfigError, and NotAllowed when what is there may not be replaced; what was said is
    kept in a draft.
    """
    directory: Path = arguments.directory
    target = directory / NAME
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_there = target.exists()
    except OSError as error:
        raise ConfigError(f"{directory}: cannot be made or used: {error.strerror}") from error
    interview = Interview(directory / DRAFT, arguments.answers)
    if is_there and not interview.yes("overwrite", f"{target} is there. Replace it?"):
        raise NotAllowed(f"{target} stays as it is")
    try:
        questions = Questions(interview, directory)
        questions.ask_all()
    except KeyboardInterrupt:
        interview.say(f"\nNothing is made; what was said and found is kept in {directory / DRAFT}")
        raise
    plan = questions.plan
    _write(target, plan)
    interview.forget()
    made = [directory / name for name in plan.secrets]
    if arguments.json:
        print(json.dumps({"configuration": str(target), "secrets": [str(one) for one in made]}))
        return 0
    print(f"{target} is made, with {plan.devices} devices.")
    for path in made:
        whose = ", which the module needs too" if path.suffix == ".key" else ""
        print(f"{path} holds a secret{whose}")
    print(f"Next:\n  inmetter-edge check {target} --online\n  inmetter-edge doctor {target}")
    return 0


def _write(target: Path, plan: Plan) -> None:
    """The secrets, then the configuration, as a whole; nothing when it does not hold together."""
    fresh = target.with_name(f"{target.name}.new")
    made: list[Path] = []
    try:
        for name, secret in plan.secrets.items():
            path = target.with_name(name)
            if not path.exists():
                made.append(path)
                _put(path, f"{secret}\n", 0o600)
        _put(fresh, plan.text, 0o640)
        Devices(load(fresh), SystemClock())
        fresh.replace(target)
        made.clear()
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be written: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)
        for path in made:
            path.unlink(missing_ok=True)


def _put(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
