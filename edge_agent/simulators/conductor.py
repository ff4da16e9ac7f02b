"""Makes faults happen: those of the time line at their instants, others when somebody says so."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from common.clock import Clock
from common.errors import Refused
from common.logs import events
from edge_agent.simulators.devices import Device
from edge_agent.simulators.entries import Entry
from edge_agent.simulators.faults import (
    Fault,
    FaultKind,
    Troubles,
    make_fault,
    parse_duration,
)
from edge_agent.simulators.layout import ALL, befalls

LOOK_MS: Final = 200
"""So late, at most, is done what somebody orders."""


class Cable(Protocol):
    """What faults of a line do to it."""

    @property
    def troubles(self) -> Troubles: ...

    def cut(self) -> None:
        """Hang up on everybody."""

    async def take_down(self) -> None:
        """Nobody listens any more, and nobody connects."""

    async def bring_up(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Step:
    """A fault begins, or ends, for one device or line."""

    at_ms: int
    fault: Fault
    name: str
    begins: bool


class Conductor:
    """Knows every device and line by its name, and does to them what a fault says.

    Counter faults of the time line are in the counters from the beginning, so that what a counter
    shows does not depend on when anybody looked at it.
    """

    def __init__(
        self,
        entries: Mapping[str, Entry],
        devices: Mapping[str, Device],
        cables: Mapping[str, Cable],
        faults: tuple[Fault, ...],
        clock: Clock,
    ) -> None:
        self._entries = entries
        self._devices = devices
        self._cables = cables
        self._clock = clock
        self._steps: list[Step] = []
        for fault in faults:
            for name in self._names(fault.target):
                self._troubles(name).add(fault)
                self._turn_counter(fault, name, by_hand=False)
                self._add_steps(fault, name)

    async def run(self) -> None:
        """Do everything at its instant, until cancelled.

        What lies before now is not done again, but what began then and still lasts.
        """
        now_ms = self._clock.now_ms()
        self._steps = [
            step
            for step in self._steps
            if step.at_ms >= now_ms or (step.begins and step.fault.lasts_at(now_ms))
        ]
        while True:
            now_ms = self._clock.now_ms()
            while self._steps and self._steps[0].at_ms <= now_ms:
                await self._do(self._steps.pop(0))
            wait_ms = self._steps[0].at_ms - now_ms if self._steps else LOOK_MS
            await self._clock.sleep(min(wait_ms, LOOK_MS) / 1000)

    def order(self, kind: str, target: str, lasts: str, given: Mapping[str, int]) -> Fault:
        """A fault from now on. Raises Refused that says what was expected."""
        self._check_target(target)
        try:
            lasts_ms = parse_duration(lasts) if lasts else None
            fault = make_fault(kind, target, self._clock.now_ms(), lasts_ms, given)
        except ValueError as error:
            raise Refused(str(error)) from None
        reason = befalls(fault.kind, self._entries.get(target))
        if reason:
            raise Refused(f"{fault.kind} {reason}")
        for name in self._names(target):
            self._troubles(name).add(fault)
            self._turn_counter(fault, name, by_hand=True)
            self._add_steps(fault, name)
        return fault

    async def clear(self, target: str) -> None:
        """End what lasts on a target now, but for power cuts. Raises Refused: no such target."""
        self._check_target(target)
        names = dict.fromkeys((*self._devices, *self._cables)) if target == ALL else (target,)
        for name in names:
            troubles = self._troubles(name)
            was_down = troubles.on(FaultKind.NETWORK_DOWN)
            troubles.clear()
            if was_down:
                await self._bring_up(Step(self._clock.now_ms(), was_down, name, begins=False))

    def now(self) -> dict[str, tuple[Fault, ...]]:
        """The faults that last now, by device or line."""
        names = dict.fromkeys((*self._cables, *self._devices))
        lasting = {name: self._troubles(name).now() for name in names}
        return {name: faults for name, faults in lasting.items() if faults}

    def _check_target(self, target: str) -> None:
        if target != ALL and target not in self._devices and target not in self._cables:
            raise Refused(f"there is no device or line {target!r}: see list")

    def _names(self, target: str) -> tuple[str, ...]:
        return tuple(self._cables) if target == ALL else (target,)

    def _troubles(self, name: str) -> Troubles:
        if name in self._devices:
            return self._devices[name].troubles
        return self._cables[name].troubles

    def _turn_counter(self, fault: Fault, name: str, *, by_hand: bool) -> None:
        device, at_ms = self._devices.get(name), fault.from_ms
        if device is None:
            return
        match fault.kind:
            case FaultKind.ROLLOVER if by_hand:
                device.counter.bring_to_its_end(at_ms, device.modulus)
            case FaultKind.ROLLOVER:
                device.counter.roll_over(at_ms, device.modulus)
            case FaultKind.RESET:
                device.counter.reset(at_ms)
            case FaultKind.EXCHANGE:
                device.counter.exchange(at_ms, fault["start"] * device.counts)
            case FaultKind.POWER_CUT if device.kind == "c11do1eth" and fault.to_ms is not None:
                device.counter.stand(at_ms, fault.to_ms)
            case _:
                pass

    def _add_steps(self, fault: Fault, name: str) -> None:
        self._steps.append(Step(fault.from_ms, fault, name, begins=True))
        if fault.to_ms is not None and fault.to_ms > fault.from_ms:
            self._steps.append(Step(fault.to_ms, fault, name, begins=False))
        self._steps.sort(key=lambda step: step.at_ms)

    async def _do(self, step: Step) -> None:
        fault, name = step.fault, step.name
        events.info("simulated %s: %s %s", name, fault.kind, "begins" if step.begins else "ends")
        device, now_ms = self._devices.get(name), self._clock.now_ms()
        match fault.kind:
            case FaultKind.NETWORK_DOWN if step.begins:
                await self._cables[name].take_down()
            case FaultKind.NETWORK_DOWN if not self._troubles(name).on(fault.kind):
                await self._bring_up(step)
            case FaultKind.HANG_UP if step.begins:
                self._cables[name].cut()
            case FaultKind.REBOOT if device and step.begins:
                device.reboot(now_ms)
            case FaultKind.POWER_CUT if device and step.begins:
                device.lose_power(now_ms)
            case FaultKind.POWER_CUT if device and not device.troubles.on(fault.kind):
                device.regain_power(now_ms)
            case FaultKind.CLOCK_JUMP if device and step.begins:
                device.jump_clock(fault["ms"])
            case FaultKind.EXCHANGE if device and step.begins:
                device.take_new_number()
            case _:
                pass

    async def _bring_up(self, step: Step) -> None:
        """Once more a second later while somebody else has the port."""
        try:
            await self._cables[step.name].bring_up()
        except OSError as error:
            events.warning("simulated %s: %s", step.name, error)
            self._steps.append(replace(step, at_ms=self._clock.now_ms() + 1000))
            self._steps.sort(key=lambda one: one.at_ms)
