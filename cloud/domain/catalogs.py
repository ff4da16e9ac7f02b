"""Catalogs of which a part cannot be taken: the rest is, register by register."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Raw, Struct

from common.errors import Undecodable
from common.ids import check_key
from common.messages.uplink import (
    Catalog,
    CatalogDevice,
    CatalogRegister,
    Millis,
    Seq,
)
from common.registers import Register

_INT32 = 2**31 - 1
_LINE = 200


@dataclass(frozen=True, slots=True)
class Refused:
    """A register that cannot be taken: why, and what makes it the register that it is.

    ``identity`` is (device, key, kind, decimals), or None when that cannot be told.
    """

    no: int
    reason: str
    identity: tuple[str, str, str, int] | None


class _Catalog(Struct, tag="catalog", tag_field="k"):
    at: Millis
    devices: list["_Device"]
    others: list[str] = []


class _Device(Struct):
    key: str
    name: str
    driver: str
    registers: list["_Item"]
    model: str = ""


class _Item(Struct):
    no: Seq
    register: Raw


class _Identity(Struct):
    key: str
    kind: str
    decimals: int


_catalog = msgspec.json.Decoder(_Catalog)
_register = msgspec.json.Decoder(Register)
_identity = msgspec.json.Decoder(_Identity)


def open_catalog(raw: bytes) -> tuple[Catalog, tuple[Refused, ...]] | None:
    """What can be taken of the catalog in ``raw``, and what cannot; None when it is none.

    Names that are too long are cut: they are only shown.
    """
    try:
        catalog = _catalog.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    count = Counter(item.no for device in catalog.devices for item in device.registers)
    devices: dict[str, CatalogDevice] = {}
    refused = []
    for device in catalog.devices:
        fault = _device_fault(device, devices)
        taken: dict[str, CatalogRegister] = {}
        for item in device.registers:
            twice = f"number {item.no} stands twice in a catalog" if count[item.no] > 1 else ""
            try:
                register = _open_register(device.key, item.register, taken, fault or twice)
                taken[register.key] = CatalogRegister(item.no, register)
            except Undecodable as error:
                refused.append(Refused(item.no, str(error), _identity_of(device.key, item)))
        if not fault:
            devices[device.key] = CatalogDevice(
                device.key,
                device.name[:_LINE],
                device.driver,
                list(taken.values()),
                device.model[:_LINE],
            )
    return Catalog(catalog.at, list(devices.values()), catalog.others), tuple(refused)


def _device_fault(device: _Device, before: dict[str, CatalogDevice]) -> str:
    try:
        check_key(device.key, "device")
    except Undecodable as error:
        return str(error)
    if device.key in before:
        return f"device {device.key} stands twice in a catalog"
    plain = device.driver.isascii() and device.driver.isprintable()
    if not (plain and 1 <= len(device.driver) <= 48):
        return f"device {device.key}: driver {device.driver[:60]!r} is not one plain word"
    return ""


def _open_register(
    device: str, raw: Raw, before: Mapping[str, CatalogRegister], fault: str
) -> Register:
    """The register in ``raw``; raises Undecodable, with the reason, which may be known before."""
    if fault:
        raise Undecodable(fault)
    try:
        register = _register.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"device {device}: not a register: {error}") from error
    what = f"register {device}/{register.key[:60]}"
    check_key(register.key, what)
    if register.key in before:
        raise Undecodable(f"{what} stands twice in a catalog")
    if not 0 <= register.decimals <= 9:
        raise Undecodable(f"{what}: {register.decimals} decimals; 0 to 9 are possible")
    if not 0 <= register.interval_s <= _INT32:
        raise Undecodable(f"{what}: interval of {register.interval_s} s")
    texts = (register.obis or "", *(register.states or ()))
    if any(len(text) > 48 for text in texts):
        raise Undecodable(f"{what}: a text is too long")
    return msgspec.structs.replace(register, name=register.name[:_LINE])


def _identity_of(device: str, item: _Item) -> tuple[str, str, str, int] | None:
    try:
        found = _identity.decode(item.register)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return (device, found.key, found.kind, found.decimals)
