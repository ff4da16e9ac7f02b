"""``inmetter-edge check``: is this configuration right, and what does it say?"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from common.clock import SystemClock
from edge_agent.cli.table import table
from edge_agent.config import C11Settings, Config, DeviceSettings, MbusSettings, load
from edge_agent.devices import Devices


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="the configuration file (TOML)")


def run(arguments: Namespace) -> int:
    """Print the devices; 0 when all is right. Raises ConfigError with every problem found."""
    path: Path = arguments.config
    config = load(path)
    devices = Devices(config, SystemClock())
    gateway = config.settings.gateway
    mqtt = config.settings.mqtt
    broker = f"{mqtt.host}:{mqtt.port}" if mqtt else "none: nothing is sent"
    print(f"{path}: good")
    print(f"gateway {gateway.id} ({gateway.name}), site {gateway.site}, broker {broker}")
    print()
    rows = [
        [one.key, one.driver, one.model, *_where(config, settings), str(len(one.registers))]
        for one, settings in zip(devices.described, config.settings.device, strict=True)
    ]
    print(table(["device", "driver", "model", "where", "every", "registers"], rows))
    return 0


def _where(config: Config, settings: DeviceSettings) -> tuple[str, str]:
    if isinstance(settings, C11Settings):
        server = config.settings.c11do1eth
        return f"connects to {server.host}:{server.port}", f"{settings.push_period_s} s"
    line = next(one for one in config.settings.line if one.id == settings.line)
    if isinstance(settings, MbusSettings):
        return f"{line.url} address {settings.address}", f"{settings.interval_s:g} s"
    return f"{line.url} unit {settings.unit}", f"{settings.interval_s:g} s"
