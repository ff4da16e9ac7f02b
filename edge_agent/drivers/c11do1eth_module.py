"""A configured C11DO1ETH module: its registers, its key, and the orders to its output."""

import asyncio
import secrets
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from common.clock import Clock
from common.errors import ConfigError, Disconnected, NoAnswer, NotFound, Refused, Unreachable
from common.registers import Kind, Medium, Register
from edge_agent.drivers.base import Order
from edge_agent.protocols.c11do1eth import Cmd, Frame, Result, Rsp, Verb

FINEST = 6
"""Decimals beyond which an index is cut: a millionth of a m³ is a cubic centimetre."""

_OBIS = {
    Medium.ELECTRICITY: "1-0:1.8.0",
    Medium.GAS: "7-0:3.0.0",
    Medium.WATER: "8-0:1.0.0",
    Medium.COLD_WATER: "8-0:1.0.0",
    Medium.HOT_WATER: "9-0:1.0.0",
}


class Link(Protocol):
    """An open session with the module; ``send`` never waits."""

    def send(self, frame: Frame) -> None: ...


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


class C11Module:
    """A module behind its meter; implements ``Device`` and ``SwitchesOutputs``.

    ``weight`` is the quantity per pulse in m³, for electricity in Wh; ``start_index`` is what the
    meter's face showed, in the same unit, at the module's pulse total 0.
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
        periods: Periods | None = None,
        output: Output | None = None,
        answer_s: float = 10.0,
    ) -> None:
        if len(secret) < 16:
            raise ConfigError(f"device {key}: its secret is shorter than 16 bytes")
        if weight <= 0:
            raise ConfigError(f"device {key}: a pulse weight must be above 0, not {weight}")
        if not start_index.is_finite() or start_index < 0:
            raise ConfigError(f"device {key}: a start index cannot be {start_index}")
        self._key = key
        self._secret = secret
        self._weight = weight
        self._start_index = start_index
        self._output = output
        self._clock = clock
        self._answer_s = answer_s
        self.periods = periods or Periods()
        self._registers = _registers(medium, weight, self.periods.log_s, output)
        self._link: Link | None = None
        self._waiting: dict[str, asyncio.Future[Rsp]] = {}

    @property
    def key(self) -> str:
        return self._key

    @property
    def registers(self) -> tuple[Register, ...]:
        return self._registers

    @property
    def secret(self) -> bytes:
        return self._secret

    @property
    def weight(self) -> Fraction:
        return self._weight

    @property
    def start_index(self) -> Decimal:
        return self._start_index

    @property
    def connected(self) -> bool:
        """Whether the module has an open session."""
        return self._link is not None

    async def switch(self, order: Order) -> int:
        """Carry out an order and return the output's state read back, 0 or 1.

        Raises NotFound for another register than the output's, Unreachable without a session,
        NoAnswer or Disconnected when the outcome is unknown, Refused when the module said no.
        """
        if order.value not in (0, 1):
            raise Refused(f"device {self._key}: an output is set to 0 or 1, not {order.value}")
        argument = "ON" if order.value else "OFF"
        return await self._out(order.register, order.command, order.not_after_ms, argument)

    async def read_output(self, register: str) -> int:
        """The output's present state, asked of the module; raises as ``switch`` does."""
        not_after_ms = self._clock.now_ms() + round(self._answer_s * 1000)
        return await self._out(register, secrets.token_hex(16), not_after_ms, "READ")

    def attach(self, link: Link) -> None:
        """A session is open; from now on orders go over ``link``."""
        self._link = link

    def detach(self, link: Link) -> None:
        """``link`` is gone; who waits for an answer over it learns so."""
        if self._link is not link:
            return
        self._link = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Disconnected(f"device {self._key} hung up"))

    def settle(self, answer: Rsp) -> bool:
        """Hand an answer to whoever waits for it; False when nobody does."""
        waiting = self._waiting.get(answer.command)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(answer)
        return True

    async def _out(self, register: str, command: str, not_after_ms: int, argument: str) -> int:
        if self._output is None or register != self._output.key:
            raise NotFound(f"device {self._key} has no output {register}")
        order = Cmd(self._key, command, not_after_ms, Verb.OUT, (argument,))
        answer = await self._ask(order)
        if answer.result is not Result.OK or answer.value not in (0, 1):
            raise Refused(f"device {self._key} answered {answer.result} to OUT {argument}")
        return answer.value

    async def _ask(self, order: Cmd) -> Rsp:
        if self._link is None:
            raise Unreachable(f"device {self._key} has no session")
        if order.command in self._waiting:
            raise Refused(f"command {order.command} is already under way")
        waiting: asyncio.Future[Rsp] = asyncio.get_running_loop().create_future()
        self._waiting[order.command] = waiting
        timer = asyncio.ensure_future(self._clock.sleep(self._answer_s))
        timer.add_done_callback(lambda _: self._give_up(waiting))
        try:
            self._link.send(order)
            return await waiting
        finally:
            waiting.cancel()
            timer.cancel()
            del self._waiting[order.command]

    def _give_up(self, waiting: asyncio.Future[Rsp]) -> None:
        if not waiting.done():
            text = f"device {self._key} did not answer within {self._answer_s:g} s"
            waiting.set_exception(NoAnswer(text))


def _registers(
    medium: Medium, weight: Fraction, interval_s: int, output: Output | None
) -> tuple[Register, ...]:
    """Index, rate, and the output where there is one."""
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
