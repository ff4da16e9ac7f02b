"""Modbus device types as data: one TOML file each, with recorded registers and their readings."""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import cache
from itertools import pairwise

from msgspec import Struct

from common.errors import ConfigError, Undecodable
from common.ids import KEY, KEY_RULE
from common.reading import Measured, Quality
from common.registers import Kind, Medium, Register
from common.settings import parse_toml
from edge_agent.profiles import files
from edge_agent.protocols.modbus import (
    MAX_REGISTERS,
    Absent,
    Order,
    Span,
    Type,
    decode,
    encode,
    merge,
)


class Field(Struct, frozen=True, forbid_unknown_fields=True):
    """One register of the device: where it stands, and what it means.

    The value in the kind's unit (W, Wh, V, A …) is the number on the wire times ``scale``.
    ``address`` is the address on the wire, from 0.
    """

    key: str
    name: str
    kind: Kind
    address: int
    type: Type
    decimals: int
    scale: str = "1"
    order: Order | None = None
    absent: Absent | None = None
    obis: str | None = None

    @property
    def span(self) -> Span:
        return Span(self.address, self.type.words)


class Output(Struct, frozen=True, forbid_unknown_fields=True):
    """A two-state output behind a coil (read with FC 1, set with FC 5)."""

    key: str
    name: str
    coil: int
    states: tuple[str, str] = ("off", "on")


class Block(Struct, frozen=True, forbid_unknown_fields=True):
    """Register words in hex, from ``address`` on."""

    address: int
    words: str


class Recording(Struct, frozen=True, forbid_unknown_fields=True):
    """What a device answered, and the readings it must give; ``none`` is "not available"."""

    origin: str
    block: tuple[Block, ...]
    readings: dict[str, str]


class Profile(Struct, frozen=True, forbid_unknown_fields=True):
    """A device type.

    ``function`` is 3 (holding registers) or 4 (input registers); a request asks for at most
    ``max_registers`` and may read over ``gap`` registers that mean nothing to us.
    """

    name: str
    maker: str
    source: str
    medium: str
    register: tuple[Field, ...]
    recorded: Recording | None = None
    output: tuple[Output, ...] = ()
    function: int = 3
    order: Order = Order.ABCD
    max_registers: int = MAX_REGISTERS
    gap: int = 0

    def order_of(self, field: Field) -> Order:
        return field.order or self.order

    @property
    def requests(self) -> tuple[Span, ...]:
        """What to ask for, in as few requests as the device allows."""
        return merge([field.span for field in self.register], self.max_registers, self.gap)

    def registers(self, interval_s: int = 0) -> tuple[Register, ...]:
        """The device's registers as the rest of the system knows them; outputs come last."""
        medium = Medium[self.medium.upper()]
        fields = tuple(
            Register(f.key, f.name, medium, f.kind, f.decimals, interval_s, f.obis)
            for f in self.register
        )
        outputs = tuple(
            Register(o.key, o.name, Medium.OTHER, Kind.OUTPUT, 0, interval_s, None, o.states, True)
            for o in self.output
        )
        return fields + outputs

    def decode(self, words: dict[int, int]) -> tuple[Measured, ...]:
        """Readings from register words by address. Raises Undecodable when one is missing."""
        return tuple(self._measured(field, words) for field in self.register)

    def _measured(self, field: Field, words: dict[int, int]) -> Measured:
        try:
            own = [words[address] for address in range(field.span.address, field.span.end)]
        except KeyError as error:
            raise Undecodable(f"{field.key}: register {error} was not read") from error
        number = decode(own, field.type, self.order_of(field), field.absent)
        if number is None:
            return Measured(field.key, None, Quality.NOT_AVAILABLE)
        raw = number if isinstance(number, int) else None
        return Measured(field.key, number * Decimal(field.scale), raw=raw)

    def encode(self, field: Field, value: Decimal | None) -> dict[int, int]:
        """Register words by address for a value in the kind's unit: what a device would hold."""
        number = None if value is None else value / Decimal(field.scale)
        words = encode(number, field.type, self.order_of(field), field.absent)
        return {field.address + i: word for i, word in enumerate(words)}


def parse_profile(content: bytes, source: str) -> Profile:
    """A profile from TOML; raises ConfigError with file and key."""
    profile = parse_toml(content, Profile, source)
    for key, reason in _faults(profile):
        raise ConfigError(f"{source}: {key}: {reason}")
    return profile


@cache
def load_profile(name: str) -> Profile:
    """The profile ``name`` of this package (``eastron_sdm630``); raises ConfigError."""
    return parse_profile(files.read(name, mbus=False), f"profile {name}.toml")


def profile_names() -> tuple[str, ...]:
    """The Modbus device types that are known."""
    return files.names(mbus=False)


def _faults(profile: Profile) -> Iterator[tuple[str, str]]:
    """Key and reason of what the types alone do not rule out."""
    if profile.medium.upper() not in Medium.__members__:
        yield "medium", f"{profile.medium!r} is not a medium"
    if profile.function not in (3, 4):
        yield "function", "expected 3 (holding registers) or 4 (input registers)"
    if not 4 <= profile.max_registers <= MAX_REGISTERS:
        yield "max_registers", f"expected 4 to {MAX_REGISTERS}"
    if not profile.register and not profile.output:
        yield "register", "at least one register or output is needed"
    for number, field in enumerate(profile.register, 1):
        for key, reason in _field_faults(field):
            yield f"register[{number}].{key}", reason
    for number, output in enumerate(profile.output, 1):
        if not 0 <= output.coil <= 0xFFFF:
            yield f"output[{number}].coil", "expected 0 to 65535"
    keys = sorted([f.key for f in profile.register] + [o.key for o in profile.output])
    for one, other in pairwise(keys):
        if one == other:
            yield "register", f"two registers have the key {one!r}"


def _field_faults(field: Field) -> Iterator[tuple[str, str]]:
    if not KEY.fullmatch(field.key):
        yield "key", f"{field.key[:60]!r} is not {KEY_RULE}"
    if not 0 <= field.address <= 0x10000 - field.type.words:
        yield "address", "expected 0 to 65535"
    if not 0 <= field.decimals <= 9:
        yield "decimals", "expected 0 to 9"
    try:
        scale = Decimal(field.scale)
    except InvalidOperation:
        yield "scale", f"{field.scale!r} is not a number"
    else:
        if not scale.is_finite() or scale <= 0:
            yield "scale", "expected a number above 0"
