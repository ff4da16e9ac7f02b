"""``inmetter-edge check``: is this configuration right, and (``--online``) does all answer?"""

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import suppress

from common.clock import SystemClock
from edge_agent.cli.arguments import add_config, add_json, add_wait
from edge_agent.cli.document import document
from edge_agent.cli.doubts import doubts, likely_cause, summary
from edge_agent.cli.findings import show
from edge_agent.cli.once import Once, Outcome
from edge_agent.cli.progress import Progress
from edge_agent.cli.table import table
from edge_agent.config import C11Settings, Config, DeviceSettings, MbusSettings
from edge_agent.devices import Devices
from edge_agent.doctor.finding import Finding, bad, good, unknown, warning
from edge_agent.doctor.network import WITHIN_S, check_broker
from edge_agent.drivers.c11do1eth import C11Module
from edge_agent.pushed import instead, pushed_text, running


def add_arguments(parser: ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--online", action="store_true", help="ask every device, and the broker, once"
    )
    parser.add_argument(
        "--text", action="store_true", help="print the configuration that runs, as it is written"
    )
    add_wait(parser)
    add_json(parser)


def run(arguments: Namespace) -> int:
    """Print the devices, or with ``--online`` a verdict on each: 1 when one of them is bad.

    Raises ConfigError with every problem found.
    """
    config = running(arguments.config)
    if arguments.text:
        print(pushed_text(config) or config.path.read_text("utf-8"), end="")
        return 0
    if arguments.online:
        return show(_online(config, arguments.wait), as_json=arguments.json)
    devices = Devices(config, SystemClock())
    rows = [
        [one.key, one.driver, one.model, *_where(config, settings), str(len(one.registers))]
        for one, settings in zip(devices.described, config.settings.device, strict=True)
    ]
    head = ["device", "driver", "model", "where", "every", "registers"]
    if arguments.json:
        found = [dict(zip(head, row, strict=True)) for row in rows]
        print(document(found))
        return 0
    gateway, mqtt = config.settings.gateway, config.settings.mqtt
    broker = f"{mqtt.host}:{mqtt.port}" if mqtt else "none: nothing is sent"
    print(f"{config.name}: good{instead(config)}")
    print(f"gateway {gateway.id} ({gateway.name}), site {gateway.site}, broker {broker}")
    print()
    print(table(head, rows))
    return 0


def _online(config: Config, wait_s: float) -> list[Finding]:
    """A finding on each device, and then on the broker; also when it is interrupted."""
    once = Once(config, wait_s)
    progress = Progress(len(once.keys))
    broker = [bad("broker", "interrupted before it was asked", "run the check again")]

    async def ask() -> None:
        await once.read(once.keys, lambda one: progress.step(one.device.key))
        broker[:] = await _broker(config)

    with suppress(KeyboardInterrupt):
        asyncio.run(ask())
    progress.end()
    settings = {one.key: one for one in config.settings.device}
    devices = [_device(config, settings[one.device.key], one) for one in once.outcomes(once.keys)]
    return [
        good("configuration", f"{config.name} holds together{instead(config)}"),
        *devices,
        *broker,
    ]


async def _broker(config: Config) -> list[Finding]:
    if config.mqtt is None:
        return [warning("broker", "none is configured", "add [mqtt]: nothing is sent")]
    cloud = unknown(
        "cloud",
        "it answers a running agent only",
        "start the agent and look at the dashboard: the gateway is online there",
    )
    return [*await check_broker(config.mqtt, config.settings.gateway.id, WITHIN_S), cloud]


def _device(config: Config, settings: DeviceSettings, outcome: Outcome) -> Finding:
    subject = f"device {outcome.device.key}"
    if outcome.sample is None:
        return bad(subject, outcome.error, "")  # which says where to look
    given = {one.key: one for one in outcome.sample.measured}
    # A module's first record after a while has no period, and so no rate.
    expected = [
        register.key
        for register in outcome.device.registers
        if register.counting or not isinstance(outcome.device, C11Module)
    ]
    silent = [key for key in expected if key not in given or given[key].value is None]
    values = sum(one.value is not None for one in given.values())
    if not values:
        return bad(subject, "answers, and gives no value", "is the profile that of this device?")
    if found := doubts(outcome):
        text = f"{values} values, hardly believable: {summary(found)}"
        return warning(subject, text, likely_cause(config, settings))
    if silent:
        return warning(
            subject,
            f"{values} values, none of {', '.join(silent)}",
            "is the profile that of this device, its phases connected?",
        )
    return good(subject, f"{values} values: {'; '.join(_some(outcome))}")


def _some(outcome: Outcome) -> Iterator[str]:
    """The first values, for a person who stands before the meter."""
    measured = {one.key: one.value for one in outcome.sample.measured} if outcome.sample else {}
    for register in outcome.device.registers[:2]:
        value = measured.get(register.key)
        if value is not None:
            yield f"{register.name} {value:f} {register.unit}".rstrip()


def _where(config: Config, settings: DeviceSettings) -> tuple[str, str]:
    if isinstance(settings, C11Settings):
        server = config.settings.c11do1eth
        return f"connects to {server.host}:{server.port}", f"{settings.push_period_s} s"
    line = next(one for one in config.settings.line if one.id == settings.line)
    if not isinstance(settings, MbusSettings):
        return f"{line.url} unit {settings.unit}", f"{settings.interval_s:g} s"
    address = settings.secondary if settings.address is None else settings.address
    return f"{line.url} address {address}", f"{settings.interval_s:g} s"
