"""``inmetter-edge read``: does each device answer, and what does it say? For the installer."""

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import suppress

from common.clock import to_datetime
from common.errors import ConfigError
from common.reading import Measured
from common.registers import Register
from edge_agent.cli.arguments import add_config, add_json, add_wait
from edge_agent.cli.document import document
from edge_agent.cli.doubts import doubts, likely_cause, summary
from edge_agent.cli.once import Once, Outcome
from edge_agent.cli.progress import Progress
from edge_agent.cli.table import table
from edge_agent.config import Config
from edge_agent.drivers.base import CountsRequests, Device
from edge_agent.pushed import running


def add_arguments(parser: ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("device", nargs="?", help="the key of one device")
    add_wait(parser)
    add_json(parser)


def run(arguments: Namespace) -> int:
    """Print a table or JSON; 0 when every device gave readings, else 1. Raises ConfigError.

    What was read is printed, too, when the rest is interrupted.
    """
    config = running(arguments.config)
    outcomes = _read(config, arguments)
    if arguments.json:
        print(_json(outcomes))
    else:
        print("\n".join([_table(outcomes), *_warnings(config, outcomes)]))
    return 1 if any(outcome.error for outcome in outcomes) else 0


def _read(config: Config, arguments: Namespace) -> list[Outcome]:
    once = Once(config, arguments.wait)
    keys = [key for key in once.keys if arguments.device in (None, key)]
    if not keys:
        known = ", ".join(once.keys) or "none"
        reason = f"there is no device {arguments.device!r}; there are: {known}"
        raise ConfigError(f"{config.name}: {reason}")
    progress = Progress(len(keys))
    with suppress(KeyboardInterrupt):
        asyncio.run(once.read(keys, lambda one: progress.step(one.device.key)))
    progress.end()
    return once.outcomes(keys)


def _warnings(config: Config, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What is hardly right, and why it may be so."""
    settings = {one.key: one for one in config.settings.device}
    for outcome in outcomes:
        key = outcome.device.key
        if found := doubts(outcome):
            yield f"\n{key}: hardly believable: {summary(found)}"
            yield f"→ {likely_cause(config, settings[key])}"


def _table(outcomes: Sequence[Outcome]) -> str:
    rows = []
    for outcome in outcomes:
        key = outcome.device.key
        if outcome.sample is None:
            rows.append([key, "", "", "", outcome.error])
            continue
        for register, measured in _pairs(outcome):
            value = "-" if measured.value is None else f"{measured.value:f}"
            quality = measured.quality.name.lower().replace("_", " ")
            rows.append([key, register.key, value, register.unit, quality])
    return table(["device", "register", "value", "unit", "quality"], rows)


def _json(outcomes: Sequence[Outcome]) -> str:
    found = [
        {
            "device": outcome.device.key,
            "at": to_datetime(outcome.sample.at_ms).isoformat() if outcome.sample else None,
            "error": outcome.error or None,
            "requests": _requests(outcome.device),
            "readings": [
                {
                    "register": register.key,
                    "value": None if measured.value is None else f"{measured.value:f}",
                    "unit": register.unit,
                    "quality": measured.quality.name.lower(),
                    "raw": measured.raw,
                    "doubt": doubts(outcome).get(register.key),
                }
                for register, measured in _pairs(outcome)
            ],
        }
        for outcome in outcomes
    ]
    return document(found)


def _requests(device: Device) -> int | None:
    """How many it took; None for a device that is not asked one by one."""
    return device.requests if isinstance(device, CountsRequests) else None


def _pairs(outcome: Outcome) -> list[tuple[Register, Measured]]:
    registers = {register.key: register for register in outcome.device.registers}
    measured = outcome.sample.measured if outcome.sample else ()
    return [(registers[one.key], one) for one in measured if one.key in registers]
