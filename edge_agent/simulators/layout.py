"""Which devices a scenario has, each by itself, on which line, and which faults befall them."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from common.errors import ConfigError
from edge_agent.profiles.modbus import load_profile
from edge_agent.simulators.entries import (
    MAX_COUNT,
    C11Entry,
    Entry,
    MBusEntry,
    Mistakes,
    ModbusEntry,
    Scenario,
    Site,
)
from edge_agent.simulators.faults import (
    COUNTER,
    OF_A_DEVICE,
    OF_A_LINE,
    Fault,
    FaultKind,
    make_fault,
)
from edge_agent.simulators.port import parse_address, parse_listen
from edge_agent.simulators.world import World

Some = TypeVar("Some", C11Entry, MBusEntry, ModbusEntry)

MANUFACTURER = re.compile("[A-Z]{3}")

ALL = "all"
"""As a fault's target: every line and every module."""


def lay_out(path: Path, scenario: Scenario, world: World, mistakes: Mistakes) -> Site:
    """The site with every device by itself. Raises ConfigError."""
    builder = _Layout(scenario, world, mistakes)
    c11do1eth = builder.devices("c11do1eth", scenario.c11do1eth)
    mbus = builder.devices("mbus", scenario.mbus)
    modbus = builder.devices("modbus", scenario.modbus)
    builder.check_unique("c11do1eth", [one.device for one in c11do1eth])
    builder.check_unique("mbus", [(one.listen, one.address) for one in mbus])
    builder.check_unique("modbus", [(one.listen, one.unit) for one in modbus])
    devices: dict[str, Entry] = {}
    for group, entries in (("c11do1eth", c11do1eth), ("mbus", mbus), ("modbus", modbus)):
        for entry in entries:
            if devices.setdefault(entry.name, entry) is not entry:
                raise mistakes.error(group, f"{entry.name!r} names another device: give it a key")
    lines = _names("mbus", [one.listen for one in mbus])
    lines |= _names("modbus", [one.listen for one in modbus])
    for number, one in enumerate(scenario.modbus, 1):
        if ("mbus", one.listen) in lines and not one.listen.endswith(":0"):
            raise mistakes.error(f"modbus[{number}].listen", "M-Bus meters listen there")
    faults = builder.faults(devices, set(lines.values()))
    return Site(path, scenario, world, c11do1eth, mbus, modbus, lines, faults)


def befalls(kind: FaultKind, device: Entry | None) -> str | None:
    """Why this kind of fault makes no sense for a device, or for a line (None); None: it does."""
    reason = None
    if device is None:
        reason = "happens to a device, not to a line" if kind in OF_A_DEVICE else None
    elif isinstance(device, C11Entry):
        if kind is FaultKind.ROLLOVER and not device.modulus:
            reason = "needs the modulus of the device"
    elif kind in OF_A_LINE:
        reason = "happens to a line, not to one device on it"
    elif isinstance(device, ModbusEntry):
        if kind is FaultKind.CLOCK_JUMP:
            reason = "needs a clock, which a Modbus meter of ours has not"
        elif kind is FaultKind.ROLLOVER and not device.modulus:
            reason = "needs the modulus of the device"
    return reason


def _names(group: str, listens: Sequence[str]) -> dict[tuple[str, str], str]:
    """``mbus1`` for the first line that the scenario names, and so on."""
    different = dict.fromkeys(listens)
    return {(group, listen): f"{group}{number}" for number, listen in enumerate(different, 1)}


class _Layout:
    def __init__(self, scenario: Scenario, world: World, mistakes: Mistakes) -> None:
        self._scenario = scenario
        self._world = world
        self._mistakes = mistakes
        self._error = mistakes.error

    def devices(self, group: str, entries: tuple[Some, ...]) -> tuple[Some, ...]:
        """Every device by itself, checked."""
        found: list[Some] = []
        for number, entry in enumerate(entries, 1):
            where = f"{group}[{number}]"
            if not 0 <= entry.count <= MAX_COUNT:
                raise self._error(f"{where}.count", f"expected 0 to {MAX_COUNT}")
            if not 0 <= entry.modulus <= 10**15:
                raise self._error(f"{where}.modulus", "expected 0 (none) to 10^15")
            self._check(where, entry)
            for one in self._each(entry):
                if one.meter not in self._world.meters:
                    raise self._error(f"{where}.meter", f"there is no meter {one.meter!r}")
                self._check(where, one)
                found.append(one)
        return tuple(found)

    def check_unique(self, group: str, names: Sequence[object]) -> None:
        if len(set(names)) != len(names):
            raise self._error(group, "two devices have the same name or address")

    def faults(self, devices: dict[str, Entry], lines: set[str]) -> tuple[Fault, ...]:
        """The time line, in the order of its instants."""
        found = []
        for number, entry in enumerate(self._scenario.fault, 1):
            where = f"fault[{number}]"
            at_ms = self._mistakes.instant(f"{where}.at", entry.at)
            lasts_ms = self._mistakes.duration(f"{where}.for", entry.for_)
            try:
                fault = make_fault(entry.kind, entry.on, at_ms, lasts_ms, entry.parameters)
            except ValueError as error:
                raise self._error(where, str(error)) from None
            if entry.on not in devices and entry.on not in lines and entry.on != ALL:
                known = ", ".join([*sorted(lines), *list(devices)[:20], ALL])
                raise self._error(f"{where}.on", f"{entry.on!r}: expected one of {known}")
            reason = befalls(fault.kind, devices.get(entry.on))
            if reason:
                raise self._error(f"{where}.on", f"{fault.kind} {reason}")
            found.append(fault)
        found.sort(key=lambda fault: fault.from_ms)
        self._check_counters(found)
        return tuple(found)

    def _check_counters(self, faults: list[Fault]) -> None:
        begun: set[str] = set()
        for fault in faults:
            if fault.kind is FaultKind.ROLLOVER and fault.target in begun:
                raise self._error(
                    "fault", f"a rollover of {fault.target!r} comes before its other counter faults"
                )
            if fault.kind in COUNTER or fault.kind is FaultKind.POWER_CUT:
                begun.add(fault.target)

    def _each(self, entry: Some) -> Iterator[Some]:
        if not entry.count:
            yield entry
            return
        for n in range(1, entry.count + 1):
            meter = f"{entry.meter}-{n}"
            changes: dict[str, object] = {
                "count": 0,
                "meter": meter if meter in self._world.meters else entry.meter,
            }
            if isinstance(entry, C11Entry):
                changes["device"] = f"{entry.device}-{n}"
                changes["key_file"] = entry.key_file.replace("{n}", str(n))
                changes["state_file"] = entry.state_file.replace("{n}", str(n))
            else:
                changes["key"] = f"{entry.name}-{n}"
            if isinstance(entry, MBusEntry):
                changes["address"] = entry.address + n - 1
                changes["identification"] = f"{int(entry.identification) + n - 1:08}"
            if isinstance(entry, ModbusEntry):
                changes["unit"] = entry.unit + n - 1
            yield replace(entry, **changes)

    def _check(self, where: str, entry: Entry) -> None:
        match entry:
            case C11Entry():
                self._check_server(f"{where}.server", entry.server)
                if entry.weight < 1:
                    raise self._error(f"{where}.weight", "expected 1 or more (Wh or l a pulse)")
                if entry.count > 1 and entry.state_file and "{n}" not in entry.state_file:
                    raise self._error(f"{where}.state_file", "expected {n} in it: each has its own")
            case MBusEntry():
                self._check_listen(f"{where}.listen", entry.listen)
                if not 0 <= entry.address <= 250:
                    raise self._error(f"{where}.address", "expected 0 to 250")
                number = entry.identification
                if len(number) != 8 or not number.isascii() or not number.isdecimal():
                    raise self._error(f"{where}.identification", "expected 8 digits")
                if not MANUFACTURER.fullmatch(entry.manufacturer):
                    raise self._error(f"{where}.manufacturer", "expected three capital letters")
                if not 0 <= entry.version <= 255:
                    raise self._error(f"{where}.version", "expected 0 to 255")
                if not 1 <= entry.telegrams <= 8:
                    raise self._error(f"{where}.telegrams", "expected 1 to 8")
            case ModbusEntry():
                self._check_listen(f"{where}.listen", entry.listen, rtu=True)
                if not 1 <= entry.unit <= 247:
                    raise self._error(f"{where}.unit", "expected 1 to 247")
                try:
                    load_profile(entry.profile)
                except ConfigError as error:
                    raise self._error(f"{where}.profile", str(error)) from error

    def _check_server(self, where: str, text: str) -> None:
        try:
            parse_address(text)
        except ValueError as error:
            raise self._error(where, str(error)) from error

    def _check_listen(self, where: str, text: str, *, rtu: bool = False) -> None:
        try:
            parse_listen(text, rtu=rtu)
        except ValueError as error:
            raise self._error(where, str(error)) from error
