"""Foreign Modbus programs as tests meet them: libmodbus' server, mbpoll, socat's wires."""

import asyncio
import ctypes
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agent.profiles.modbus import Profile
from tests.contract import libmodbus_server
from tests.harness.services import find_program, without

SERVER = Path(libmodbus_server.__file__)


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
async def libmodbus(
    where: str, function: int, address: int, words: Sequence[int]
) -> AsyncIterator[str]:
    """libmodbus as the server on ``tcp`` or on a serial device; gives the port or the device."""
    try:
        ctypes.CDLL(libmodbus_server.LIBRARY)
    except OSError:
        without("libmodbus")
    texts = [f"{word:04x}" for word in words]
    command = (sys.executable, str(SERVER), where, str(function), str(address), *texts)
    async with _program(*command) as process:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        assert line, "libmodbus did not start"
        yield line.decode().strip()


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
    """What mbpoll reads: the text after each ``[ADDRESS]:``."""
    command = (find_program("mbpoll"), "-m", "tcp", "-p", str(port), "-a", str(unit), "-1", "-0")
    async with _program(*command, *options, "127.0.0.1") as process:
        output, errors = await asyncio.wait_for(process.communicate(), 20)
    lines = output.decode("utf-8", "replace").splitlines()
    values = [line.split(":", 1)[1].strip() for line in lines if line.startswith("[")]
    assert values, output + errors
    return values


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
