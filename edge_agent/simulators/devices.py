"""The devices of a simulated site, each with its own counter and its own faults."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from common.clock import Clock
from common.errors import Undecodable
from common.registers import Kind
from common.settings import read_secret
from edge_agent.profiles.modbus import Profile, load_profile
from edge_agent.protocols.mbus import link
from edge_agent.simulators.c11do1eth import C11Core, C11Simulator
from edge_agent.simulators.counter import Counter
from edge_agent.simulators.entries import C11Entry, MBusEntry, ModbusEntry
from edge_agent.simulators.faces import Face, MbusState, face_counter
from edge_agent.simulators.faults import FaultKind, Troubles
from edge_agent.simulators.mbus_records import (
    Divided,
    ElectricityRecords,
    RecordSource,
    VolumeRecords,
)
from edge_agent.simulators.mbus_slave import Identity, Slave
from edge_agent.simulators.modbus_unit import SimulatedModbusMeter
from edge_agent.simulators.port import parse_address
from edge_agent.simulators.wire import Wire
from edge_agent.simulators.world import Meter

MBUS_MODULUS = {"mWh": 10**15, "ml": 10**11}
"""Small units at which the registers of our simulated M-Bus meters start again."""

APPLICATION_ERROR, APPLICATION_BUSY = 0x70, 0x08
"""EN 13757-3: CI field and code of "application too busy for handling readout request"."""

SERVER_DEVICE_FAILURE, SERVER_DEVICE_BUSY = 0x04, 0x06
"""Modbus Application Protocol V1.1b3 §7."""


class Device(Protocol):
    """What faults do to a device, whatever its kind.

    ``step`` is small units in a count of its counter; ``counts`` are its counts in one Wh, l or
    pulse. ``resolution`` is small units in a count of the register that is read; ``modulus`` is
    where the register ends, 0 when that is not known.
    """

    name: str
    kind: str
    meter: Meter
    counter: Counter
    step: int
    counts: int
    resolution: int
    modulus: int
    troubles: Troubles

    def reboot(self, now_ms: int) -> None:
        """Start again at once; what is only in RAM is lost."""

    def lose_power(self, now_ms: int) -> None: ...

    def regain_power(self, now_ms: int) -> None: ...

    def jump_clock(self, ms: int) -> None: ...

    def take_new_number(self) -> None:
        """It is another device now: it says so where its protocol can."""

    def output_states(self) -> dict[str, int]: ...


class SimulatedMbusMeter(Slave):
    """An M-Bus meter of the scenario on its bus."""

    kind = "mbus"
    step, counts, resolution = 1, 1000, 1000

    def __init__(self, entry: MBusEntry, meter: Meter, troubles: Troubles, wire: Wire) -> None:
        self.name, self.meter, self.troubles = entry.name, meter, troubles
        self.modulus = entry.modulus * 1000 or MBUS_MODULUS[meter.small_unit]
        self.counter = face_counter(meter, self.modulus)
        self._wire = wire
        self._state = MbusState(Face(meter, self.counter))
        identity = Identity(entry.identification, entry.manufacturer, entry.version, meter.medium)
        self._telegrams = entry.telegrams
        super().__init__(entry.address, identity, self)
        self._records = self._make_records()

    def telegrams(self, at_ms: int) -> Sequence[Sequence[bytes]]:
        """What the meter measures, as its records' source."""
        return self._records.telegrams(at_ms)

    def answer(self, frame: link.Frame, at_ms: int) -> bytes:
        """As a slave does, unless something is wrong with it."""
        if self.troubles.on(FaultKind.DROP) or self.troubles.on(FaultKind.POWER_CUT):
            return b""
        answer = super().answer(frame, at_ms + self._state.ahead_ms)
        if answer:
            self._wire.speaks(self.troubles)
        if len(answer) > 1 and self.troubles.on(FaultKind.BUSY):
            busy = bytes((APPLICATION_BUSY,))
            return link.LongFrame(link.RSP_UD, self.address, APPLICATION_ERROR, busy).to_bytes()
        return answer

    def reboot(self, now_ms: int) -> None:
        self.restart()

    def lose_power(self, now_ms: int) -> None:
        self.restart()

    def regain_power(self, now_ms: int) -> None:
        self.restart()

    def jump_clock(self, ms: int) -> None:
        self._state.ahead_ms += ms

    def take_new_number(self) -> None:
        number = (int(self.identity.identification) + 50_000_000) % 10**8
        self.identity = replace(self.identity, identification=f"{number:08}")
        self._records = self._make_records()
        self.restart()

    def output_states(self) -> dict[str, int]:
        return {}

    def _make_records(self) -> RecordSource:
        number = self.identity.identification
        kind = ElectricityRecords if self.meter.small_unit == "mWh" else VolumeRecords
        records = kind(self._state, number)
        return Divided(records, self._telegrams) if self._telegrams > 1 else records


class SimulatedModbusUnit(SimulatedModbusMeter):
    """A Modbus unit of the scenario on its line."""

    kind = "modbus"
    step, counts = 1, 1000

    def __init__(
        self, entry: ModbusEntry, meter: Meter, clock: Clock, troubles: Troubles, wire: Wire
    ) -> None:
        self.name, self.meter, self.troubles = entry.name, meter, troubles
        self.modulus = entry.modulus * 1000
        self.counter = face_counter(meter, self.modulus)
        self._wire = wire
        profile = load_profile(entry.profile)
        self.resolution = _resolution(profile, meter)
        self._own = profile, Face(meter, self.counter), clock
        super().__init__(*self._own)

    def answer(self, pdu: bytes) -> bytes:
        """As a unit does, unless something is wrong with it."""
        self._wire.speaks(self.troubles)
        if self.troubles.on(FaultKind.BUSY):
            return bytes((pdu[0] | 0x80, SERVER_DEVICE_BUSY))
        try:
            return super().answer(pdu)
        except Undecodable:  # a value beyond what the profile's type can hold
            return bytes((pdu[0] | 0x80, SERVER_DEVICE_FAILURE))

    def reboot(self, now_ms: int) -> None:
        """Its relays fall off."""
        super().__init__(*self._own)

    def lose_power(self, now_ms: int) -> None:
        self.reboot(now_ms)

    def regain_power(self, now_ms: int) -> None:
        """Nothing that lack of power has not done."""

    def jump_clock(self, ms: int) -> None:
        """It has no clock."""

    def take_new_number(self) -> None:
        """Our simulated units say nothing of their number."""

    def output_states(self) -> dict[str, int]:
        return self.outputs


class SimulatedModule:
    """A C11DO1ETH module of the scenario, with the file in which its memory survives."""

    kind = "c11do1eth"
    counts = 1

    def __init__(
        self, entry: C11Entry, meter: Meter, folder: Path, clock: Clock, wire: Wire
    ) -> None:
        self.entry, self.name, self.meter = entry, entry.device, meter
        self.step = self.resolution = entry.weight * 1000
        self.modulus = entry.modulus
        self.counter = Counter(lambda at_ms: meter.pulses(at_ms, self.step), entry.modulus or None)
        self.troubles = wire.troubles
        secret = read_secret(folder / entry.key_file).encode()
        self.core = C11Core(entry.device, secret, self.counter.count)
        host, port = parse_address(entry.server)
        self.simulator = C11Simulator(self.core, host, port, clock, wire=wire)
        self._clock = clock
        self._state = folder / entry.state_file if entry.state_file else None

    def power_up(self) -> None:
        """Switch on; goes on from the state file where there is one."""
        if self._state is not None and self._state.exists():
            self.core.load(self._state)
        self.core.power_up(self._clock.now_ms())
        self.save()

    def save(self) -> None:
        """Replace the state file as a whole."""
        if self._state is not None:
            fresh = self._state.with_name(self._state.name + ".new")
            self.core.save(fresh)
            fresh.replace(self._state)

    def total(self, at_ms: int) -> int:
        """The module's own pulse total, what an order has preset included."""
        return max(0, self.counter.count(at_ms) + self.core.memory.offset)

    def reboot(self, now_ms: int) -> None:
        self.simulator.cut()
        self.core.power_up(now_ms)

    def lose_power(self, now_ms: int) -> None:
        self.simulator.powered = False
        self.simulator.cut()

    def regain_power(self, now_ms: int) -> None:
        self.core.power_up(now_ms, clock_kept=False)
        self.simulator.powered = True

    def jump_clock(self, ms: int) -> None:
        self.core.memory.offset_ms += ms

    def take_new_number(self) -> None:
        """The new module has the old one's name and key."""

    def output_states(self) -> dict[str, int]:
        return {self.entry.output: self.core.output} if self.entry.output else {}


def _resolution(profile: Profile, meter: Meter) -> int:
    """Small units in one count of the profile's index; a float's is taken to be its scale's."""
    kind = Kind.ENERGY_IMPORT if meter.small_unit == "mWh" else Kind.VOLUME
    scales = [Decimal(field.scale) for field in profile.register if field.kind is kind]
    return max(1, int(scales[0].scaleb(meter.small_decimals))) if scales else 1
