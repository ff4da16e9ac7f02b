"""Orders to a C11DO1ETH module over its open session, and what it answers to them."""

import asyncio
import secrets
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from common.clock import Clock
from common.errors import Disconnected, NoAnswer, Refused, Unreachable
from edge_agent.protocols.c11do1eth import (
    Cmd,
    Directive,
    Edge,
    Frame,
    Result,
    Rsp,
    Verb,
    wrap_key,
)
from edge_agent.protocols.c11do1eth.fields import TIME

ALWAYS = TIME.maximum
"""The last time there is: a wrong clock must not refuse to be set."""


class OrderExpired(Refused):
    """The order reached the module after its time, and was not carried out."""


class OrderUnsupported(Refused):
    """The module's firmware does not know the order, or not this value."""


class OrderForbidden(Refused):
    """The module knows the order and must not carry it out: it is sealed, or the key is wrong."""


class OrderFailed(Refused):
    """The module tried, and it did not work."""


_REFUSALS = {
    Result.EXPIRED: OrderExpired,
    Result.UNSUPPORTED: OrderUnsupported,
    Result.REFUSED: OrderForbidden,
    Result.FAILED: OrderFailed,
}


@dataclass(frozen=True, slots=True)
class Setup:
    """What a module is told once, when the version of its configuration differs.

    ``safe``: hold, on or off, what the output does ``safe_after_s`` after the server was lost.
    ``limit_mhz`` (thousandths of a pulse a second), ``leak_s`` of flow without a pause of
    ``pause_s``, ``standstill_s`` and ``stuck_s``: the module's own analysis; 0: off.
    """

    debounce_ms: int = 60
    edge: Edge = Edge.FALLING
    weight: Fraction = Fraction(1)
    safe: str = "hold"
    safe_after_s: int = 0
    limit_mhz: int = 0
    leak_s: int = 0
    pause_s: int = 900
    standstill_s: int = 0
    stuck_s: int = 0

    def directives(self) -> tuple[Directive, ...]:
        """The orders that bring it about."""
        weight = (self.weight.numerator, self.weight.denominator)
        return (
            Directive(Verb.SET, "debounce", (self.debounce_ms,)),
            Directive(Verb.SET, "edge", (self.edge,)),
            Directive(Verb.SET, "weight", weight),
            Directive(Verb.SAFE, self.safe, (self.safe_after_s,)),
            Directive(Verb.SET, "limit", (self.limit_mhz,)),
            Directive(Verb.SET, "leak", (self.leak_s, self.pause_s)),
            Directive(Verb.SET, "standstill", (self.standstill_s,)),
            Directive(Verb.SET, "stuck", (self.stuck_s,)),
        )


class Link(Protocol):
    """An open session with the module; ``send`` never waits."""

    def send(self, frame: Frame) -> None: ...


class Commanded:
    """The part of a module that takes orders.

    Each order gives what the module answered (for most, the value that is now in force) or raises:
    Unreachable without a session, when nothing was sent; NoAnswer or Disconnected when the outcome
    is unknown; OrderExpired, OrderUnsupported, OrderForbidden or OrderFailed when the module said
    no; ValueError for a value that no module takes (docs/devices/c11do1eth.md, "Commands").
    ``answer_s`` is how long a result is waited for, and how long an order of ours is good.
    """

    def __init__(self, key: str, secret: bytes, clock: Clock, answer_s: float) -> None:
        self._key = key
        self._secret = secret
        self._clock = clock
        self._answer_s = answer_s
        self._link: Link | None = None
        self._waiting: dict[str, asyncio.Future[Rsp]] = {}

    @property
    def key(self) -> str:
        return self._key

    @property
    def secret(self) -> bytes:
        return self._secret

    @property
    def connected(self) -> bool:
        """Whether the module has an open session."""
        return self._link is not None

    # -- the session

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

    # -- the orders

    async def set_periods(self, push_s: int, log_s: int, delta: int) -> None:
        """Until the next session, whose WELC says them again."""
        await self.order(Directive(Verb.SET, "period", (push_s,)))
        await self.order(Directive(Verb.SET, "logperiod", (log_s,)))
        await self.order(Directive(Verb.SET, "delta", (delta,)))

    async def configure(self, setup: Setup, version: int) -> list[str]:
        """Give the module its settings, and then the version that they are.

        Returns the orders that it refused, in words; it has all the others.
        """
        refused = []
        for directive in (*setup.directives(), Directive(Verb.SET, "config", (version,))):
            try:
                await self.order(directive)
            except Refused as error:
                refused.append(str(error))
        return refused

    async def pulse(self, milliseconds: int) -> int | None:
        """Output on, and off again after so long; what was read back right after."""
        return await self.order(Directive(Verb.OUT, "PULSE", (milliseconds,)))

    async def safe(self, state: str, after_s: int) -> int | None:
        """What the output does so long after the server was lost: hold, on or off."""
        return await self.order(Directive(Verb.SAFE, state, (after_s,)))

    async def preset(self, total: int) -> int | None:
        """Set the pulse total. The index does not change by it. A sealed module refuses."""
        return await self.order(Directive(Verb.PRESET, "", (total,)))

    async def read_back(self, first: int, last: int) -> int | None:
        """Have acknowledged records sent again, by number; how many will come."""
        return await self.order(Directive(Verb.READ, "", (first, last)))

    async def read_time(self) -> int | None:
        """The module's clock, epoch ms; 0 when it is not set."""
        return await self.order(Directive(Verb.TIME, "", (None,)), not_after_ms=ALWAYS)

    async def sync_time(self) -> int | None:
        """Set the module's clock to ours; what it shows then."""
        now = self._clock.now_ms()
        return await self.order(Directive(Verb.TIME, "", (now,)), not_after_ms=ALWAYS)

    async def reboot(self) -> None:
        """Restart the module; its session ends."""
        await self.order(Directive(Verb.REBOOT))

    async def change_key(self, new: bytes) -> None:
        """Give the module another key, and use it ourselves from its OK on.

        The key file is the operator's: until it holds ``new``, a restarted agent refuses the
        module. When the outcome is unknown, either key may be the right one. ValueError: a key
        has 16 to 32 bytes.
        """
        command = secrets.token_hex(16)
        wrapped, check = wrap_key(self._secret, self._key, command, new)
        await self.order(Directive(Verb.KEY, "", (wrapped, check)), command)
        self._secret = new

    async def order(
        self, directive: Directive, command: str = "", not_after_ms: int | None = None
    ) -> int | None:
        """Any order, under a fresh id unless one is given."""
        if not_after_ms is None:
            not_after_ms = self._clock.now_ms() + round(self._answer_s * 1000)
        arguments = directive.to_arguments()
        command = command or secrets.token_hex(16)
        answer = await self._ask(Cmd(self._key, command, not_after_ms, directive.verb, arguments))
        if answer.result is Result.OK:
            return answer.value
        what = "KEY" if directive.verb is Verb.KEY else str(directive)
        raise _REFUSALS[answer.result](f"device {self._key} answered {answer.result} to {what}")

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
