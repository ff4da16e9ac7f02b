"""Carries out commands: written down first, acted on at most once, read back, reported.

One order at a time for each device, in the order in which they came; devices in parallel.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from common.clock import Clock
from common.errors import Permanent, Retryable, Unreachable
from common.logs import events
from common.messages.downlink import Command
from common.messages.uplink import CommandReport, Readings
from common.reading import Measured
from common.registers import Register
from edge_agent.drivers import base
from edge_agent.drivers.base import Device, SwitchesOutputs
from edge_agent.metering.scaling import known, scale_all
from edge_agent.store.catalog import Numbers
from edge_agent.store.inbox import ACCEPTED, Inbox, Order
from edge_agent.store.insist import insist

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 10.0

CLOCK_TOLERANCE_MS = 300_000
"""By how much an order may seem to come from the future."""

TIME_WITHIN_S = 5.0
"""So long an order waits for the time to be known: with the connection it mostly comes at once."""

READ_BACK_TRIES = 3
"""How often an output is asked, at least, before its state is called unconfirmed."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an order; ``value`` is what was read back."""

    state: str
    detail: str = ""
    value: int | None = None


class Commands:
    """Takes commands in with ``receive``, at once; ``run`` carries them out."""

    def __init__(
        self, inbox: Inbox, devices: Mapping[str, Device], numbers: Numbers, clock: Clock
    ) -> None:
        self._inbox = inbox
        self._devices = devices
        self._numbers = numbers
        self._clock = clock
        self._arrived: asyncio.Queue[Command] = asyncio.Queue(1000)
        self._locks = {key: asyncio.Lock() for key in devices}
        self._reachable = {key: asyncio.Event() for key in devices}

    def receive(self, command: Command) -> None:
        """A command has come. One too many is dropped: the cloud will send it again."""
        try:
            self._arrived.put_nowait(command)
        except asyncio.QueueFull:
            events.warning("commands: too many at once; %s is left for later", command.id)

    def nudge(self, device: str) -> None:
        """The device can be reached again: who waits for that need not wait for the clock."""
        if device in self._reachable:
            self._reachable[device].set()

    async def run(self) -> None:
        """First what a crash has left behind, then whatever comes."""
        async with asyncio.TaskGroup() as group:
            for order in await self._inbox.unfinished():
                group.create_task(self._recover(order))
            while True:
                group.create_task(self._handle(await self._arrived.get()))

    async def _handle(self, command: Command) -> None:
        await self._wait_for_the_time()
        now = self._clock.now_ms()
        refusal = self._refusal(command, now)
        if known(now) > command.expires_at:
            report = CommandReport(now, command.id, "expired", detail="came after its time")
        elif refusal:
            report = CommandReport(now, command.id, "rejected", detail=refusal)
        else:
            report = CommandReport(now, command.id, ACCEPTED)
        try:
            taken = await self._inbox.take(command, report)
        except Retryable as error:
            events.error("commands: %s is not carried out: %s", command.id, error)
            return
        if taken is None:
            return
        events.info(
            "command %s: %s/%s = %d: %s",
            *(command.id, command.device, command.register, command.value, taken.state),
        )
        if taken.state == ACCEPTED:
            order = Order(
                command.id, command.device, command.register, command.value, command.expires_at
            )
            async with self._locks[command.device]:
                await self._finish(order, await self._act(order))

    async def _wait_for_the_time(self) -> None:
        give_up_s = self._clock.monotonic() + TIME_WITHIN_S
        while not known(self._clock.now_ms()) and self._clock.monotonic() < give_up_s:
            await self._clock.sleep(FIRST_PAUSE_S)

    def _refusal(self, command: Command, now: int) -> str:
        """Why the command cannot be carried out here; empty when it can."""
        if not known(now):
            return "the gateway does not know the time: whether the order is stale cannot be told"
        if command.issued_at > now + CLOCK_TOLERANCE_MS:
            return "the gateway's clock is behind: whether the order is stale cannot be told"
        device = self._devices.get(command.device)
        if device is None:
            return f"there is no device {command.device}"
        register = self._register(command.device, command.register)
        if register is None:
            return f"device {command.device} has no register {command.register}"
        if not register.writable or not isinstance(device, SwitchesOutputs):
            return f"register {command.register} of {command.device} cannot be set"
        return ""

    def _register(self, device: str, key: str) -> Register | None:
        registers = self._devices[device].registers
        return next((register for register in registers if register.key == key), None)

    async def _act(self, order: Order) -> Result:
        """Switch. While nothing was sent, again until the order's time is over."""
        device = self._devices[order.device]
        assert isinstance(device, SwitchesOutputs)  # noqa: S101  (_refusal has looked)
        wanted = base.Order(order.id, order.register, order.value, order.expires_at)
        reason, pause_s = "another order was under way", FIRST_PAUSE_S
        # By both clocks: one that is set back meanwhile must not make the order's time longer.
        ends_s = self._clock.monotonic() + (order.expires_at - self._clock.now_ms()) / 1000
        while self._left_s(order, ends_s) >= 0:
            self._reachable[order.device].clear()
            try:
                value = await device.switch(wanted)
            except Unreachable as error:
                reason = str(error)
            except Retryable as error:
                return await self._look(order, f"{error}")
            except Permanent as error:
                return Result("failed", str(error))
            else:
                if value == order.value:
                    return Result("succeeded", value=value)
                return Result("failed", f"read back {value}", value)
            left_s = self._left_s(order, ends_s)
            await self._pause(order.device, min(pause_s, max(left_s, 0.001)))
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        return Result("expired", f"not carried out in time: {reason}")

    def _left_s(self, order: Order, ends_s: float) -> float:
        by_wall_s = (order.expires_at - self._clock.now_ms()) / 1000
        return min(by_wall_s, ends_s - self._clock.monotonic())

    async def _look(self, order: Order, why: str) -> Result:
        """The outcome is unknown: report what the output is. Never act again."""
        device = self._devices.get(order.device)
        tries, pause_s = 0, FIRST_PAUSE_S
        while isinstance(device, SwitchesOutputs):
            self._reachable[order.device].clear()
            try:
                value = await device.read_output(order.register)
            except Retryable as error:
                last = str(error)
            except Permanent as error:
                return Result("unconfirmed", f"{why}; {error}")
            else:
                state = "succeeded" if value == order.value else "failed"
                return Result(state, f"{why}; the output reads {value}", value)
            tries += 1
            if tries >= READ_BACK_TRIES and self._clock.now_ms() > order.expires_at:
                return Result("unconfirmed", f"{why}; {last}")
            await self._pause(order.device, pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        return Result("unconfirmed", f"{why}; there is no such output any more")

    async def _recover(self, order: Order) -> None:
        """The agent stopped between accepting this order and its result."""
        lock = self._locks.get(order.device, asyncio.Lock())
        async with lock:
            await self._finish(order, await self._look(order, "the agent was restarted meanwhile"))

    async def _finish(self, order: Order, result: Result) -> None:
        now = self._clock.now_ms()
        report = CommandReport(now, order.id, result.state, result.value, result.detail[:2000])
        events.info("command %s: %s %s", order.id, result.state, result.detail)
        register = None
        if result.value is not None:
            register = self._register(order.device, order.register)
        readings = []
        if register is not None and result.value is not None:
            measured = Measured(register.key, Decimal(result.value), raw=result.value)
            numbers = self._numbers.get(order.device, {})
            readings = [Readings(now, scale_all([register], numbers, [measured]))]
        await insist(
            lambda: self._inbox.record(report, *readings), self._clock, f"command {order.id}"
        )

    async def _pause(self, device: str, seconds: float) -> None:
        """Until the device is reachable again, or so long."""
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        reachable = asyncio.ensure_future(self._reachable[device].wait())
        try:
            await asyncio.wait({timer, reachable}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            reachable.cancel()
