"""A configured C11DO1ETH module: its registers, its key, its meter, and its output."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from common.clock import Clock
from common.errors import ConfigError, NotFound, Refused
from common.registers import Kind, Medium, Register
from edge_agent.drivers.base import Order
from edge_agent.drivers.c11do1eth_orders import Commanded, Setup
from edge_agent.metering.counters import CounterRule
from edge_agent.metering.gas import ENERGY, Conversion
from edge_agent.protocols.c11do1eth import Directive, Verb

FINEST = 6
"""Decimals beyond which an index is cut: a millionth of a m³ is a cubic centimetre."""

_OBIS = {
    Medium.ELECTRICITY: "1-0:1.8.0",
    Medium.GAS: "7-0:3.0.0",
    Medium.WATER: "8-0:1.0.0",
    Medium.COLD_WATER: "8-0:1.0.0",
    Medium.HOT_WATER: "9-0:1.0.0",
}


@dataclass(frozen=True, slots=True)
class Output:
    """The module's digital output as a register; ``states`` name off and on."""

    key: str
    name: str
    states: tuple[str, str] = ("closed", "open")


@dataclass(frozen=True, slots=True)
class Periods:
    """What WELC tells a module: seconds between records with and without a session, pulses
    that make a record at once (0: off), and the version of this configuration."""

    push_s: int = 60
    log_s: int = 900
    delta: int = 0
    version: int = 1


def decimals_for(weight: Fraction, least: int) -> int:
    """The decimals, at least ``least``, that show one pulse exactly; FINEST where none do."""
    for decimals in range(least, FINEST):
        if (weight * 10**decimals).denominator == 1:
            return decimals
    return FINEST


class C11Module(Commanded):
    """A module behind its meter; implements ``Device`` and ``SwitchesOutputs``.

    ``weight`` is the quantity per pulse in m³, for electricity in Wh; ``start_index`` is what the
    meter's face showed, in the same unit, when the module's pulse total was ``start_total``;
    ``meter`` is that meter's serial number. ``gas`` converts the volume into energy.
    ``secret`` is the HMAC key, at least 16 bytes. ``answer_s`` is how long a command's result is
    waited for. Raises ConfigError.
    """

    def __init__(
        self,
        key: str,
        secret: bytes,
        *,
        medium: Medium,
        weight: Fraction,
        clock: Clock,
        start_index: Decimal = Decimal(0),
        start_total: int = 0,
        meter: str = "",
        rule: CounterRule | None = None,
        gas: Conversion | None = None,
        periods: Periods | None = None,
        setup: Setup | None = None,
        output: Output | None = None,
        answer_s: float = 10.0,
    ) -> None:
        if len(secret) < 16:
            raise ConfigError(f"device {key}: its secret is shorter than 16 bytes")
        if weight <= 0:
            raise ConfigError(f"device {key}: a pulse weight must be above 0, not {weight}")
        if not start_index.is_finite() or start_index < 0:
            raise ConfigError(f"device {key}: a start index cannot be {start_index}")
        super().__init__(key, secret, clock, answer_s)
        self.weight = weight
        self.start_index = start_index
        self.start_total = start_total
        self.meter = meter
        self.rule = rule or CounterRule()
        self.gas = gas
        self.periods = periods or Periods()
        self.setup = setup
        self._output = output
        self._registers = _registers(medium, weight, self.periods.log_s, gas, output)

    @property
    def registers(self) -> tuple[Register, ...]:
        return self._registers

    async def switch(self, order: Order) -> int:
        """Carry out an order and return the output's state read back, 0 or 1.

        Raises NotFound for another register than the output's, Unreachable without a session,
        NoAnswer or Disconnected when the outcome is unknown, Refused when the module said no.
        """
        if order.value not in (0, 1):
            raise Refused(f"device {self._key}: an output is set to 0 or 1, not {order.value}")
        word = "ON" if order.value else "OFF"
        return await self._out(order.register, word, order.command, order.not_after_ms)

    async def read_output(self, register: str) -> int:
        """The output's present state, asked of the module; raises as ``switch`` does."""
        return await self._out(register, "READ")

    async def _out(
        self, register: str, word: str, command: str = "", not_after_ms: int | None = None
    ) -> int:
        if self._output is None or register != self._output.key:
            raise NotFound(f"device {self._key} has no output {register}")
        value = await self.order(Directive(Verb.OUT, word), command, not_after_ms)
        if value not in (0, 1):
            raise Refused(f"device {self._key} answered OK {value} to OUT {word}")
        return value


def _registers(
    medium: Medium,
    weight: Fraction,
    interval_s: int,
    gas: Conversion | None,
    output: Output | None,
) -> tuple[Register, ...]:
    """Index, rate, and the derived energy and the output where there are such."""
    if medium is Medium.ELECTRICITY:
        index, rate, places = Kind.ENERGY_IMPORT, Kind.POWER, (0, 1)
    else:
        index, rate, places = Kind.VOLUME, Kind.FLOW, (3, 4)
    registers = [
        Register(
            key=index.value,
            name="Index",
            medium=medium,
            kind=index,
            decimals=decimals_for(weight, places[0]),
            interval_s=interval_s,
            obis=_OBIS.get(medium),
        ),
        Register(
            key=rate.value,
            name=rate.value.capitalize(),
            medium=medium,
            kind=rate,
            decimals=places[1],
            interval_s=interval_s,
        ),
    ]
    if gas is not None:
        registers.append(
            Register(
                key=ENERGY,
                name="Energy, derived from volume",
                medium=medium,
                kind=Kind.ENERGY_IMPORT,
                decimals=0,
                interval_s=interval_s,
            )
        )
    if output is not None:
        registers.append(
            Register(
                key=output.key,
                name=output.name,
                medium=Medium.OTHER,
                kind=Kind.OUTPUT,
                decimals=0,
                interval_s=interval_s,
                states=output.states,
                writable=True,
            )
        )
    return tuple(registers)
