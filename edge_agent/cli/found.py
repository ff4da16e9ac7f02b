"""Devices that a scan has found on a line, as they go into a configuration."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from common.errors import InMetterError
from edge_agent.drivers import mbus_url, modbus_url
from edge_agent.drivers.line import Line
from edge_agent.drivers.mbus_found import Meter, Progress
from edge_agent.drivers.mbus_probe import Prober
from edge_agent.drivers.mbus_scan import PrimaryPosition, scan_primary
from edge_agent.drivers.mbus_search import search_from, search_secondary
from edge_agent.profiles import mbus
from edge_agent.protocols.mbus.link import MAX_PRIMARY
from edge_agent.protocols.mbus.selection import parse_mask

MBUS_TIMEOUT_S = 0.4
MODBUS_TIMEOUT_S = 0.3

Show = Callable[[str], None]


class FoundDevice(Struct, frozen=True):
    """``place`` is how the configuration names it: ``address = 5``, ``unit = 1``."""

    driver: str
    place: str
    name: str
    profiles: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """A key that it may have."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")[:40] or self.driver


@dataclass(frozen=True, slots=True)
class LineKind:
    """Lines of a protocol: how a URL looks and is checked, and in which ways one can look there."""

    driver: str
    word: str
    example: str
    ways: tuple[str, ...]
    parse_url: Callable[[str], object]
    find: Callable[[str, str, Show], AsyncIterator[FoundDevice]]
    load_profile: Callable[[str, Path], object]


async def _find_mbus(url: str, way: str, show: Show) -> AsyncIterator[FoundDevice]:
    """The meters on the line, by primary address or by search. Raises Retryable, ConfigError."""
    line, secondary = Line(url), way == "secondary"
    prober = Prober(line, MBUS_TIMEOUT_S)
    scanning = (
        search_secondary(prober, search_from(parse_mask("FFFFFFFF")))
        if secondary
        else scan_primary(prober, PrimaryPosition(0, MAX_PRIMARY, 0))
    )
    try:
        async with aclosing(scanning):
            async for news in scanning:
                if isinstance(news, Progress):
                    show(f"{news.done:.0%} {news.asking}")
                elif isinstance(news, Meter):
                    yield _meter(news, secondary=secondary)
    finally:
        with suppress(InMetterError):
            await prober.deselect()
        await line.close()


def _meter(meter: Meter, *, secondary: bool) -> FoundDevice:
    by_search = secondary and meter.secondary
    place = f'secondary = "{meter.secondary}"' if by_search else f"address = {meter.address}"
    number = meter.identification or meter.address
    return FoundDevice("mbus", place, f"{meter.medium or 'meter'} {number}", meter.profiles)


async def _find_modbus(url: str, _way: str, show: Show) -> AsyncIterator[FoundDevice]:
    """The units on the line. Raises Retryable, ConfigError."""
    # As the agent does: without Modbus no pymodbus.
    from edge_agent.drivers.modbus_line import ModbusLine
    from edge_agent.drivers.modbus_scan import Scan

    line = ModbusLine(url, MODBUS_TIMEOUT_S, patient=True)
    try:
        async for step in Scan(line, range(1, 248)).run():
            show(f"unit {step.unit}")
            if step.found and not step.found.is_noise:
                said = step.found.identification
                name = said.get("model") or said.get("product_code") or "unit"
                place = f"unit = {step.unit}"
                yield FoundDevice("modbus", place, f"{name} {step.unit}", step.found.profiles)
    finally:
        line.close()


def _load_modbus(name: str, beside: Path) -> object:
    from edge_agent.profiles.modbus import load_profile

    return load_profile(name, beside)


def _load_mbus(name: str, _beside: Path) -> object:
    return mbus.load_profile(name)


KINDS = (
    LineKind(
        driver="mbus",
        word="M-Bus",
        example="tcp://HOST:10001 or serial:///dev/ttyUSB0?baud=2400",
        ways=("primary", "secondary", "no"),
        parse_url=mbus_url.parse_url,
        find=_find_mbus,
        load_profile=_load_mbus,
    ),
    LineKind(
        driver="modbus",
        word="Modbus",
        example="tcp://HOST:502, rtu+tcp://HOST:PORT or serial:///dev/ttyUSB0?baud=9600",
        ways=("yes", "no"),
        parse_url=modbus_url.parse_url,
        find=_find_modbus,
        load_profile=_load_modbus,
    ),
)
