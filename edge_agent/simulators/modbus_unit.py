"""A simulated Modbus unit: a profile's registers, filled from a meter of the world."""

import struct
from collections.abc import Callable
from decimal import Decimal

from common.clock import Clock
from common.registers import Kind
from edge_agent.profiles.modbus import Field, Profile
from edge_agent.protocols import sunspec
from edge_agent.protocols.modbus import MAX_COILS, MAX_WRITTEN_COILS
from edge_agent.simulators.world import MeterFace

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 0x01, 0x02, 0x03
MAX_WRITTEN_REGISTERS = 123
"""Registers in one request (Modbus Application Protocol V1.1b3 §6.12)."""

IDENTIFY = bytes((0x2B, 0x0E))
PHASES = ("_l1", "_l2", "_l3")
TWO_PHASES = ("_l12", "_l23", "_l31")
NOMINAL_V = Decimal(230)
ROOT_OF_3 = Decimal("1.732")
NOMINAL_HZ = Decimal(50)
POWER_FACTOR = Decimal("0.98")

SUNSPEC_COMMON = (1, (0x0000,) * 66)
"""The common model, which stands first (SunSpec models, model 1), with nothing said in it."""

Cells = dict[tuple[int, int], int]


class ModbusError(Exception):
    """What the unit answers with an exception's code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class SimulatedModbusMeter:
    """One unit: a profile's registers and outputs.

    ``outputs`` holds the outputs' states by key; ``on_output(key, state, now_ms)`` is told when
    one changes. What is written that is neither on nor off leaves a state as it was.
    """

    def __init__(
        self,
        profile: Profile,
        meter: MeterFace,
        clock: Clock,
        on_output: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.outputs = {output.key: 0 for output in profile.output}
        self._profile = profile
        self._meter = meter
        self._clock = clock
        self._on_output = on_output
        self._functions = _functions(profile)
        self._settable: Cells = {}
        for output in profile.output:
            request = output.request
            for address in range(request.span.address, request.span.end):
                self._settable.setdefault((request.function, address), 0)
            setting = output.setting(0, self._settable)
            for address, value in enumerate(setting.values, setting.address):
                self._settable[request.function, address] = value

    def answer(self, pdu: bytes) -> bytes:
        """The answer to one request (function code and data), at one instant of the world."""
        try:
            return self._answer(pdu)
        except ModbusError as error:
            return bytes((pdu[0] | 0x80, error.code))

    def words(self, at_ms: int) -> Cells:
        """What stands in every register, by function and address; unused ones that can be read
        over are 0."""
        profile = self._profile
        if profile.sunspec:
            return self._sunspec(at_ms)
        cells = profile.fill(self._values(at_ms))
        if profile.gap:
            for request in profile.requests:
                for address in range(request.span.address, request.span.end):
                    cells.setdefault((request.function, address), 0)
        if profile.identify:
            function = profile.identify.function or profile.function
            for offset, word in enumerate(profile.identify.samples[0]):
                cells.setdefault((function, profile.identify.address + offset), word)
        return cells

    def _answer(self, pdu: bytes) -> bytes:
        function = pdu[0]
        if pdu[:2] == IDENTIFY:
            return self._identification(pdu)
        if function not in self._functions:
            raise ModbusError(ILLEGAL_FUNCTION)
        if len(pdu) < 5:
            raise ModbusError(ILLEGAL_VALUE)
        address, number = struct.unpack(">HH", pdu[1:5])
        if function in (1, 3, 4):
            if len(pdu) != 5:
                raise ModbusError(ILLEGAL_VALUE)
            return self._read(function, address, number)
        self._write(_written(pdu, address, number))
        return pdu[:5]

    def _read(self, function: int, address: int, count: int) -> bytes:
        limit = MAX_COILS if function == 1 else self._profile.max_registers
        if not 1 <= count <= limit:
            raise ModbusError(ILLEGAL_VALUE)
        if self._profile.whole and function != 1 and self._cuts(function, address, address + count):
            raise ModbusError(ILLEGAL_ADDRESS)
        cells = self._settable
        if function != 1:
            cells = self.words(self._clock.now_ms()) | self._settable
        try:
            own = [cells[function, address + i] for i in range(count)]
        except KeyError:
            raise ModbusError(ILLEGAL_ADDRESS) from None
        if function != 1:
            return struct.pack(f">BB{count}H", function, 2 * count, *own)
        size = (count + 7) // 8
        bits = sum(bit << i for i, bit in enumerate(own))
        return bytes((1, size)) + bits.to_bytes(size, "little")

    def _cuts(self, function: int, *ends: int) -> bool:
        """Whether one of the ``ends`` of a request is within a value."""
        return any(
            address < end - self._profile.base < address + field.type.words
            for field in self._profile.register
            if function == (field.function or self._profile.function)
            for address in (field.address, *field.plus)
            for end in ends
        )

    def _write(self, written: Cells) -> None:
        if not written.keys() <= self._settable.keys():
            raise ModbusError(ILLEGAL_ADDRESS)
        self._settable |= written
        for output in self._profile.output:
            state = output.state(self._settable)
            if state is not None and state != self.outputs[output.key]:
                self.outputs[output.key] = state
                if self._on_output is not None:
                    self._on_output(output.key, state, self._clock.now_ms())

    def _identification(self, pdu: bytes) -> bytes:
        """Read device identification, basic category (V1.1b3 §6.21)."""
        if len(pdu) != 4 or pdu[2] not in (1, 2, 3) or pdu[3] > 2:
            raise ModbusError(ILLEGAL_VALUE)
        texts = (self._profile.maker or "inMetter", self._profile.name, "simulated")
        objects = [
            bytes((number, len(text[:60]))) + text[:60].encode("ascii", "replace")
            for number, text in enumerate(texts)
            if number >= pdu[3]
        ]
        return pdu[:3] + bytes((0x01, 0, 0, len(objects))) + b"".join(objects)

    def _sunspec(self, at_ms: int) -> Cells:
        """The whole chain of models, at the first of its places."""
        profile = self._profile
        own = {address: word for (_, address), word in profile.fill(self._values(at_ms)).items()}
        length = sunspec.LENGTHS[profile.sunspec[0]]
        words = tuple(own.get(address + sunspec.HEADER, 0) for address in range(length))
        chain = sunspec.chain(sunspec.BASES[0], (SUNSPEC_COMMON, (profile.sunspec[-1], words)))
        return {(profile.function, address): word for address, word in chain.items()}

    def _values(self, at_ms: int) -> dict[str, Decimal | None]:
        return {field.key: self._value(field, at_ms) for field in self._profile.register}

    def _value(self, field: Field, at_ms: int) -> Decimal | None:
        """The world's value of a register; the load is spread evenly over three phases, and all
        of it is in the first tariff."""
        parts = 3 if field.key.endswith(PHASES) else 1
        if field.key.endswith("_t2"):
            return Decimal(0)
        power = self._meter.present(at_ms) / parts
        voltage = NOMINAL_V - power / 10_000
        values = {
            Kind.ENERGY_IMPORT: self._meter.index(at_ms) / parts,
            Kind.VOLUME: self._meter.index(at_ms),
            Kind.ENERGY_EXPORT: self._meter.exported(at_ms) / parts,
            Kind.POWER: power,
            Kind.FLOW: power,
            Kind.VOLTAGE: voltage * ROOT_OF_3 if field.key.endswith(TWO_PHASES) else voltage,
            Kind.CURRENT: abs(power) / voltage / POWER_FACTOR,
            Kind.FREQUENCY: NOMINAL_HZ,
            Kind.POWER_FACTOR: POWER_FACTOR,
        }
        return values.get(field.kind)


def _functions(profile: Profile) -> set[int]:
    """Those that the unit knows."""
    readable = {request.function for request in profile.requests} | {profile.function}
    registers = any(output.register is not None for output in profile.output)
    return readable | {1, 5, 15} | ({3, 6, 16} if registers else set())


def _written(pdu: bytes, address: int, number: int) -> Cells:
    """What a request with FC 5, 6, 15 or 16 sets."""
    function, data = pdu[0], pdu[6:]
    if function in (5, 6) and len(pdu) != 5:
        raise ModbusError(ILLEGAL_VALUE)
    if function == 5:
        if number not in (0x0000, 0xFF00):
            raise ModbusError(ILLEGAL_VALUE)
        return {(1, address): int(number == 0xFF00)}
    if function == 6:
        return {(3, address): number}
    if function == 15:
        size, limit = (number + 7) // 8, MAX_WRITTEN_COILS
    else:
        size, limit = 2 * number, MAX_WRITTEN_REGISTERS
    if not 1 <= number <= limit or len(pdu) < 6 or not pdu[5] == size == len(data):
        raise ModbusError(ILLEGAL_VALUE)
    if function == 15:
        bits = int.from_bytes(data, "little")
        return {(1, address + i): bits >> i & 1 for i in range(number)}
    return {(3, address + i): word for i, word in enumerate(struct.unpack(f">{number}H", data))}
