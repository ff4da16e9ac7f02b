"""Simulated Modbus meters on the wire: a Modbus TCP server whose registers follow the world."""

import asyncio
import contextlib
import struct
from collections.abc import Callable, Mapping
from decimal import Decimal

from common.clock import Clock
from common.registers import Kind
from edge_agent.profiles.modbus import Field, Profile
from edge_agent.protocols.modbus import MAX_COILS
from edge_agent.simulators.world import Meter

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, NO_TARGET = 0x01, 0x02, 0x03, 0x0B
MBAP = struct.Struct(">HHHB")
MAX_PDU = 253
PHASES = ("_l1", "_l2", "_l3")
NOMINAL_V = Decimal(230)
NOMINAL_HZ = Decimal(50)
POWER_FACTOR = Decimal("0.98")


class SimulatedModbusMeter:
    """One unit: a profile's registers, filled from a meter of the world, and its coils.

    ``on_output(key, state, now_ms)`` is told when a coil changes.
    """

    def __init__(
        self,
        profile: Profile,
        meter: Meter,
        clock: Clock,
        on_output: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.outputs = {output.key: 0 for output in profile.output}
        self._profile = profile
        self._meter = meter
        self._clock = clock
        self._on_output = on_output
        self._coils = {output.coil: output.key for output in profile.output}

    def answer(self, pdu: bytes) -> bytes:
        """The answer to one request (function code and data), at one instant of the world."""
        function = pdu[0]
        if function not in (1, 5, self._profile.function):
            return bytes((function | 0x80, ILLEGAL_FUNCTION))
        if len(pdu) != 5:
            return bytes((function | 0x80, ILLEGAL_VALUE))
        address, number = struct.unpack(">HH", pdu[1:])
        if function == 1:
            return self._read_coils(address, number)
        if function == 5:
            return self._write_coil(pdu, address, number)
        return self._read_registers(function, address, number)

    def words(self, at_ms: int) -> dict[int, int]:
        """What stands in every register, by address; unused ones that can be read are 0."""
        fields = self._profile.register
        words: dict[int, int] = {}
        if self._profile.gap and fields:
            last = max(field.span.end for field in fields)
            words = dict.fromkeys(range(min(field.address for field in fields), last), 0)
        for field in fields:
            words |= self._profile.encode(field, self._value(field, at_ms))
        return words

    def _read_registers(self, function: int, address: int, count: int) -> bytes:
        if not 1 <= count <= self._profile.max_registers:
            return bytes((function | 0x80, ILLEGAL_VALUE))
        words = self.words(self._clock.now_ms())
        try:
            own = [words[address + i] for i in range(count)]
        except KeyError:
            return bytes((function | 0x80, ILLEGAL_ADDRESS))
        return struct.pack(f">BB{count}H", function, 2 * count, *own)

    def _read_coils(self, address: int, count: int) -> bytes:
        if not 1 <= count <= MAX_COILS:
            return bytes((0x81, ILLEGAL_VALUE))
        if any(address + i not in self._coils for i in range(count)):
            return bytes((0x81, ILLEGAL_ADDRESS))
        bits = sum(self.outputs[self._coils[address + i]] << i for i in range(count))
        size = (count + 7) // 8
        return bytes((1, size)) + bits.to_bytes(size, "little")

    def _write_coil(self, pdu: bytes, address: int, value: int) -> bytes:
        if value not in (0x0000, 0xFF00):
            return bytes((0x85, ILLEGAL_VALUE))
        if address not in self._coils:
            return bytes((0x85, ILLEGAL_ADDRESS))
        key, state = self._coils[address], int(value == 0xFF00)
        if self.outputs[key] != state:
            self.outputs[key] = state
            if self._on_output is not None:
                self._on_output(key, state, self._clock.now_ms())
        return pdu

    def _value(self, field: Field, at_ms: int) -> Decimal | None:
        """The world's value of a register; the load is spread evenly over three phases."""
        own_phase = field.key.endswith(PHASES)
        power = self._meter.present(at_ms) / (3 if own_phase else 1)
        voltage = NOMINAL_V - power / 10_000
        values = {
            Kind.ENERGY_IMPORT: self._meter.index(at_ms) / (3 if own_phase else 1),
            Kind.VOLUME: self._meter.index(at_ms),
            Kind.ENERGY_EXPORT: Decimal(0),
            Kind.POWER: power,
            Kind.FLOW: power,
            Kind.VOLTAGE: voltage,
            Kind.CURRENT: power / voltage / POWER_FACTOR,
            Kind.FREQUENCY: NOMINAL_HZ,
            Kind.POWER_FACTOR: POWER_FACTOR,
        }
        return values.get(field.kind)


class ModbusServer:
    """Serves units by number on one TCP port; port 0 takes a free one."""

    MAX_CONNECTIONS = 32

    def __init__(self, host: str, port: int, units: Mapping[int, SimulatedModbusMeter]) -> None:
        self._address = (host, port)
        self._units = units
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> int:
        """Listen, and give the port. OSError: the port cannot be had."""
        self._server = await asyncio.start_server(self._serve, *self._address)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._writers) >= self.MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._exchange(reader, writer):
                    await writer.drain()
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False when the peer does not speak Modbus TCP."""
        transaction, protocol, length, unit = MBAP.unpack(await reader.readexactly(MBAP.size))
        if protocol != 0 or not 2 <= length <= 1 + MAX_PDU:
            return False
        pdu = await reader.readexactly(length - 1)
        meter = self._units.get(unit)
        answer = bytes((pdu[0] | 0x80, NO_TARGET)) if meter is None else meter.answer(pdu)
        writer.write(MBAP.pack(transaction, 0, 1 + len(answer), unit) + answer)
        return True
