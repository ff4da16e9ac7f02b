"""Two-state outputs of Modbus devices: behind coils, or behind a holding register."""

from decimal import Decimal

from msgspec import Struct

from common.errors import Undecodable
from common.reading import Measured, Quality
from edge_agent.protocols.modbus import Cells, Order, Request, Span, Type, Write, decode, encode


class Output(Struct, frozen=True, forbid_unknown_fields=True):
    """An output that is set to 0 or 1 and read back.

    Behind ``count`` coils from ``coil`` on (read with FC 1, set with FC 5, several at once with
    FC 15), or behind the holding register ``register`` (read with FC 3, set with FC 6, a wider
    one with FC 16); ``write`` takes another function. ``on`` and ``off`` are what stands there:
    the first coil is bit 0, and all are 1 for ``on`` where nothing else is said.
    With a ``mask``, only its bits are the output's: the others are read first, and kept.
    """

    key: str
    name: str = ""
    coil: int | None = None
    count: int = 1
    register: int | None = None
    type: Type = Type.U16
    order: Order | None = None
    on: int | None = None
    off: int = 0
    mask: int | None = None
    write: int | None = None
    states: tuple[str, str] = ("off", "on")

    @property
    def request(self) -> Request:
        """How its state is read."""
        if self.coil is not None:
            return Request(1, Span(self.coil, self.count))
        return Request(3, Span(self.register or 0, self.type.words))

    @property
    def on_number(self) -> int:
        """What stands there for 1."""
        if self.on is not None:
            return self.on
        return (1 << self.count) - 1 if self.coil is not None else self.mask or 1

    def setting(self, value: int, cells: Cells) -> Write:
        """What to write for 0 or 1. ``cells`` are what stands there now: needed with a mask."""
        number = self.on_number if value else self.off
        address = self.request.span.address
        if self.coil is not None:
            bits = tuple(number >> i & 1 for i in range(self.count))
            return Write(self.write or (5 if self.count == 1 else 15), address, bits)
        if self.mask is not None:
            number |= (self._number(cells) or 0) & ~self.mask
        words = encode(Decimal(number), self.type, self.order or Order.ABCD)
        return Write(self.write or (6 if len(words) == 1 else 16), address, words)

    def state(self, cells: Cells) -> int | None:
        """0 or 1; None when what stands there is neither."""
        number = self._number(cells)
        if number is not None and self.mask is not None:
            number &= self.mask
        return 1 if number == self.on_number else 0 if number == self.off else None

    def measured(self, cells: Cells) -> Measured:
        """The state as a reading; one that is neither on nor off is the device's error."""
        state, raw = self.state(cells), self._number(cells)
        if state is None:
            return Measured(self.key, None, Quality.DEVICE_ERROR, raw=raw)
        return Measured(self.key, Decimal(state), raw=raw)

    def _number(self, cells: Cells) -> int | None:
        """What stands there; None when it is no whole number."""
        function, span = self.request.function, self.request.span
        try:
            own = [cells[function, address] for address in range(span.address, span.end)]
        except KeyError as error:
            raise Undecodable(f"{self.key}: {error.args[0][1]} was not read") from error
        if self.coil is not None:
            return sum(bit << i for i, bit in enumerate(own))
        number = decode(own, self.type, self.order or Order.ABCD)
        return None if number is None or number != int(number) else int(number)
