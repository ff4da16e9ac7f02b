"""Takes what C11DO1ETH modules push: stores it, once, and says up to where it is stored."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from decimal import Decimal

from common.clock import Clock
from common.errors import NotFound, Undecodable
from common.messages.uplink import Body, Event, Readings
from common.reading import to_scaled
from edge_agent.device_state import DeviceStates
from edge_agent.drivers.c11do1eth import C11Module
from edge_agent.metering.counters import CounterRule, advance
from edge_agent.metering.counters import CounterState as Count
from edge_agent.metering.pulses import RateWindow, Stretch, index, measure
from edge_agent.metering.scaling import is_plausible, scale_all
from edge_agent.protocols.c11do1eth import Clock as ItemClock
from edge_agent.protocols.c11do1eth import EventCode, Evt, Hello, Rec
from edge_agent.store.catalog import Numbers
from edge_agent.store.counter_state import CounterState, PushState, load, save
from edge_agent.store.journal import Journal, Transaction

Item = Rec | Evt

EVENTS: dict[str, tuple[str, str, str]] = {
    EventCode.POWER_UP: ("power_up", "info", "was switched on"),
    EventCode.BROWN_OUT: ("brown_out", "warning", "had too low a supply voltage"),
    EventCode.LINE_BREAK: ("line_break", "alarm", "has a broken line to the meter"),
    EventCode.STUCK_INPUT: ("input_stuck", "warning", "has a pulse input that is stuck"),
    EventCode.RATE_EXCEEDED: ("rate_exceeded", "alarm", "counts faster than its limit"),
    EventCode.CLOCK_STEP: ("clock_step", "info", "had its clock set"),
    EventCode.PRESET: ("counter_preset", "warning", "had its pulse total set"),
    EventCode.BACKLOG_OVERFLOW: ("backlog_overflow", "warning", "has lost its oldest records"),
    EventCode.OUTPUT_CHANGED: ("output_changed", "info", "has changed its output"),
}
"""A module's event code → the journal's code, severity and words."""

SHORTEST_SILENCE_S = 30

CLOCK_WENT_BACK_MS = 60_000
"""Stamps that are further ahead than this were given by a clock that has since been set. Full
rings of some modules, thousands of records that come at once, do not get so far ahead."""


@dataclass(frozen=True, slots=True)
class Dated:
    """An item and the time that it is stored under."""

    item: Item
    at: int
    time_ok: bool


class Intake:
    """The sink of the communication server (its ``RecordSink``).

    ``on_session``, if set, is called with the device's key when a session begins.
    """

    def __init__(
        self,
        journal: Journal,
        modules: Mapping[str, C11Module],
        numbers: Numbers,
        states: DeviceStates,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._modules = modules
        self._numbers = numbers
        self._states = states
        self._clock = clock
        self._last_stamp = 0
        self._windows: dict[str, RateWindow] = {}
        self.on_session: Callable[[str], None] | None = None

    async def run(self, module: C11Module) -> None:
        """Watch one module: silent for three of its periods, and not connected, it is failing."""
        silence_s = max(3 * module.periods.push_s, SHORTEST_SILENCE_S)
        began_at = self._clock.now_ms()
        while True:
            await self._clock.sleep(silence_s / 3)
            now = self._clock.now_ms()
            if module.connected:
                event = self._states.ok(module.key, now)
            elif now - (self._states[module.key].last_ok_at or began_at) >= silence_s * 1000:
                event = self._states.failed(module.key, now, f"{module.key}: not connected")
            else:
                continue
            if event:
                await self._journal.append(event)

    async def resume(self, device: str, hello: Hello) -> int:
        """A session begins: the highest contiguous stored number. Raises StorageError."""
        self._known(device)

        def work(transaction: Transaction) -> int:
            state = load(transaction.connection, device) or PushState(hello.oldest - 1)
            floor = state.resume(hello.boot, hello.oldest, hello.last)
            save(transaction.connection, device, state)
            return floor

        floor = await self._journal.write(work)
        event = self._states.ok(device, self._clock.now_ms())
        if event:
            await self._journal.append(event)
        if self.on_session:
            self.on_session(device)
        return floor

    async def store(self, device: str, items: Sequence[Item]) -> int:
        """Append what is new, with the counter's state, in one transaction.

        Returns the highest contiguous stored number once it is durable. Raises StorageError.
        """
        module = self._known(device)
        now = self._clock.now_ms()
        recovered = self._states.ok(device, now)
        dated = [self._date(item, now) for item in items]

        def work(transaction: Transaction) -> int:
            state = load(transaction.connection, device)
            if state is None:
                state = PushState(min(item.seq for item in items) - 1)
            bodies: list[Body] = [recovered] if recovered else []
            for one in dated:
                if isinstance(one.item, Evt) and one.item.lost:
                    state.lose(one.item.boot, *one.item.lost)
                if state.take(one.item.boot, one.item.seq):
                    bodies += self._bodies(module, state, one, now)
            if bodies:
                transaction.append(*bodies)
            save(transaction.connection, device, state)
            return state.floor

        return await self._journal.write(work)

    def _known(self, device: str) -> C11Module:
        if device not in self._modules:
            raise NotFound(f"device {device} is not configured")
        return self._modules[device]

    def _date(self, item: Item, now: int) -> Dated:
        """The device's own time where it is plausible, else the gateway's, each of its own."""
        if is_plausible(item.at_ms, now):
            return Dated(item, item.at_ms, item.clock is not ItemClock.UNKNOWN)
        if now < self._last_stamp - CLOCK_WENT_BACK_MS:
            self._last_stamp = now
        else:
            self._last_stamp = max(now, self._last_stamp + 1)
        return Dated(item, self._last_stamp, time_ok=False)

    def _bodies(self, module: C11Module, state: PushState, dated: Dated, now: int) -> list[Body]:
        bodies: list[Body] = []
        item = dated.item
        # A device that does not know its time says so (UNKNOWN); here it claims a wrong one.
        wrong = item.at_ms > 0 and not is_plausible(item.at_ms, now)
        if wrong and state.times_ok:
            text = f"{module.key} dates its records {item.at_ms} ms since 1970, which cannot be"
            data: dict[str, str | int | None] = {"said": item.at_ms}
            bodies.append(Event(now, "device_clock", "warning", text, module.key, data))
        if wrong or item.clock is not ItemClock.UNKNOWN:
            state.times_ok = not wrong
        if isinstance(item, Evt):
            return [*bodies, _event(module.key, item, dated.at)]
        try:
            return [*bodies, *self._readings(module, state, item, dated)]
        except Undecodable as error:
            # It can never be stored, and the module would send it, and nothing else, for ever.
            text = f"{module.key}: record {item.seq} was left out: {error}"
            return [*bodies, Event(now, "record_unstorable", "warning", text, module.key)]

    def _readings(self, module: C11Module, state: PushState, item: Rec, dated: Dated) -> list[Body]:
        """Raises Undecodable, and counts nothing, when the index does not fit 64 bits."""
        counter = copy(state.counter)
        total, step = _count(module.key, state, item.total, dated.at)
        try:
            for register in module.registers:
                if register.counting:
                    reached = index(module.start_index, total, module.weight, register.decimals)
                    to_scaled(reached, register.decimals)
            to_scaled(Decimal(max(total, item.total)), 0)
        except Undecodable:
            state.counter = counter
            raise
        window = self._windows.setdefault(module.key, RateWindow())
        stretch = window.advance(dated.at, total, Stretch(item.delta, item.period_s * 1000))
        measured = measure(module, item, time_ok=dated.time_ok, total=total, stretch=stretch)
        values = scale_all(module.registers, self._numbers.get(module.key, {}), measured)
        return [Readings(dated.at, values), *([step] if step else [])]


def _count(device: str, state: PushState, raw: int, at: int) -> tuple[int, Event | None]:
    """The unbroken total that a count stands for, and an event when the counter has jumped."""
    last = state.counter
    before = Count(last.raw, last.at, last.total) if last else None
    after, step = advance(before, raw, at, CounterRule())
    if last is None:
        state.counter = last = CounterState(after.raw, after.at_ms, after.total)
    if at < last.at:
        return raw + last.offset_at(at), None
    last.rebase(at, after.total - after.raw)
    last.raw, last.at, last.total = after.raw, after.at_ms, after.total
    if not step.change.notable:
        return after.total, None
    text = f"{device}: pulse total went from {step.old} to {step.new} ({step.change})"
    data: dict[str, str | int | None] = {"old": step.old, "new": step.new}
    return after.total, Event(at, f"counter_{step.change}", "warning", text, device, data)


def _event(device: str, item: Evt, at: int) -> Event:
    code, severity, words = EVENTS.get(item.code, (item.code.lower()[:48], "info", item.code))
    values = f" ({', '.join(item.values)})" if item.values else ""
    data: dict[str, str | int | None] = {"values": ",".join(item.values)} if item.values else {}
    return Event(at, code, severity, f"{device} {words}{values}", device, data)
