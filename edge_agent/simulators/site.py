"""Everything on a simulated site, made from its scenario, on the wire."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from common.clock import Clock
from edge_agent.simulators.conductor import Cable, Conductor
from edge_agent.simulators.control import Control
from edge_agent.simulators.devices import (
    Device,
    SimulatedMbusMeter,
    SimulatedModbusUnit,
    SimulatedModule,
)
from edge_agent.simulators.entries import Entry, MBusEntry, ModbusEntry, Site
from edge_agent.simulators.faults import Troubles
from edge_agent.simulators.mbus import MbusConverter
from edge_agent.simulators.modbus import ModbusServer
from edge_agent.simulators.modbus_rtu import ModbusRtuServer
from edge_agent.simulators.port import Pty, PtyPort, Tcp, TcpPort, parse_address, parse_listen
from edge_agent.simulators.truth import Truth
from edge_agent.simulators.wire import Serve, Wire

Say = Callable[[str], None]


class SimulatedLine:
    """A port or serial port of the site, and the devices behind it."""

    def __init__(self, name: str, place: Tcp | Pty, wire: Wire, serve: Serve) -> None:
        self.name = name
        self.troubles = wire.troubles
        self.where = ""
        self._place = place
        self._port: TcpPort | PtyPort
        if isinstance(place, Pty):
            self._port = PtyPort(place, serve, wire)
        else:
            self._port = TcpPort(place, serve, wire)

    async def start(self) -> None:
        """OSError: the place cannot be had."""
        rtu = "rtu+tcp:" if isinstance(self._place, Tcp) and self._place.rtu else ""
        self.where = rtu + await self._port.start()

    @property
    def listens(self) -> bool:
        return self._port.listens

    async def close(self) -> None:
        await self._port.close()

    def cut(self) -> None:
        self._port.cut()

    async def take_down(self) -> None:
        """A serial line stays, and no bytes go through it."""
        if isinstance(self._port, TcpPort):
            await self._port.close()

    async def bring_up(self) -> None:
        if not self.listens:
            await self._port.start()


class ModuleCable:
    """The line of a module, which is its own."""

    def __init__(self, module: SimulatedModule) -> None:
        self.troubles = module.troubles
        self._module = module

    def cut(self) -> None:
        self._module.simulator.cut()

    async def take_down(self) -> None:
        self.cut()

    async def bring_up(self) -> None:
        """The module comes back by itself."""


class SimulatedSite:
    """The devices of a scenario on a clock; nothing listens or connects before ``run``.

    For a time-lapse, give a ManualClock, put the meters on the wire with ``listening``, and use
    ``modules`` directly: they are the very objects that ``run`` connects. ``control`` is where
    orders are taken (``HOST:PORT``, loopback).
    Raises ConfigError when a module's key cannot be read.
    """

    def __init__(
        self, site: Site, clock: Clock, truth: Path | None = None, control: str = ""
    ) -> None:
        self._site = site
        self._clock = clock
        self._meters = site.world.meters
        self.modules = {
            entry.device: SimulatedModule(
                entry, self._meters[entry.meter], site.path.parent, clock, self._wire(entry.device)
            )
            for entry in site.c11do1eth
        }
        self.devices: dict[str, Device] = dict(self.modules)
        self.lines = {name: self._line(name, *line) for line, name in site.lines.items()}
        cables: dict[str, Cable] = {**self.lines}
        cables |= {name: ModuleCable(module) for name, module in self.modules.items()}
        every: tuple[Entry, ...] = (*site.c11do1eth, *site.mbus, *site.modbus)
        entries = {one.name: one for one in every}
        self.conductor = Conductor(entries, self.devices, cables, site.faults, clock)
        self.truth = Truth(truth, site.world, self.devices, clock)
        self._control = Control(control, self.conductor, self.places, clock) if control else None

    def output_states(self) -> dict[str, int]:
        """States of all outputs, by ``DEVICE/OUTPUT``."""
        return self.truth.at(self._clock.now_ms()).outputs

    def places(self) -> list[str]:
        """One line for each device: its kind, its name, and where it is."""
        polled: list[tuple[str, MBusEntry | ModbusEntry, str, int]] = [
            *(("mbus", one, "address", one.address) for one in self._site.mbus),
            *(("modbus", one, "unit", one.unit) for one in self._site.modbus),
        ]
        lines = [
            f"{kind} {entry.name} listens on {line.where} {word} {number}, line {line.name}"
            for kind, entry, word, number in polled
            for line in [self.lines[self._site.lines[kind, entry.listen]]]
        ]
        for entry in self._site.c11do1eth:
            host, port = parse_address(entry.server)
            lines.append(f"c11do1eth {entry.device} connects to {host}:{port}")
        return lines

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """The lines of M-Bus and Modbus meters on the wire.

        Raises OSError when a port is taken.
        """
        async with AsyncExitStack() as stack:
            for line in self.lines.values():
                stack.push_async_callback(line.close)
                await line.start()
            yield

    async def run(self, say: Say) -> None:
        """Put everything on the wire until cancelled; ``say`` hears where, and then that it is up.

        Raises OSError when a port is taken or a file cannot be written.
        """
        powered: list[SimulatedModule] = []
        async with self.listening():
            try:
                self.truth.write()
                control = await self._control.start() if self._control is not None else ""
                for module in self.modules.values():
                    module.power_up()
                    module.simulator.on_order = say
                    powered.append(module)
                async with asyncio.TaskGroup() as tasks:
                    for module in powered:
                        tasks.create_task(module.simulator.run())
                    for line in self.places():
                        say(line)
                    if control:
                        say(f"control listens on {control}")
                    tasks.create_task(self._keep(powered))
                    tasks.create_task(self.truth.run())
                    tasks.create_task(self.conductor.run())
                    say("simulated site is up")
            finally:
                if self._control is not None:
                    await self._control.close()
                for module in powered:
                    module.save()

    async def _keep(self, modules: list[SimulatedModule]) -> None:
        while True:
            await self._clock.sleep(1)
            for module in modules:
                module.save()

    def _wire(self, name: str) -> Wire:
        return Wire(Troubles(name, self._clock), self._clock, self._site.scenario.seed)

    def _line(self, name: str, kind: str, listen: str) -> SimulatedLine:
        wire = self._wire(name)
        if kind == "mbus":
            slaves = [self._slave(one, wire) for one in self._site.mbus if one.listen == listen]
            converter = MbusConverter(slaves, self._clock)
            return SimulatedLine(name, parse_listen(listen), wire, converter.serve)
        units = {
            one.unit: self._unit(one, wire) for one in self._site.modbus if one.listen == listen
        }
        place = parse_listen(listen, rtu=True)
        return SimulatedLine(name, place, wire, _modbus(place, units))

    def _slave(self, entry: MBusEntry, wire: Wire) -> SimulatedMbusMeter:
        troubles = Troubles(entry.name, self._clock)
        meter = SimulatedMbusMeter(entry, self._meters[entry.meter], troubles, wire)
        self.devices[entry.name] = meter
        return meter

    def _unit(self, entry: ModbusEntry, wire: Wire) -> SimulatedModbusUnit:
        troubles = Troubles(entry.name, self._clock)
        meter = self._meters[entry.meter]
        unit = SimulatedModbusUnit(entry, meter, self._clock, troubles, wire)
        self.devices[entry.name] = unit
        return unit


def _modbus(place: Tcp | Pty, units: Mapping[int, SimulatedModbusUnit]) -> Serve:
    if isinstance(place, Pty) or place.rtu:
        return ModbusRtuServer(units).serve
    return ModbusServer(place.host, place.port, units).serve
