"""Makes the configured devices: the one place where a configuration becomes drivers."""

import zlib
from collections.abc import Callable, Coroutine, Mapping
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from common.clock import Clock
from common.errors import ConfigError
from common.reading import from_scaled
from common.registers import Medium
from common.settings import read_secret
from edge_agent.collector import BESIDES_S, Poll
from edge_agent.config import (
    C11Settings,
    Config,
    LineSettings,
    MbusSettings,
    ModbusSettings,
    parse_key,
)
from edge_agent.drivers.base import Device
from edge_agent.drivers.c11do1eth import (
    C11Module,
    CommunicationServer,
    Limits,
    Output,
    Periods,
    RecordSink,
    ServerCertificate,
)
from edge_agent.drivers.line import Line
from edge_agent.drivers.mbus import MbusMeter
from edge_agent.metering.scaling import parse_quantity
from edge_agent.profiles import mbus
from edge_agent.protocols.mbus.selection import parse_secondary
from edge_agent.store.catalog import Described

if TYPE_CHECKING:
    from edge_agent.drivers.modbus import ModbusMeter
    from edge_agent.drivers.modbus_line import ModbusLine

TRIES = 10
"""A poll may have its line for so many time-outs, if nothing else is said. A meter that is silent
needs fewer, also with its repeats; one that sends several telegrams over a slow line needs them."""

INDEX_DIGITS = 12
"""Decimals to which a start index is exact: those that its text may have."""


class Devices:
    """The gateway's devices, as objects that talk. Raises ConfigError for what cannot be made.

    ``modules`` connect to us, ``polled`` are asked; both are by device key, as is ``all``.
    """

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._lines: dict[str, Line] = {}
        self._modbus_lines: dict[str, ModbusLine] = {}
        self.modules: dict[str, C11Module] = {}
        self.polled: dict[str, Poll] = {}
        self.described: list[Described] = []
        problems = []
        for number, settings in enumerate(config.settings.device, 1):
            try:
                self._add(settings)
            except ConfigError as error:
                problems.append(f"{config.name}: device[{number}]: {error}")
        if problems:
            raise ConfigError("\n".join(problems))

    @property
    def all(self) -> dict[str, Device]:
        """Every device by key, in the order of the configuration."""
        polled = {key: one.device for key, one in self.polled.items()}
        return {one.key: {**self.modules, **polled}[one.key] for one in self.described}

    async def close(self) -> None:
        """Hang up on all lines."""
        for line in self._lines.values():
            await line.close()
        for modbus_line in self._modbus_lines.values():
            modbus_line.close()

    def _add(self, settings: C11Settings | MbusSettings | ModbusSettings) -> None:
        model = "C11DO1ETH"
        device: Device
        if isinstance(settings, C11Settings):
            device = self.modules[settings.key] = self._module(settings)
        else:
            model = settings.profile
            meter: MbusMeter | ModbusMeter
            if isinstance(settings, MbusSettings):
                meter = self._mbus(settings)
                clear_line = self._lines[settings.line].ready
            else:
                meter = self._modbus(settings)
                clear_line = partial(self._modbus_lines[settings.line].ready, settings.unit)
            self.polled[settings.key] = self._poll(settings, meter, clear_line)
            device = meter
        driver = str(settings.__struct_config__.tag)
        self.described.append(
            Described(settings.key, settings.name, driver, device.registers, model)
        )

    def _module(self, settings: C11Settings) -> C11Module:
        secret = read_secret(self._config.beside(settings.key_file)).encode()
        periods = (settings.push_period_s, settings.log_period_s, settings.delta_pulses)
        start = Decimal(0)
        if settings.start_index:
            index = parse_quantity(settings.start_index, settings.base_unit)
            start = from_scaled(int(index * 10**INDEX_DIGITS), INDEX_DIGITS)
        output, setup = settings.output, settings.setup
        version = zlib.crc32(repr((periods, setup)).encode()) or 1
        return C11Module(
            settings.key,
            secret,
            medium=Medium[settings.medium.upper()],
            weight=settings.weight,
            clock=self._clock,
            start_index=start,
            start_total=settings.start_total,
            meter=settings.meter,
            rule=settings.rule,
            gas=settings.conversion(ZoneInfo(self._config.settings.gateway.timezone)),
            periods=Periods(*periods, version=version),
            setup=setup,
            output=Output(output.key, output.name, output.states) if output else None,
        )

    def _mbus(self, settings: MbusSettings) -> MbusMeter:
        line = self._line_settings(settings.line)
        if line.id not in self._lines:
            self._lines[line.id] = Line(line.url, connect_timeout_s=line.timeout_s)
        return MbusMeter(
            settings.key,
            self._lines[line.id],
            parse_secondary(settings.secondary) if settings.address is None else settings.address,
            mbus.load_profile(settings.profile),
            clock=self._clock,
            interval_s=_expected_s(settings.interval_s),
            timeout_s=line.timeout_s,
            retries=line.retries,
            aes_key=self._meter_key(settings),
            keep_telegrams=settings.keep_telegrams,
        )

    def _meter_key(self, settings: MbusSettings) -> bytes | None:
        if not settings.key_file:
            return None
        return parse_key(read_secret(self._config.beside(settings.key_file)))

    def _modbus(self, settings: ModbusSettings) -> "ModbusMeter":
        # A gateway without Modbus devices does without pymodbus, its 10 MB and its 200 ms.
        from edge_agent.drivers.modbus import modbus_device
        from edge_agent.drivers.modbus_line import ModbusLine
        from edge_agent.profiles import modbus

        line = self._line_settings(settings.line)
        if line.id not in self._modbus_lines:
            self._modbus_lines[line.id] = ModbusLine(line.url, line.timeout_s)
        return modbus_device(
            settings.key,
            self._modbus_lines[line.id],
            settings.unit,
            modbus.load_profile(settings.profile, self._config.path.parent),
            clock=self._clock,
            interval_s=_expected_s(settings.interval_s),
        )

    def _poll(
        self,
        settings: MbusSettings | ModbusSettings,
        device: "MbusMeter | ModbusMeter",
        clear_line: Callable[[], Coroutine[None, None, None]],
    ) -> Poll:
        line = self._line_settings(settings.line)
        try_s = line.timeout_s + BESIDES_S
        budget_s = settings.budget_s
        if budget_s is None:
            budget_s = max(try_s, min(settings.interval_s, TRIES * try_s))
        if budget_s < try_s:
            raise ConfigError(
                f"budget_s: {budget_s:g}: expected at least {try_s:g},"
                f" the line's timeout_s and {BESIDES_S:g}"
            )
        return Poll(device, line.id, settings.interval_s, try_s, budget_s, clear_line)

    def _line_settings(self, name: str) -> LineSettings:
        return next(line for line in self._config.settings.line if line.id == name)


def _expected_s(interval_s: float) -> int:
    """The whole seconds after which a reading is late, at the earliest."""
    return max(1, round(interval_s))


def communication_server(
    config: Config, modules: Mapping[str, C11Module], sink: RecordSink, clock: Clock
) -> CommunicationServer:
    """The server that the configuration describes. Raises ConfigError for a bad certificate."""
    settings = config.settings.c11do1eth
    certificate = None
    if settings.tls_cert_file:
        certificate = ServerCertificate(
            config.beside(settings.tls_cert_file), config.beside(settings.tls_key_file)
        )
    limits = Limits(
        # Twice as many as there are modules: the old connection of each may not have ended yet.
        connections=settings.connections or max(Limits().connections, 2 * len(modules)),
        per_address=settings.connections_per_address or None,
        handshake_s=settings.handshake_s,
        idle_s=settings.idle_s,
        lines_per_s=settings.lines_per_s,
    )
    return CommunicationServer(
        *(settings.host, settings.port, modules, sink, clock),
        limits=limits,
        certificate=certificate,
    )
