"""Everything on a simulated site, made from its scenario: worlds, modules, buses, servers."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from common.clock import Clock
from common.settings import read_secret
from edge_agent.profiles.modbus import load_profile
from edge_agent.simulators.c11do1eth import C11Core, C11Simulator
from edge_agent.simulators.mbus import MbusConverter
from edge_agent.simulators.mbus_slave import ElectricityRecords, Identity, Slave, VolumeRecords
from edge_agent.simulators.modbus import ModbusServer, SimulatedModbusMeter
from edge_agent.simulators.scenario import C11Entry, Site, parse_address
from edge_agent.simulators.truth import Truth
from edge_agent.simulators.world import Meter

MANUFACTURER = "INM"
"""The flag of our simulated meters; no maker has registered it."""


@dataclass(frozen=True, slots=True)
class BusState:
    """A meter of the world as a simulated M-Bus meter asks for it."""

    meter: Meter

    def energy_import_wh(self, at_ms: int) -> int:
        return int(self.meter.index(at_ms))

    def volume_l(self, at_ms: int) -> int:
        return int(self.meter.index(at_ms) * 1000)

    def power_w(self, at_ms: int) -> int:
        return int(self.meter.present(at_ms))

    def voltages_dv(self, at_ms: int) -> tuple[int, int, int]:
        """A stiff grid that gives way a little under load."""
        voltage = 2300 - self.power_w(at_ms) // 3000
        return voltage, voltage + 4, voltage - 3

    def currents_ma(self, at_ms: int) -> tuple[int, int, int]:
        """The load spread evenly over the three phases, at 230 V and a power factor of 1."""
        current = self.power_w(at_ms) * 1000 // 690
        return current, current, current


class SimulatedModule:
    """A C11DO1ETH module of the scenario, with the file in which its memory survives."""

    def __init__(self, site: Site, entry: C11Entry, clock: Clock) -> None:
        meter = site.world.meters[entry.meter]
        weight = entry.weight * 1000
        self.entry = entry
        self.core = C11Core(
            entry.device,
            read_secret(site.beside(entry.key_file)).encode(),
            lambda at_ms: meter.pulses(at_ms, weight),
        )
        self._clock = clock
        self._state = site.beside(entry.state_file) if entry.state_file else None

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


class SimulatedSite:
    """The devices of a scenario on a clock; nothing listens or connects before ``run``.

    For a time-lapse, give a ManualClock, put the meters on the wire with ``listening``, and use
    ``modules`` directly: they are the very objects that ``run`` connects.
    Raises ConfigError when a module's key cannot be read.
    """

    def __init__(self, site: Site, clock: Clock, truth: Path | None = None) -> None:
        scenario, meters = site.scenario, site.world.meters
        self.modules = {
            entry.device: SimulatedModule(site, entry, clock) for entry in scenario.c11do1eth
        }
        self.units: dict[str, dict[int, SimulatedModbusMeter]] = defaultdict(dict)
        for unit in scenario.modbus:
            profile = load_profile(unit.profile)
            meter = SimulatedModbusMeter(profile, meters[unit.meter], clock)
            self.units[unit.listen][unit.unit] = meter
        self.slaves: dict[str, list[Slave]] = defaultdict(list)
        for entry in scenario.mbus:
            slave = _slave(entry.address, entry.identification, meters[entry.meter])
            self.slaves[entry.listen].append(slave)
        self.truth = Truth(
            truth, site.world, clock, outputs=self.output_states, pulses=self._pulses
        )
        self._site = site
        self._clock = clock

    def output_states(self) -> dict[str, int]:
        """States by ``DEVICE/OUTPUT`` of the modules and ``METER/OUTPUT`` of the Modbus units."""
        states = {
            f"{device}/{module.entry.output}": module.core.output
            for device, module in self.modules.items()
            if module.entry.output
        }
        for unit in self._site.scenario.modbus:
            for key, state in self.units[unit.listen][unit.unit].outputs.items():
                states[f"{unit.meter}/{key}"] = state
        return states

    def _pulses(self, at_ms: int) -> dict[str, int]:
        meters = self._site.world.meters
        return {
            device: meters[module.entry.meter].pulses(at_ms, module.entry.weight * 1000)
            for device, module in self.modules.items()
        }

    @asynccontextmanager
    async def listening(self, say: Callable[[str], None] = lambda _: None) -> AsyncIterator[None]:
        """M-Bus converters and Modbus servers on the wire; ``say`` hears where.

        Raises OSError when a port is taken.
        """
        async with AsyncExitStack() as stack:
            for listen, slaves in self.slaves.items():
                host, port = parse_address(listen)
                converter = MbusConverter(slaves, self._clock)
                stack.push_async_callback(converter.close)
                port = await converter.start(host, port)
                for entry in self._site.scenario.mbus:
                    if entry.listen == listen:
                        say(f"mbus {entry.meter} listens on {host}:{port} address {entry.address}")
            for listen, units in self.units.items():
                host, port = parse_address(listen)
                server = ModbusServer(host, port, units)
                stack.push_async_callback(server.close)
                port = await server.start()
                for unit in self._site.scenario.modbus:
                    if unit.listen == listen:
                        say(f"modbus {unit.meter} listens on {host}:{port} unit {unit.unit}")
            yield

    async def run(self, say: Callable[[str], None]) -> None:
        """Put everything on the wire until cancelled; ``say`` hears where, and then that it is up.

        Raises OSError when a port is taken or a file cannot be written.
        """
        powered: list[SimulatedModule] = []
        async with self.listening(say):
            try:
                self.truth.write()
                for module in self.modules.values():
                    module.power_up()
                    powered.append(module)
                async with asyncio.TaskGroup() as tasks:
                    for module in powered:
                        host, port = parse_address(module.entry.server)
                        simulator = C11Simulator(module.core, host, port, self._clock)
                        tasks.create_task(simulator.run())
                        say(f"c11do1eth {module.entry.device} connects to {host}:{port}")
                    tasks.create_task(self._keep(powered))
                    tasks.create_task(self.truth.run())
                    say("simulated site is up")
            finally:
                for module in powered:
                    module.save()

    async def _keep(self, modules: list[SimulatedModule]) -> None:
        while True:
            await self._clock.sleep(1)
            for module in modules:
                module.save()


def _slave(address: int, identification: str, meter: Meter) -> Slave:
    identity = Identity(identification, MANUFACTURER, 1, meter.medium)
    state = BusState(meter)
    if meter.small_unit == "mWh":
        return Slave(address, identity, ElectricityRecords(state, identification))
    return Slave(address, identity, VolumeRecords(state, identification))
