"""``inmetter-edge output``: switch an output and read it back, with the agent's own drivers."""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from contextlib import AsyncExitStack

import msgspec

from common.clock import SystemClock
from common.errors import ConfigError, InMetterError, NoAnswer, NotAllowed
from common.ids import new_command_id
from common.registers import Register
from edge_agent.cli.arguments import add_config, add_json, add_wait
from edge_agent.cli.modules import absence, listening
from edge_agent.config import Config
from edge_agent.devices import Devices
from edge_agent.drivers.base import Device, Order, SwitchesOutputs
from edge_agent.pushed import running

GOOD_FOR_MS = 10_000
"""An order is not carried out later than so long after the device was there for it."""

WORDS = {"on": 1, "off": 0, "1": 1, "0": 0}


def add_arguments(parser: ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("device", help="DEVICE, or DEVICE/OUTPUT where it has several")
    parser.add_argument("state", help="on or off, or a state's own name, such as open")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_wait(parser)
    add_json(parser)


def run(arguments: Namespace) -> int:
    """0 when the output was read back as ordered, else 1. Raises InMetterError.

    The journal hears nothing of it: a running agent sees the new state at its next poll.
    """
    config = running(arguments.config)
    devices = Devices(config, SystemClock())
    device, register = _find(config, devices, arguments.device)
    value = _value(config, register, arguments.state)
    name = f"{device.key}/{register.key}"
    if not arguments.yes and not _confirmed(f"Set {name} to {_state(register, value)}?"):
        raise NotAllowed(f"{name}: nothing was switched")
    read, error = None, ""
    try:
        read = asyncio.run(_switch(config, devices, device, (register.key, value), arguments.wait))
        if read != value:
            error = (
                f"it took the order, and reads {_state(register, read)}: a stuck relay, or "
                "something else switches it too"
            )
    except InMetterError as failure:
        error = str(failure)
    if arguments.json:
        result = {"device": device.key, "output": register.key, "ordered": value}
        print(msgspec.json.encode(result | {"read_back": read, "error": error or None}).decode())
    elif error:
        print(f"{name}: {error}", file=sys.stderr)
    else:
        print(f"{name} reads {_state(register, value)}")
    return 1 if error else 0


def _find(config: Config, devices: Devices, name: str) -> tuple[Device, Register]:
    key, _, output = name.partition("/")
    device = devices.all.get(key)
    if device is None:
        known = ", ".join(devices.all) or "none"
        raise ConfigError(f"{config.name}: there is no device {key!r}; there are: {known}")
    outputs = [register for register in device.registers if register.writable]
    fitting = [register for register in outputs if output in ("", register.key)]
    if len(fitting) != 1:
        known = ", ".join(f"{key}/{register.key}" for register in outputs) or "none"
        raise ConfigError(f"{config.name}: which output of {key}? There are: {known}")
    return device, fitting[0]


def _value(config: Config, register: Register, word: str) -> int:
    names = {state: value for value, state in enumerate(register.states or ())}
    value = {**WORDS, **names}.get(word)
    if value is None:
        known = ", ".join(["on", "off", *names])
        raise ConfigError(f"{config.name}: {word!r} is none of {known}")
    return value


def _state(register: Register, value: int) -> str:
    return register.states[value] if register.states else str(value)


def _confirmed(question: str) -> bool:
    """Whether the person at the terminal says yes; without one, nobody has to."""
    if not sys.stdin.isatty():
        return True
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


async def _switch(
    config: Config, devices: Devices, device: Device, setting: tuple[str, int], wait_s: float
) -> int:
    """Set an output (its key, and 0 or 1), once the device is there; what was read back."""
    assert isinstance(device, SwitchesOutputs)  # noqa: S101  (its register is writable)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(devices.close)
        if device.key in devices.modules:
            listener = await stack.enter_async_context(listening(config, devices, SystemClock()))
            try:
                async with asyncio.timeout(wait_s):
                    await listener.samples[device.key]
            except TimeoutError:
                raise NoAnswer(absence(config, wait_s)) from None
        not_after_ms = SystemClock().now_ms() + GOOD_FOR_MS
        return await device.switch(Order(new_command_id(), *setting, not_after_ms))
