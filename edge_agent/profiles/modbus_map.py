"""The map of a Modbus device type: which registers it has, and what they mean."""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from functools import partial

import msgspec
from msgspec import Struct

from common.errors import Undecodable
from common.reading import Measured, Quality
from common.registers import Kind, Medium, Register
from edge_agent.profiles.modbus_output import Output
from edge_agent.protocols.modbus import (
    MAX_COILS,
    MAX_REGISTERS,
    Absent,
    Cells,
    Order,
    Request,
    Span,
    Type,
    decode,
    encode,
    merge,
)
from edge_agent.protocols.sunspec import HEADER

DECIMALS: dict[Kind, int] = {
    Kind.VOLTAGE: 1,
    Kind.POWER: 1,
    Kind.FREQUENCY: 2,
    Kind.TEMPERATURE: 2,
    Kind.ENERGY_IMPORT: 0,
    Kind.ENERGY_EXPORT: 0,
}
"""Decimals of what a device gives as a float, where the profile does not say; else 3."""

MAX_FACTOR = 10
"""The highest power of ten, up or down (SunSpec Device Information Model V1.1 §5, sunssf)."""

NO_FACTOR = 0x8000
"""A power of ten that is not available (the same paragraph)."""


class Field(Struct, frozen=True, forbid_unknown_fields=True):
    """One register of the device: where it stands, and what it means.

    The value in the kind's unit (W, Wh, V, A …) is the number on the wire times ``scale``, and
    times the power of ten in the register ``exponent_at`` (s16), which is always read in the same
    request. The numbers at the addresses ``plus`` are added. Addresses are those on the wire,
    from 0. The number ``modulus`` is that at which the device's count starts at 0 again.
    """

    key: str
    kind: Kind
    address: int
    type: Type
    name: str = ""
    decimals: int | None = None
    scale: str = "1"
    exponent_at: int | None = None
    plus: tuple[int, ...] = ()
    order: Order | None = None
    absent: Absent | None = None
    modulus: int | None = None
    function: int | None = None
    obis: str | None = None

    @property
    def places(self) -> int:
        """Decimals of the value: as given, else those of the scale or, of a float, the kind's."""
        if self.decimals is not None:
            return self.decimals
        if self.type.is_float or self.exponent_at is not None:
            return DECIMALS.get(self.kind, 3)
        return max(0, -int(Decimal(self.scale).as_tuple().exponent))

    @property
    def spans(self) -> tuple[Span, ...]:
        """What is read for it; no request may cut one of these in two."""
        first, end = self.address, self.address + self.type.words
        if self.exponent_at is not None:
            first, end = min(first, self.exponent_at), max(end, self.exponent_at + 1)
        rest = (Span(address, self.type.words) for address in self.plus)
        return (Span(first, end - first), *rest)


class Identity(Struct, frozen=True, forbid_unknown_fields=True):
    """Registers by which the device type is known: one of the texts (two characters a register),
    or one of the values."""

    address: int
    text: tuple[str, ...] = ()
    values: tuple[int, ...] = ()
    function: int | None = None

    @property
    def count(self) -> int:
        return max([1, *((len(text) + 1) // 2 for text in self.text)])

    @property
    def samples(self) -> tuple[tuple[int, ...], ...]:
        """The words of each device that it fits."""
        texts = (text.ljust(2 * self.count, "\0").encode("ascii") for text in self.text)
        pairs = (tuple(zip(data[::2], data[1::2], strict=True)) for data in texts)
        return (
            *(tuple(high << 8 | low for high, low in text) for text in pairs),
            *((value,) for value in self.values),
        )


class Block(Struct, frozen=True, forbid_unknown_fields=True):
    """Register words in hex, from ``address`` on."""

    address: int
    words: str


class Recording(Struct, frozen=True, forbid_unknown_fields=True):
    """What a device answered, and the readings it must give; ``none`` is "not available"."""

    origin: str
    block: tuple[Block, ...]
    readings: dict[str, str]

    @property
    def words(self) -> dict[int, int]:
        """The registers by address."""
        return {
            block.address + offset: int(word, 16)
            for block in self.block
            for offset, word in enumerate(block.words.split())
        }


class Profile(Struct, frozen=True, forbid_unknown_fields=True):
    """A device type.

    ``function`` is 3 (holding registers) or 4 (input registers), also of a single register; a
    request asks for at most ``max_registers`` and may read over ``gap`` registers that mean
    nothing to us; a device that is ``whole`` refuses one that begins or ends within a value, as
    none of ours does. ``base`` is added to the addresses of all registers (not outputs).
    With ``sunspec``, addresses count from the first of these models that the device has;
    ``otherwise`` names the profile, with the same registers, for the models that are not here.
    """

    name: str
    medium: str = "electricity"
    maker: str = ""
    source: str = ""
    register: tuple[Field, ...] = ()
    output: tuple[Output, ...] = ()
    recorded: Recording | None = None
    identify: Identity | None = None
    function: int = 3
    order: Order = Order.ABCD
    base: int = 0
    max_registers: int = MAX_REGISTERS
    gap: int = 0
    whole: bool = False
    sunspec: tuple[int, ...] = ()
    otherwise: str = ""

    @property
    def requests(self) -> tuple[Request, ...]:
        """What to ask for, in as few requests as the device allows; outputs' coils come last."""
        spans: dict[int, list[Span]] = defaultdict(list)
        if self.sunspec:
            spans[self.function].append(Span(self.base, HEADER))
        for field in self.register:
            spans[self._function(field)] += [
                Span(self.base + span.address, span.count) for span in field.spans
            ]
        for output in self.output:
            spans[output.request.function].append(output.request.span)
        limits = {1: (MAX_COILS, 0)}
        return tuple(
            Request(function, span)
            for function, own in sorted(spans.items(), key=lambda item: item[0] == 1)
            for span in merge(own, *limits.get(function, (self.max_registers, self.gap)))
        )

    @property
    def gapless(self) -> "Profile":
        """The same registers, and nothing in between is asked for."""
        return msgspec.structs.replace(self, gap=0)

    @property
    def extent(self) -> int:
        """One more than the highest address of a register, without ``base``."""
        return max((span.end for field in self.register for span in field.spans), default=0)

    def placed(self, base: int) -> "Profile":
        """The same registers, counted from ``base``."""
        return msgspec.structs.replace(self, base=base)

    def registers(self, interval_s: int = 0) -> tuple[Register, ...]:
        """The device's registers as the rest of the system knows them; outputs come last."""
        medium = Medium[self.medium.upper()]
        fields = tuple(
            Register(
                f.key, f.name or _title(f.key), medium, f.kind, f.places, interval_s, obis=f.obis
            )
            for f in self.register
        )
        two_state = partial(Register, medium=Medium.OTHER, kind=Kind.OUTPUT, decimals=0)
        outputs = tuple(
            two_state(
                o.key,
                o.name or _title(o.key),
                interval_s=interval_s,
                states=o.states,
                writable=True,
            )
            for o in self.output
        )
        return fields + outputs

    def decode(self, cells: Cells) -> tuple[Measured, ...]:
        """Readings of registers and outputs. Raises Undecodable when a register is missing."""
        fields = tuple(self._measured(field, cells) for field in self.register)
        return fields + tuple(output.measured(cells) for output in self.output)

    def fill(self, values: Mapping[str, Decimal | None]) -> dict[tuple[int, int], int]:
        """The registers of a device that has these values (by key, in the kind's unit).

        None stands for "not available". Raises Undecodable for a value that fits no register.
        """
        cells: dict[tuple[int, int], int] = {}
        factors: dict[int | None, list[Field]] = defaultdict(list)
        for field in self.register:
            factors[field.exponent_at].append(field)
        for factor, fields in factors.items():
            exponent = 0 if factor is None else _exponent(fields, values)
            for field in fields:
                number = _number(field, values.get(field.key), exponent)
                self._put(cells, field, field.address, number)
                for address in field.plus:
                    self._put(cells, field, address, None if number is None else Decimal(0))
                if factor is not None:
                    cells[self._function(field), self.base + factor] = exponent & 0xFFFF
        return cells

    def _put(
        self, cells: dict[tuple[int, int], int], field: Field, address: int, number: Decimal | None
    ) -> None:
        words = encode(number, field.type, field.order or self.order, field.absent)
        for offset, word in enumerate(words, self.base + address):
            cells[self._function(field), offset] = word

    def _function(self, field: Field) -> int:
        return field.function or self.function

    def _measured(self, field: Field, cells: Cells) -> Measured:
        numbers = [
            decode(
                self._words(field, address, field.type.words, cells),
                field.type,
                field.order or self.order,
                field.absent,
            )
            for address in (field.address, *field.plus)
        ]
        exponent = 0
        if field.exponent_at is not None:
            (word,) = self._words(field, field.exponent_at, 1, cells)
            exponent = word - 0x10000 if word > 0x8000 else word
            if word == NO_FACTOR:
                numbers = [None]
            elif abs(exponent) > MAX_FACTOR:
                return Measured(field.key, None, Quality.DEVICE_ERROR)
        known = [number for number in numbers if number is not None]
        if len(known) < len(numbers):
            return Measured(field.key, None, Quality.NOT_AVAILABLE)
        value = sum(known, start=Decimal(0)) * Decimal(field.scale)
        raw = known[0] if len(known) == 1 and isinstance(known[0], int) else None
        return Measured(field.key, value.scaleb(exponent), raw=raw)

    def _words(self, field: Field, address: int, count: int, cells: Cells) -> list[int]:
        function, first = self._function(field), self.base + address
        try:
            return [cells[function, at] for at in range(first, first + count)]
        except KeyError as error:
            raise Undecodable(f"{field.key}: register {error.args[0][1]} was not read") from error


def _title(key: str) -> str:
    """``voltage_l1`` as people read it: ``Voltage L1``."""
    first, *rest = key.split("_")
    return " ".join(
        (first.capitalize(), *(part.upper() if part[1:].isdecimal() else part for part in rest))
    )


def _number(field: Field, value: Decimal | None, exponent: int) -> Decimal | None:
    """What stands on the wire for a value."""
    if value is None:
        return None
    number = (value / Decimal(field.scale)).scaleb(-exponent)
    return number if field.modulus is None else number % field.modulus


def _exponent(fields: list[Field], values: Mapping[str, Decimal | None]) -> int:
    """The lowest power of ten with which the values fit their registers."""
    for exponent in range(-max(field.places for field in fields), MAX_FACTOR):
        try:
            for field in fields:
                number = _number(field, values.get(field.key), exponent)
                encode(number, field.type, Order.ABCD, field.absent)
        except Undecodable:
            continue
        return exponent
    return MAX_FACTOR
