"""``inmetter-edge read``: does each device answer, and what does it say? For the installer."""

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from common.clock import Clock, SystemClock, to_datetime
from common.errors import ConfigError, InMetterError, Unreachable
from common.reading import Measured
from common.registers import Register
from edge_agent.cli.table import table
from edge_agent.config import Config, load
from edge_agent.devices import Devices, communication_server
from edge_agent.drivers.base import Device, Sample
from edge_agent.metering.pulses import measure
from edge_agent.protocols.c11do1eth import Clock as ItemClock
from edge_agent.protocols.c11do1eth import Evt, Hello, Rec


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one device said, or why it did not."""

    device: Device
    sample: Sample | None = None
    error: str = ""


class FirstRecord:
    """A sink that takes one record of each module and acknowledges none: none is lost."""

    def __init__(self, devices: Devices) -> None:
        loop = asyncio.get_running_loop()
        self._devices = devices
        self.records: dict[str, asyncio.Future[Sample]] = {
            key: loop.create_future() for key in devices.modules
        }

    async def resume(self, device: str, hello: Hello) -> int:
        return hello.oldest - 1

    async def store(self, device: str, items: Sequence[Rec | Evt]) -> int:
        module, future = self._devices.modules[device], self.records[device]
        for item in items:
            if isinstance(item, Rec) and not future.done():
                time_ok = item.clock is not ItemClock.UNKNOWN
                measured = measure(module, item, time_ok=time_ok)
                future.set_result(Sample(device, item.at_ms, measured))
        raise Unreachable("only reading: nothing is stored")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="the configuration file (TOML)")
    parser.add_argument("device", nargs="?", help="the key of one device")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=30.0,
        metavar="S",
        help="seconds to wait for a module that connects to us (30)",
    )


def run(arguments: Namespace) -> int:
    """Print a table or JSON; 0 when every device gave readings, else 1. Raises ConfigError."""
    config = load(arguments.config)
    outcomes = asyncio.run(_read(config, arguments.device, arguments.wait, SystemClock()))
    print(_json(outcomes) if arguments.json else _table(outcomes))
    return 1 if any(outcome.error for outcome in outcomes) else 0


async def _read(config: Config, only: str | None, wait_s: float, clock: Clock) -> list[Outcome]:
    devices = Devices(config, clock)
    wanted = [key for key in devices.all if only in (None, key)]
    if not wanted:
        known = ", ".join(devices.all) or "none"
        raise ConfigError(f"{config.path}: there is no device {only!r}; there are: {known}")
    modules = [key for key in wanted if key in devices.modules]
    try:
        heard = asyncio.ensure_future(_listen(config, devices, modules, wait_s, clock))
        polled = {key: await _poll(devices, key) for key in wanted if key in devices.polled}
        every = {**polled, **await heard}
    finally:
        await devices.close()
    return [every[key] for key in wanted]


async def _poll(devices: Devices, key: str) -> Outcome:
    device = devices.polled[key].device
    try:
        return Outcome(device, await device.read())
    except InMetterError as error:
        return Outcome(device, error=str(error))


async def _listen(
    config: Config, devices: Devices, keys: Sequence[str], wait_s: float, clock: Clock
) -> dict[str, Outcome]:
    """Wait until each of the modules has connected and sent a record."""
    if not keys:
        return {}
    sink = FirstRecord(devices)
    server = config.settings.c11do1eth
    listening = communication_server(config, devices.modules, sink, clock)
    running = asyncio.ensure_future(listening.run())
    futures = [sink.records[key] for key in keys]
    all_heard = asyncio.ensure_future(_all(futures))
    await asyncio.wait({running, all_heard}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
    all_heard.cancel()
    reason = f"has not connected to {server.host}:{server.port} within {wait_s:g} s"
    if running.done() and running.exception():
        reason = f"port {server.port} cannot be listened on ({running.exception()})"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    outcomes = {}
    for key, future in zip(keys, futures, strict=True):
        module = devices.modules[key]
        if future.done() and not future.cancelled():
            outcomes[key] = Outcome(module, future.result())
        else:
            future.cancel()
            outcomes[key] = Outcome(module, error=reason)
    return outcomes


async def _all(futures: Sequence[asyncio.Future[Sample]]) -> None:
    await asyncio.wait(futures)


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
            "readings": [
                {
                    "register": register.key,
                    "value": None if measured.value is None else f"{measured.value:f}",
                    "unit": register.unit,
                    "quality": measured.quality.name.lower(),
                    "raw": measured.raw,
                }
                for register, measured in _pairs(outcome)
            ],
        }
        for outcome in outcomes
    ]
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def _pairs(outcome: Outcome) -> list[tuple[Register, Measured]]:
    registers = {register.key: register for register in outcome.device.registers}
    measured = outcome.sample.measured if outcome.sample else ()
    return [(registers[one.key], one) for one in measured if one.key in registers]


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 86400:
        raise ValueError(text)
    return seconds
