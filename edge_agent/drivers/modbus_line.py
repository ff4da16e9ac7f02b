"""One Modbus connection, shared by the devices behind it: Modbus TCP, RTU over TCP, RTU serial."""

import asyncio
from collections.abc import Awaitable, Set

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU

from common.errors import (
    Disconnected,
    FrameError,
    InMetterError,
    NoAnswer,
    Refused,
    Unreachable,
)
from edge_agent.drivers.modbus_url import SerialPort, parse_url
from edge_agent.protocols.modbus import EXCEPTIONS, PASSING, Span
from edge_agent.protocols.modbus_tcp import flaw

DRAINS = 10
"""A line that talks on for so many pieces without being asked is given up for this time."""


class ModbusLine:
    """A connection that opens when it is needed and closes when an answer stays away.

    ``url`` as in ``parse_url``. Hold ``lock`` around every request: one request is under way at
    a time. ``requests`` counts those that were sent. Raises ConfigError.

    A late answer is never taken for the next one: Modbus TCP numbers its requests, and any failed
    one ends the connection. RTU has no numbers, and a serial server may send what is late into the
    next connection: there, after a failure, the line first listens until it is silent for
    ``quiet_s``.
    """

    def __init__(self, url: str, timeout_s: float = 1.0, quiet_s: float = 0.3) -> None:
        self.url = url
        self.lock = asyncio.Lock()
        self.requests = 0
        self._timeout_s = timeout_s
        self._quiet_s = quiet_s
        self._suspicious = False
        self._draining = False
        self._heard = asyncio.Event()
        self._to = parse_url(url)
        self._client: AsyncModbusTcpClient | AsyncModbusSerialClient | None = None
        self._lost: asyncio.Future[InMetterError] | None = None
        self._sent = b""

    async def read_registers(self, unit: int, function: int, span: Span) -> list[int]:
        """The words of ``span`` from holding (3) or input (4) registers.

        Raises Unreachable, NoAnswer, Disconnected, FrameError; Refused with the exception's name.
        """
        client = await self._connected()
        read = client.read_holding_registers if function == 3 else client.read_input_registers
        answer = await self._ask(read(span.address, count=span.count, device_id=unit))
        words = list(answer.registers)
        if len(words) != span.count:
            self._distrust()
            raise FrameError(f"{self.url}: asked for {span.count} registers, got {len(words)}")
        return words

    async def read_coil(self, unit: int, coil: int) -> int:
        """0 or 1. Raises as ``read_registers``."""
        client = await self._connected()
        answer = await self._ask(client.read_coils(coil, count=1, device_id=unit))
        if not answer.bits:
            self._distrust()
            raise FrameError(f"{self.url}: asked for one coil, got none")
        return int(answer.bits[0])

    async def write_coil(self, unit: int, coil: int, value: int) -> None:
        """Set one coil. Raises as ``read_registers``; only Unreachable: nothing was sent."""
        client = await self._connected()
        await self._ask(client.write_coil(coil, bool(value), device_id=unit))

    def close(self) -> None:
        """Hang up; the next request connects again."""
        if self._client is not None:
            self._client.close()
        self._client = None
        self._lost = None

    def _distrust(self) -> None:
        self._suspicious = self._to.rtu
        self.close()

    async def _connected(self) -> AsyncModbusTcpClient | AsyncModbusSerialClient:
        if self._client is not None and self._client.connected:
            return self._client
        self.close()
        # A new client for each connection: what is left of the old one cannot reach the new one.
        client = self._new_client()
        lost: asyncio.Future[InMetterError] = asyncio.get_running_loop().create_future()
        self._client, self._lost = client, lost
        connected = False
        try:
            connected = await client.connect()
        finally:
            if not connected:
                self.close()
        if not connected:
            raise Unreachable(f"{self.url}: no connection")
        if self._suspicious:
            await self._drain()
            if not client.connected:
                raise Unreachable(f"{self.url}: the connection was closed at once")
        return client

    async def _drain(self) -> None:
        """Let late bytes pass, until there are none or too many."""
        self._draining = True
        try:
            for _ in range(DRAINS):
                self._heard.clear()
                async with asyncio.timeout(self._quiet_s):
                    await self._heard.wait()
        except TimeoutError:
            self._suspicious = False
        finally:
            self._draining = False
            if self._suspicious:
                self.close()
        if self._suspicious:
            raise Unreachable(f"{self.url}: the line does not fall silent")

    def _new_client(self) -> AsyncModbusTcpClient | AsyncModbusSerialClient:
        if isinstance(self._to, SerialPort):
            return AsyncModbusSerialClient(
                self._to.device,
                baudrate=self._to.baud,
                parity=self._to.parity,
                stopbits=self._to.stop,
                timeout=self._timeout_s,
                retries=0,
                reconnect_delay=0,
                trace_connect=self._watch_connection,
                trace_packet=self._watch_bytes,
            )
        return AsyncModbusTcpClient(
            self._to.host,
            port=self._to.port,
            framer=FramerType.RTU if self._to.rtu else FramerType.SOCKET,
            timeout=self._timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_connect=self._watch_connection,
            trace_packet=self._watch_bytes if self._to.rtu else self._watch_frames,
        )

    async def _ask(self, asking: Awaitable[ModbusPDU]) -> ModbusPDU:
        """The answer to one request; the connection survives only an answer or an exception."""
        lost = self._lost
        assert lost is not None  # noqa: S101  (_connected has just made it)
        request = asyncio.ensure_future(asking)
        self.requests += 1
        whole = False
        try:
            both: Set[asyncio.Future[ModbusPDU] | asyncio.Future[InMetterError]] = {request, lost}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not request.done():
                raise lost.result()
            answer = request.result()
            whole = True
        except ModbusException as error:
            raise NoAnswer(f"{self.url}: no answer within {self._timeout_s} s") from error
        finally:
            if not whole:
                request.cancel()
                self._distrust()
        if answer.isError():
            code = answer.exception_code
            name = f"exception {code:02X} ({EXCEPTIONS.get(code, 'unknown')})"
            raise (NoAnswer if code in PASSING else Refused)(f"{self.url}: {name}")
        return answer

    def _watch_connection(self, up: bool) -> None:
        if not up:
            self._fail(Disconnected(f"{self.url}: the far end hung up"))

    def _fail(self, error: InMetterError) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(error)

    def _watch_bytes(self, sending: bool, data: bytes) -> bytes:
        """RTU: while nothing is asked, nothing gets through."""
        if sending or not self._draining:
            return data
        self._heard.set()
        return b""

    def _watch_frames(self, sending: bool, data: bytes) -> bytes:
        """Keeps from pymodbus what it cannot decode, for it would raise in the event loop."""
        if sending:
            self._sent = data
            return data
        reason = flaw(data, self._sent)
        if reason:
            self._fail(FrameError(f"{self.url}: {reason}"))
            return b""
        return data
