"""One Modbus connection, shared by the devices behind it: Modbus TCP, RTU over TCP, RTU serial."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence, Set

from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

from common.errors import (
    Disconnected,
    FrameError,
    InMetterError,
    NoAnswer,
    Refused,
    Unreachable,
)
from edge_agent.drivers import modbus_causes as causes
from edge_agent.drivers.modbus_connect import Client, connect
from edge_agent.drivers.modbus_tap import Tap
from edge_agent.drivers.modbus_url import parse_url
from edge_agent.drivers.turns import Turns
from edge_agent.protocols.modbus import PASSING, Span


class Busy(NoAnswer):
    """The device is engaged: it has not done what was asked (exception 06)."""


class Acknowledged(Busy):
    """The device has begun with what was asked, and needs long for it (exception 05)."""


class NoSuchAddress(Refused):
    """The device does not have all that was asked for (exception 02)."""


class Failed(Refused):
    """The device tried, and something went wrong (exception 04)."""


ANSWERED_WITH: dict[int, type[InMetterError]] = {
    0x02: NoSuchAddress,
    0x04: Failed,
    0x05: Acknowledged,
    0x06: Busy,
}
"""Exceptions (V1.1b3 §7) that callers tell apart."""


class ModbusLine:
    """A connection that opens when it is needed and closes when an answer stays away.

    ``url`` as in ``parse_url``. Take a turn of ``turns`` for every request: one is under way at a
    time, and orders go before polls. ``asked`` counts the requests that were sent, by unit;
    ``late`` has the units that were heard while another answer was waited for.
    An exchange takes at most ``timeout_s``, connecting ``connect_s`` or as long. Raises
    ConfigError.

    A late answer is never taken for the next one: Modbus TCP numbers its requests, across
    connections too, and any failed one ends the connection. RTU has no numbers, and a serial server
    may send what is late into the next connection: what other units say is passed over, and before
    a unit is asked again that owes an answer, the line is listened to until it has been silent for
    ``quiet_s``.

    ``patient``: silence alone does not end the connection; for scans, where most units are not
    there, and for converters that do not like to be connected to every second.
    """

    def __init__(
        self,
        url: str,
        timeout_s: float = 1.0,
        quiet_s: float = 0.3,
        *,
        connect_s: float | None = None,
        patient: bool = False,
    ) -> None:
        self.url = url
        self.turns = Turns()
        self.asked: Counter[int] = Counter()
        self.late: set[int] = set()
        self.timeout_s = timeout_s
        self._connect_s = connect_s or timeout_s
        self._quiet_s = quiet_s
        self._patient = patient
        self._to = parse_url(url)
        self._client: Client | None = None
        self._lost: asyncio.Future[InMetterError] | None = None
        self._connected_at = 0.0
        self._last_number = 0
        self._owing: dict[int, float] = {}
        self._tap = Tap(url, rtu=self._to.rtu, refuse=self._refuse)

    @property
    def requests(self) -> int:
        """How many were sent, to all units."""
        return self.asked.total()

    async def read_registers(self, unit: int, function: int, span: Span) -> list[int]:
        """The words of ``span`` from holding (3) or input (4) registers.

        Raises Unreachable, NoAnswer, Disconnected, FrameError; Refused with the exception's name.
        Each says where it was, what happened, and what is likely to be the cause.
        """

        def read(client: Client) -> Awaitable[ModbusPDU]:
            ask = client.read_holding_registers if function == 3 else client.read_input_registers
            return ask(span.address, count=span.count, device_id=unit)

        answer = await self._ask(unit, read)
        words = list(answer.registers)
        if len(words) != span.count:
            self._distrust(unit)
            reason = f"asked for {span.count} registers, got {len(words)}"
            raise FrameError(f"{self.url}: {reason}: {causes.SHORT}")
        return words

    async def read_coil(self, unit: int, coil: int) -> int:
        """0 or 1. Raises as ``read_registers``."""
        return (await self.read_coils(unit, coil, 1))[0]

    async def read_coils(self, unit: int, coil: int, count: int) -> list[int]:
        """0 or 1 of each of ``count`` coils from ``coil`` on. Raises as ``read_registers``."""
        answer = await self._ask(
            unit, lambda client: client.read_coils(coil, count=count, device_id=unit)
        )
        if len(answer.bits) != (count + 7) // 8 * 8:
            self._distrust(unit)
            raise FrameError(f"{self.url}: asked for {count} coils, got {len(answer.bits)}")
        return [int(bit) for bit in answer.bits[:count]]

    async def identify(
        self, unit: int, category: int, first: int = 0
    ) -> tuple[dict[int, bytes], int]:
        """Identification objects by id from ``first`` on, and the id that follows or 0 (FC 43/14).

        ``category``: 1 basic, 2 regular, 3 extended (V1.1b3 §6.21). Raises as ``read_registers``.
        """
        answer = await self._ask(
            unit,
            lambda client: client.read_device_information(
                read_code=category, object_id=first, device_id=unit
            ),
        )
        if not isinstance(answer, ReadDeviceInformationResponse):
            self._distrust(unit)
            raise FrameError(f"{self.url}: the answer is no identification")
        objects = {
            key: value[0] if isinstance(value, list) else value
            for key, value in answer.information.items()
        }
        return objects, answer.next_object_id if answer.more_follows else 0

    async def write_coil(self, unit: int, coil: int, value: int) -> None:
        """Set one coil (FC 5). Raises as ``read_registers``; only Unreachable: nothing was sent."""
        await self._ask(unit, lambda client: client.write_coil(coil, bool(value), device_id=unit))

    async def write_coils(self, unit: int, coil: int, values: Sequence[int]) -> None:
        """Set coils from ``coil`` on (FC 15). Raises as ``write_coil``."""
        bits = [bool(value) for value in values]
        await self._ask(unit, lambda client: client.write_coils(coil, bits, device_id=unit))

    async def write_register(self, unit: int, address: int, word: int) -> None:
        """Set one holding register (FC 6). Raises as ``write_coil``."""
        await self._ask(unit, lambda client: client.write_register(address, word, device_id=unit))

    async def write_registers(self, unit: int, address: int, words: Sequence[int]) -> None:
        """Set holding registers from ``address`` on (FC 16). Raises as ``write_coil``."""
        await self._ask(
            unit, lambda client: client.write_registers(address, list(words), device_id=unit)
        )

    async def ready(self, unit: int) -> None:
        """Have done now, after a failure of ``unit``, what would delay the next request: connect,
        and let late bytes pass. Raises Unreachable."""
        async with self.turns.turn():
            await self.connect(unit)

    async def connect(self, unit: int) -> None:
        """As ``ready``, for who has the turn: the next request to ``unit`` goes out at once."""
        await self._connected(unit)

    async def settle(self) -> None:
        """Let answers that are late go by: wait until none has come for ``timeout_s``."""
        await self._falls_silent(self.timeout_s, 10 * self.timeout_s)

    def close(self) -> None:
        """Hang up; the next request connects again."""
        if self._client is not None:
            self._last_number = self._client.ctx.next_tid
            self._client.close()
        self._client = None
        self._lost = None

    async def _ask(self, unit: int, ask: Callable[[Client], Awaitable[ModbusPDU]]) -> ModbusPDU:
        """The answer to one request; the connection survives only an answer or an exception."""
        client = await self._connected(unit)
        lost = self._lost
        assert lost is not None  # noqa: S101  (_connected has just made it)
        request = asyncio.ensure_future(ask(client))
        self.asked[unit] += 1
        answered = silent = False
        try:
            both: Set[asyncio.Future[ModbusPDU] | asyncio.Future[InMetterError]] = {request, lost}
            await asyncio.wait(both, timeout=self.timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if not request.done():
                silent = not lost.done() and not self._tap.received
                raise lost.result() if lost.done() else self._no_answer(unit)
            answer = request.result()
            answered = True
        except ModbusException as error:
            raise NoAnswer(f"{self.url}: {error}") from error
        finally:
            self.late.update(self._tap.others())
            if not answered:
                request.cancel()
                self._distrust(unit, keep=silent and self._patient)
        if answer.isError():
            code = answer.exception_code
            text = f"{self.url}: {causes.exception_text(code, unit)}"
            otherwise = NoAnswer if code in PASSING else Refused
            raise ANSWERED_WITH.get(code, otherwise)(text)
        return answer

    def _no_answer(self, unit: int) -> InMetterError:
        """Why there is no answer, from what was received instead."""
        received, sent = self._tap.received, self._tap.sent
        late = f"{self.url}: no answer within {self.timeout_s:g} s"
        if self._to.rtu and received and received != sent:
            return FrameError(f"{self.url}: {causes.rtu_text(received, sent)}")
        if not self._to.rtu and received and not self._tap.others():
            return FrameError(f"{late}: {causes.tcp_text('only a part of one', received, sent)}")
        echo = ", only an echo" if received == sent else ""
        return NoAnswer(f"{late}{echo}: {causes.silence_text(self._to, unit)}")

    def _distrust(self, unit: int, *, keep: bool = False) -> None:
        """The unit's answer may still come: hang up, unless that does not matter."""
        self._tap.stop()
        if self._to.rtu:
            self._owing[unit] = asyncio.get_running_loop().time()
        if not keep:
            self.close()

    async def _connected(self, unit: int) -> Client:
        """A connection on which ``unit`` can be asked: what it owed has gone by."""
        # What has arrived by now, also a hang-up, is seen first.
        if self._to.pause_s:
            await self._falls_silent(self._to.pause_s, self.timeout_s)
        else:
            for _ in range(2):
                await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        client = self._client
        if client is None or not client.connected:
            self.close()
            self._lost = loop.create_future()
            try:
                client = await connect(
                    self._to, self._connect_s, self._watch_connection, self._tap.watch
                )
            except Unreachable as error:
                raise Unreachable(f"{self.url}: {error}") from error
            client.ctx.next_tid = self._last_number
            self._client, self._connected_at = client, loop.time()
        failed_at = self._owing.pop(unit, None)
        if (
            failed_at is not None
            and loop.time() < max(failed_at, self._connected_at) + self._quiet_s
        ):
            await self._drain(unit)
        return client

    async def _drain(self, unit: int) -> None:
        """Let late bytes pass until there are none, for as long as an exchange may take."""
        quiet = False
        try:
            quiet = await self._falls_silent(self._quiet_s, self.timeout_s + self._quiet_s)
        finally:
            if not quiet:
                self._distrust(unit)
        if not quiet:
            raise Unreachable(f"{self.url}: the line does not fall silent")
        if self._client is None or not self._client.connected:
            raise Unreachable(f"{self.url}: the connection was closed at once")

    async def _falls_silent(self, quiet_s: float, at_most_s: float) -> bool:
        """Whether nothing comes for ``quiet_s`` within ``at_most_s``."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + at_most_s
        while loop.time() < ends_at:
            self._tap.heard.clear()
            try:
                async with asyncio.timeout(quiet_s):
                    await self._tap.heard.wait()
            except TimeoutError:
                return True
        return False

    def _watch_connection(self, up: bool) -> None:
        if not up:
            self._fail(
                Disconnected(f"{self.url}: the far end hung up: {causes.hung_up_text(self._to)}")
            )

    def _refuse(self, reason: str) -> None:
        text = causes.tcp_text(reason, self._tap.received, self._tap.sent)
        self._fail(FrameError(f"{self.url}: {text}"))

    def _fail(self, error: InMetterError) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(error)
