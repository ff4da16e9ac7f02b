"""What the records and events of a C11DO1ETH module become in the journal."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from msgspec.structs import replace

from common.errors import Undecodable
from common.messages.uplink import Body, Event, Readings
from common.reading import to_scaled
from edge_agent.drivers.c11do1eth import C11Module
from edge_agent.metering.counters import Change, Step
from edge_agent.metering.gas import ENERGY, Energy
from edge_agent.metering.meters import Installed, index_at, install, installed
from edge_agent.metering.pulses import RateWindow, Stretch, cut, measure
from edge_agent.metering.scaling import is_plausible, scale_all
from edge_agent.metering.tally import Sample, Tally
from edge_agent.protocols.c11do1eth import (
    Clock,
    EventCode,
    Evt,
    Reason,
    Rec,
    Timeline,
    Unreadable,
    is_undated,
    parse,
)
from edge_agent.store.counter_state import MOST_WAITING, PushState

Item = Rec | Evt | Unreadable
Data = dict[str, str | int | None]

EVENTS: dict[str, tuple[str, str, str]] = {
    EventCode.POWER_UP: ("power_up", "info", "was switched on"),
    EventCode.BROWN_OUT: ("brown_out", "warning", "had too low a supply voltage"),
    EventCode.LINE_BREAK: ("line_break", "alarm", "has a broken line to the meter"),
    EventCode.STUCK_INPUT: ("input_stuck", "warning", "has a pulse input that is stuck"),
    EventCode.RATE_EXCEEDED: ("rate_exceeded", "alarm", "counts faster than its limit"),
    EventCode.LEAK: ("leak", "alarm", "has a flow that does not stop: a leak?"),
    EventCode.STANDSTILL: ("standstill", "warning", "has counted nothing for long"),
    EventCode.CLOCK_STEP: ("clock_step", "info", "had its clock set"),
    EventCode.PRESET: ("counter_preset", "warning", "had its pulse total set"),
    EventCode.BACKLOG_OVERFLOW: ("backlog_overflow", "warning", "has lost its oldest records"),
    EventCode.OUTPUT_CHANGED: ("output_changed", "info", "has changed its output"),
}
"""A module's event code → the journal's code, severity and words."""

FINDINGS: dict[str, tuple[tuple[str, ...], str]] = {
    EventCode.LINE_BREAK: ((), "has its line to the meter again"),
    EventCode.STUCK_INPUT: (("closed_s",), "has a pulse input that moves again"),
    EventCode.RATE_EXCEEDED: (("rate_mhz", "limit_mhz"), "counts within its limit again"),
    EventCode.LEAK: (("flow_s",), "has had a pause in its flow"),
    EventCode.STANDSTILL: (("still_s",), "counts again"),
}
"""What begins and ends: the names of the values behind 1 or 0, and the words for its end."""

CLOCK_WENT_BACK_MS = 60_000
"""Stamps that are further ahead than this were given by a clock that has since been set. Full
rings of some modules, thousands of records that come at once, do not get so far ahead."""


@dataclass(frozen=True, slots=True)
class Dated:
    """An item and the time that it is stored under."""

    item: Rec | Evt
    at: int
    time_ok: bool


class Recorder:
    """One module's items, as entries. ``numbers``: of its registers, by key."""

    def __init__(self, module: C11Module, numbers: Mapping[str, int]) -> None:
        self._module = module
        self._numbers = numbers
        self._meter = installed(module.meter, module.start_total, module.start_index, module.weight)
        self._window = RateWindow()
        self._last_stamp = 0

    def take(self, state: PushState, items: Sequence[Item], now: int) -> list[Body]:
        """The entries for what is new; ``state`` is what it is after them.

        An item without a time waits in the state while what dates it may still come, and a count
        that fell while what came before it may. A PRESET waits only behind such a count: without
        it the counts behind it mean nothing.
        """
        timeline = Timeline(dict(state.known))
        new: list[Item] = []
        for item in items:
            if not isinstance(item, Unreadable):
                timeline.learn(item)
            if isinstance(item, Evt) and item.lost:
                state.lose(item.boot, *item.lost)
            again = isinstance(item, Rec) and item.reason is Reason.READ_BACK
            if again or state.take(item.boot, item.seq):
                new.append(item)
        learned = timeline.known.keys() - state.known.keys()
        bodies: list[Body] = []
        ready: list[Rec | Evt] = []
        for item in new:
            if isinstance(item, Unreadable):
                bodies.append(_unreadable(item, now))
                continue
            placed = timeline.place(item)
            at_once = item.reason is not Reason.BACKLOG if isinstance(item, Rec) else item.preset
            if not is_undated(placed):
                ready.append(placed)
            elif not at_once:
                state.undated = [*state.undated, _line(item)]
            elif not isinstance(item, Rec) or item.reason is not Reason.READ_BACK:
                ready.append(placed)
        if len(state.undated) + len(state.early) + len(ready) > MOST_WAITING:
            state.goal = 0
        if state.undated and (learned or state.floor >= state.goal):
            ready += _release(state, timeline)
        if timeline.known != state.known:
            state.learn(timeline.known)
        return bodies + self._write(state, ready, now)

    def give_up(self, state: PushState, now: int) -> list[Body]:
        """The entries for what has waited in vain; nothing is waited for until the next session."""
        state.goal = 0
        return self._write(state, _release(state, Timeline(dict(state.known))), now)

    def _write(self, state: PushState, items: list[Rec | Evt], now: int) -> list[Body]:
        """In the order of their numbers; what is early stays behind, and what counts after it."""
        first = _parsed(state.early[:1])
        if first and state.is_whole(first[0].seq):
            items = items + _parsed(state.early)
            first, state.early = [], []
        items.sort(key=lambda item: item.seq)
        bodies: list[Body] = []
        early: list[str] = []
        for item in items:
            behind = early or (first and item.seq > first[0].seq)
            if (behind or self._fell(state, item)) and _waits(state, item):
                early.append(_line(item))
            else:
                bodies += self._bodies(state, self._date(item, now), now)
        state.early = [*state.early, *early]
        return bodies

    def _fell(self, state: PushState, item: Rec | Evt) -> bool:
        """Whether a record is newer than the newest one and its count is lower. What the same
        device sends again under numbers that it gives anew may have been counted before."""
        newest = state.counter
        if newest is None or isinstance(item, Evt):
            return False
        newer = newest.other if newest.renewed else item.seq > newest.seq
        return newer and item.total < newest.raw - self._module.rule.jitter

    def _date(self, item: Rec | Evt, now: int) -> Dated:
        """The device's own time where it is plausible, else the gateway's, each of its own."""
        if is_plausible(item.at_ms, now):
            return Dated(item, item.at_ms, item.clock is not Clock.UNKNOWN)
        if now < self._last_stamp - CLOCK_WENT_BACK_MS:
            self._last_stamp = now
        else:
            self._last_stamp = max(now, self._last_stamp + 1)
        return Dated(item, self._last_stamp, time_ok=False)

    def _bodies(self, state: PushState, dated: Dated, now: int) -> list[Body]:
        bodies: list[Body] = []
        item, key = dated.item, self._module.key
        # A device that does not know its time says so (UNKNOWN); here it claims a wrong one.
        claims = item.clock is not Clock.UNKNOWN
        wrong = claims and item.at_ms > 0 and not is_plausible(item.at_ms, now)
        if wrong and state.times_ok:
            text = f"{key} dates its records {item.at_ms} ms since 1970, which cannot be"
            bodies.append(Event(now, "device_clock", "warning", text, key, {"said": item.at_ms}))
        if claims:
            state.times_ok = not wrong
        if isinstance(item, Evt):
            if item.preset and state.counter:
                state.counter.preset(item.seq, *item.preset)
            return [*bodies, _event(key, item, dated.at)]
        try:
            return [*bodies, *self._readings(state, item, dated)]
        except Undecodable as error:
            # It can never be stored, and the module would send it, and nothing else, for ever.
            text = f"{key}: record {item.seq} was left out: {error}"
            return [*bodies, Event(now, "record_unstorable", "warning", text, key, _raw(item))]

    def _readings(self, state: PushState, item: Rec, dated: Dated) -> list[Body]:
        """Raises Undecodable, and changes nothing, when the count or the index cannot be."""
        module = self._module
        tally, total, step = _count(state.counter, item, dated, module)
        late = step.change is Change.LATE
        meters = state.meters
        if not late or not meters:
            meters = install(meters, self._meter, tally.offset)
        reached = index_at(meters, total)
        energy = self._energy(state, dated.at, total, reached, late=late)
        derived = energy.index(total) if energy else None
        for register in module.registers:
            if register.counting:
                exact = derived if register.key == ENERGY and derived is not None else reached
                to_scaled(cut(exact, register.decimals), register.decimals)
        to_scaled(Decimal(max(total, item.total)), 0)
        bodies = _tell(module, tally, step, item, dated.at)
        if state.meters and meters[-1] != state.meters[-1]:
            bodies += _exchange(module.key, state.meters[-1], meters[-1], dated.at)
        state.counter, state.meters, state.energy = tally, meters, energy
        stretch = self._window.advance(dated.at, total, Stretch(item.delta, item.period_s * 1000))
        measured = measure(
            *(module, item),
            time_ok=dated.time_ok,
            reached=reached,
            energy=derived,
            stretch=stretch,
        )
        return [Readings(dated.at, scale_all(module.registers, self._numbers, measured)), *bodies]

    def _energy(
        self, state: PushState, at: int, total: int, reached: Fraction, *, late: bool
    ) -> Energy | None:
        gas, weight = self._module.gas, self._module.weight
        if gas is None:
            return None
        if state.energy is None:
            return Energy.begin(gas, at, total, reached, weight)
        energy = replace(state.energy)
        if not late:
            energy.advance(gas, at, total, weight)
        return energy


def _release(state: PushState, timeline: Timeline) -> list[Rec | Evt]:
    """What need not wait for its time any more: it is known, or nothing more can come."""
    placed = [timeline.place(item) for item in _parsed(state.undated)]
    if state.floor >= state.goal:
        state.undated = []
        return _estimate(placed, timeline)
    pairs = list(zip(state.undated, placed, strict=True))
    state.undated = [line for line, item in pairs if is_undated(item)]
    return [item for _, item in pairs if not is_undated(item)]


def _estimate(items: list[Rec | Evt], timeline: Timeline) -> list[Rec | Evt]:
    """Date what no synced item dates: a boot was over when the next one began, so that no index
    comes after a higher one. What has no later boot of known time stays without."""
    began = {boot: at_ms - uptime_ms for boot, (uptime_ms, at_ms) in timeline.known.items()}
    found = [item for item in items if not is_undated(item)]
    without: dict[int, list[Rec | Evt]] = {}
    for item in items:
        if is_undated(item):
            without.setdefault(item.boot, []).append(item)
    next_ms: int | None = None
    for boot in sorted({*began, *without}, reverse=True):
        own = without.get(boot, [])
        if own and next_ms is not None:
            next_ms = start_ms = next_ms - max(item.uptime_ms for item in own) - 1
            own = [_at(item, start_ms + item.uptime_ms) for item in own]
        next_ms = began.get(boot, next_ms)
        found += own
    return found


def _waits(state: PushState, item: Rec | Evt) -> bool:
    """Whether an item that counts must wait for those before it."""
    return (isinstance(item, Rec) or item.preset is not None) and not state.is_whole(item.seq)


def _line(item: Rec | Evt) -> str:
    return item.to_line()[:-2].decode("ascii")


def _parsed(lines: Sequence[str]) -> list[Rec | Evt]:
    items = (parse(line.encode("ascii")) for line in lines)
    return [item for item in items if isinstance(item, Rec | Evt)]


def _at(item: Rec | Evt, at_ms: int) -> Rec | Evt:
    return dataclasses.replace(item, at_ms=max(0, at_ms))


def _count(
    known: Tally | None, item: Rec, dated: Dated, module: C11Module
) -> tuple[Tally, int, Step]:
    """The tally after a record, the unbroken total that it stands for, and what it was."""
    at = dated.at if dated.time_ok else None
    sample = Sample(item.seq, item.boot, item.uptime_ms, item.total, at)
    if known is None:
        tally = Tally(item.total, item.total, at, item.seq, item.boot, item.uptime_ms)
        return tally, item.total, Step(Change.FIRST, 0, item.total, item.total)
    tally = replace(known)
    return tally, *tally.count(sample, module.rule)


def _tell(module: C11Module, tally: Tally, step: Step, item: Rec, at: int) -> list[Body]:
    """The event that a count is worth; that counts are implausible is told once, until they are
    plausible again."""
    change, data = step.change, {"old": step.old, "new": step.new}
    if change is Change.LATE and not module.rule.plausible(item.delta, item.period_s * 1000):
        change, data = Change.IMPLAUSIBLE, {"delta": item.delta, "period_s": item.period_s}
    if change is Change.IMPLAUSIBLE:
        if tally.fast:
            return []
        tally.fast = True
    elif change is Change.FORWARD:
        tally.fast = False
    if not change.notable:
        return []
    severity = "info" if change is Change.ROLLOVER else "warning"
    said = ", ".join(f"{name} {value}" for name, value in data.items())
    text = f"{module.key}: pulse total: {change} ({said})"
    return [Event(at, f"counter_{change}", severity, text, module.key, {**data})]


def _exchange(device: str, old: Installed, new: Installed, at: int) -> list[Body]:
    if (old.meter, old.start_total) == (new.meter, new.start_total):
        return []
    ended, began = (cut(one.index(new.since), 3) for one in (old, new))
    text = (
        f"{device}: meter {old.meter or '(no number)'} at {ended} is replaced by"
        f" {new.meter or '(no number)'} at {began}, from pulse {new.start_total} on"
    )
    data: Data = {"old": old.meter, "old_index": str(ended), "new": new.meter}
    data |= {"new_index": str(began), "total": new.start_total}
    return [Event(at, "meter_exchanged", "info", text, device, data)]


def _event(device: str, item: Evt, at: int) -> Event:
    code, severity, words = EVENTS.get(item.code, (item.code.lower()[:48], "info", item.code))
    data: Data = {"values": ",".join(item.values)} if item.values else {}
    if item.code in FINDINGS and item.values:
        names, over = FINDINGS[item.code]
        data |= dict(zip(names, item.values[1:], strict=False))
        if item.values[0] == "0":
            code, severity, words = f"{code}_over", "info", over
    values = f" ({', '.join(item.values)})" if item.values else ""
    return Event(at, code, severity, f"{device} {words}{values}", device, data)


def _unreadable(item: Unreadable, now: int) -> Event:
    text = f"{item.device}: record {item.seq} came whole and has no meaning: {item.why}"
    data: Data = {"seq": item.seq, "line": item.line}
    return Event(now, "record_unreadable", "warning", text[:2000], item.device, data)


def _raw(item: Rec) -> Data:
    return {"seq": item.seq, "line": _line(item)}
