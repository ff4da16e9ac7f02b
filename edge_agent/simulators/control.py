"""Faults by hand: a small text protocol on a loopback port (docs/simulation.md)."""

import asyncio
import contextlib
import ipaddress
from collections.abc import Callable

from common.clock import Clock
from common.errors import ConfigError, Refused
from edge_agent.simulators.conductor import Conductor
from edge_agent.simulators.faults import FaultKind
from edge_agent.simulators.port import parse_address

MAX_LINE = 512
MAX_CONNECTIONS = 8

HELP = (
    "list                                          devices and where they are",
    "status                                        faults that last now",
    "fault KIND DEVICE|LINE|all [10s] [NAME=N …]   make a fault; without a time until cleared",
    "clear DEVICE|LINE|all                         end what lasts, but power cuts",
    "quit                                          hang up",
    f"kinds: {', '.join(FaultKind)}",
)


class Control:
    """Takes orders, one a line; answers with lines, the last of them ``ok`` or ``error: …``."""

    def __init__(
        self, address: str, conductor: Conductor, places: Callable[[], list[str]], clock: Clock
    ) -> None:
        """Raises ConfigError when the address is not on loopback."""
        self._address = control_address(address)
        self._conductor = conductor
        self._places = places
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> str:
        """Listen, and say where. OSError: the port cannot be had."""
        self._server = await asyncio.start_server(self._serve, *self._address, limit=MAX_LINE)
        return f"{self._address[0]}:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await self._server.wait_closed()

    async def answer(self, line: str) -> list[str]:
        """What is answered to one line."""
        try:
            return [*await self._carry_out(line.split()), "ok"]
        except Refused as error:
            return [f"error: {error}"]

    async def _carry_out(self, words: list[str]) -> list[str]:
        match words:
            case ["help"]:
                return list(HELP)
            case ["list"]:
                return self._places()
            case ["status"]:
                return self._status()
            case ["clear", target]:
                await self._conductor.clear(target)
                return []
            case ["fault", kind, target, *rest]:
                lasts = rest.pop(0) if rest and "=" not in rest[0] else ""
                self._conductor.order(kind, target, lasts, _parameters(rest))
                return []
            case _:
                raise Refused("expected list, status, fault …, clear … or quit; see help")

    def _status(self) -> list[str]:
        now_ms, lines = self._clock.now_ms(), []
        for name, faults in self._conductor.now().items():
            for fault in faults:
                rest = "" if fault.to_ms is None else f" for {(fault.to_ms - now_ms) / 1000:.1f}s"
                given = "".join(f" {key}={value}" for key, value in fault.parameters.items())
                lines.append(f"{fault.kind} {name}{rest}{given}")
        return lines

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._writers) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, ValueError):  # ValueError: too long a line
                while (line := await reader.readline()) not in {b"", b"quit\n", b"quit\r\n"}:
                    answer = await self.answer(line.decode("utf-8", "replace"))
                    writer.write("".join(f"{one}\n" for one in answer).encode())
                    await writer.drain()
        finally:
            self._writers.discard(writer)
            writer.close()


def control_address(text: str) -> tuple[str, int]:
    """Host and port; raises ConfigError for what is not on loopback, where nobody is asked who
    they are."""
    try:
        host, port = parse_address(text)
        near = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        near = False
    if not near:
        raise ConfigError(f"--control: {text!r}: expected 127.0.0.1:PORT, on loopback")
    return host, port


def _parameters(words: list[str]) -> dict[str, int]:
    found = {}
    for word in words:
        name, equals, number = word.partition("=")
        try:
            found[name] = int(number)
        except ValueError:
            raise Refused(f"{word!r}: expected a time before it, or NAME=NUMBER") from None
        if not equals:
            raise Refused(f"{word!r}: expected NAME=NUMBER")
    return found
