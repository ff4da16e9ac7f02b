"""Foreign Modbus programs as tests meet them: servers, masters, socat's wires."""

import asyncio
import ctypes
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from edge_agent.profiles.modbus import Profile
from tests.contract import libmodbus_server
from tests.harness.services import find_program, without

HERE = Path(__file__).parent
PEERS = HERE.parent / "peers"
SERVERS = {
    "libmodbus": "libmodbus_server.py",
    "modbus-tk": "modbus_tk_server.py",
    "uModbus": "umodbus_server.py",
    "modbus-serial": "modbus_serial_server.js",
    "jsmodbus": "jsmodbus_server.js",
}
"""Foreign servers and the programs that drive them, each with the same arguments."""


@asynccontextmanager
async def _program(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def server(
    name: str, where: str, function: int, address: int, words: Sequence[int]
) -> AsyncIterator[str]:
    """A foreign server on ``tcp`` or on a serial device; gives the port or the device."""
    texts = [f"{word:04x}" for word in words]
    command = (*_interpreter(name), where, str(function), str(address), *texts)
    async with _program(*command) as process:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        assert line, f"{name} did not start"
        yield line.decode().strip()


def libmodbus(
    where: str, function: int, address: int, words: Sequence[int]
) -> AbstractAsyncContextManager[str]:
    """``server`` with libmodbus."""
    return server("libmodbus", where, function, address, words)


def _interpreter(name: str) -> tuple[str, str]:
    """What runs the server, and its program. Skips (in CI: fails) where it is not installed."""
    program = SERVERS[name]
    if program.endswith(".js"):
        return node(name), str(PEERS / program)
    try:
        if name == "libmodbus":
            ctypes.CDLL(libmodbus_server.LIBRARY)
        elif find_spec(name.lower().replace("-", "_")) is None:
            without(name)
    except OSError:
        without(name)
    return sys.executable, str(HERE / program)


def node(package: str) -> str:
    """The path of node, when this npm package is there."""
    program = find_program("node")
    if not (PEERS / "node_modules" / package).is_dir():
        without(f"{package} (npm)")
    return program


@asynccontextmanager
async def terminals(folder: Path) -> AsyncIterator[tuple[Path, Path]]:
    """Two serial ports, wired to each other."""
    ends = (folder / "ours", folder / "theirs")
    async with wire(*(f"PTY,link={end},raw,echo=0" for end in ends)):
        yield ends


@asynccontextmanager
async def wire(one: str, other: str) -> AsyncIterator[None]:
    """socat between two addresses, ready when it transfers."""
    async with _program(find_program("socat"), "-d", "-d", one, other) as process:
        assert process.stderr is not None
        while line := await asyncio.wait_for(process.stderr.readline(), 20):
            if b"listening on" in line or b"starting data transfer loop" in line:
                break
        yield


async def mbpoll(port: int, unit: int, *options: str) -> list[str]:
    """What mbpoll reads over TCP: the text after each ``[ADDRESS]:``."""
    return await _mbpoll(unit, "-m", "tcp", "-p", str(port), *options, "127.0.0.1")


async def mbpoll_rtu(device: Path, unit: int, *options: str) -> list[str]:
    """As ``mbpoll``, on a serial port."""
    serial = ("-m", "rtu", "-b", "9600", "-P", "none", "-o", "5")
    return await _mbpoll(unit, *serial, *options, str(device))


async def _mbpoll(unit: int, *options: str) -> list[str]:
    command = (find_program("mbpoll"), "-a", str(unit), "-1", "-0")
    async with _program(*command, *options) as process:
        output, errors = await asyncio.wait_for(process.communicate(), 20)
    lines = output.decode("utf-8", "replace").splitlines()
    values = [line.split(":", 1)[1].strip() for line in lines if line.startswith("[")]
    assert values, output + errors
    return values


async def jsmodbus_read(
    device: Path, unit: int, function: int, address: int, count: int
) -> list[int] | int | str:
    """What jsmodbus reads as an RTU master: words, or the exception's code, or its error."""
    given = map(str, (device, unit, function, address, count))
    async with _program(node("jsmodbus"), str(PEERS / "jsmodbus_read.js"), *given) as process:
        output, errors = await asyncio.wait_for(process.communicate(), 20)
    assert output, errors
    found: list[int] | int | str = json.loads(output)
    return found


def recorded(profile: Profile) -> tuple[int, list[int]]:
    """The profile's recorded registers as one block: first address, words (0 in the gaps)."""
    assert profile.recorded is not None
    known = {
        block.address + offset: int(word, 16)
        for block in profile.recorded.block
        for offset, word in enumerate(block.words.split())
    }
    first, last = min(known), max(known)
    return first, [known.get(address, 0) for address in range(first, last + 1)]
