"""Modbus device types as data: one TOML file each, with recorded registers and their readings."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
from msgspec import UNSET, Struct, UnsetType

from common.errors import ConfigError
from common.settings import parse_toml
from edge_agent.profiles import files, modbus_fit
from edge_agent.profiles.modbus_faults import faults
from edge_agent.profiles.modbus_map import Field, Identity, Profile, Recording
from edge_agent.profiles.modbus_output import Output
from edge_agent.protocols.modbus import Order

__all__ = [
    "Field",
    "Output",
    "Profile",
    "fitting",
    "load_profile",
    "parse_profile",
    "profile_names",
]


class Variant(Struct, frozen=True, forbid_unknown_fields=True):
    """A device type that is another one (of this package) but for what is said here."""

    same_as: str
    name: str | UnsetType = UNSET
    medium: str | UnsetType = UNSET
    maker: str | UnsetType = UNSET
    source: str | UnsetType = UNSET
    recorded: Recording | UnsetType = UNSET
    identify: Identity | UnsetType = UNSET
    function: int | UnsetType = UNSET
    order: Order | UnsetType = UNSET
    base: int | UnsetType = UNSET
    max_registers: int | UnsetType = UNSET
    gap: int | UnsetType = UNSET
    whole: bool | UnsetType = UNSET


RECORDED_FOR = ("function", "order", "base")
"""A variant that changes one of these answers otherwise than its original was recorded."""


def parse_profile(content: bytes, source: str) -> Profile:
    """A profile from TOML; raises ConfigError with file and key."""
    if "same_as" in parse_toml(content, dict[str, object], source):
        profile = _apply(parse_toml(content, Variant, source), source)
    else:
        profile = parse_toml(content, Profile, source)
    profile = msgspec.structs.replace(profile, output=tuple(_ordered(profile)))
    for key, reason in faults(profile):
        raise ConfigError(f"{source}: {key}: {reason}")
    if profile.otherwise:
        other = _named(profile.otherwise, f"{source}: otherwise")
        if not other.sunspec or other.registers() != profile.registers():
            raise ConfigError(f"{source}: otherwise: expected SunSpec models of the same registers")
    return profile


def load_profile(name: str, beside: Path | None = None) -> Profile:
    """The profile ``name`` of this package (``eastron_sdm630``), or the file of one's own whose
    path ends with ``.toml``, as seen from the folder ``beside``. Raises ConfigError."""
    if not files.is_path(name):
        return _built_in(name)
    path = (beside or Path()) / name
    return parse_profile(files.read_own(path, profile_names()), str(path))


@cache
def _built_in(name: str) -> Profile:
    return parse_profile(files.read(name, mbus=False), f"profile {name}.toml")


def profile_names() -> tuple[str, ...]:
    """The Modbus device types that are known."""
    return files.names(mbus=False)


async def fitting(read: modbus_fit.Read) -> list[str]:
    """The profiles that fit a device, the likeliest first; ``await read(function, address,
    count)`` gives its words, or None where it gives none. Only reads."""
    return await modbus_fit.fitting(read, {name: _built_in(name) for name in profile_names()})


def _apply(variant: Variant, source: str) -> Profile:
    said = {key: getattr(variant, key) for key in variant.__struct_fields__ if key != "same_as"}
    given = {key: value for key, value in said.items() if value is not UNSET}
    if given.keys() & set(RECORDED_FOR):
        given.setdefault("recorded", None)
    return msgspec.structs.replace(_named(variant.same_as, f"{source}: same_as"), **given)


def _ordered(profile: Profile) -> Iterator[Output]:
    """The outputs, in the profile's order of bytes where they name none."""
    for output in profile.output:
        yield msgspec.structs.replace(output, order=output.order or profile.order)


def _named(name: str, where: str) -> Profile:
    """A profile of this package that another one names."""
    if name not in profile_names():
        raise ConfigError(f"{where}: {name[:60]!r} is not one of {', '.join(profile_names())}")
    return _built_in(name)
