"""Polls the devices that have to be asked, each when its line's timetable says so."""

import contextlib
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from common.clock import Clock
from common.errors import InMetterError, Unreachable
from common.logs import events
from common.messages.uplink import Body, Event, Readings
from edge_agent.device_state import DeviceStates
from edge_agent.drivers.base import Device, KeepsTelegrams, Polled, Sample
from edge_agent.drivers.budget import Budget
from edge_agent.metering.scaling import is_plausible, known, scale_all
from edge_agent.store.catalog import Numbers
from edge_agent.store.insist import insist
from edge_agent.store.journal import Journal
from edge_agent.timetable import Timetable

CLEARING_S = 0.4
"""What it takes, at most, to have a line as it should be again after a poll without an answer."""

BESIDES_S = CLEARING_S + 0.1
"""What one try without an answer costs a line besides the time-out."""

SPREAD_S = 2.0
"""The lines begin within so long, or within their shortest interval: near the instant, but not
all at once."""


class PolledDevice(Device, Polled, Protocol):
    """A device that is asked."""


@dataclass(frozen=True, slots=True)
class Poll:
    """A device that is asked: over which line, how often, and what that may cost the line.

    ``try_s`` is how long the line is busy with one request that nobody answers, ``budget_s`` what
    a poll may take in all. ``clear_line`` makes the line ready for the next device after a poll
    that failed; it raises Retryable.
    """

    device: PolledDevice
    line: str
    interval_s: float
    try_s: float
    budget_s: float
    clear_line: Callable[[], Coroutine[None, None, None]]


class Collector:
    """Reads devices and appends what they say to the journal. Knows nothing of the uplink."""

    def __init__(
        self,
        journal: Journal,
        numbers: Numbers,
        states: DeviceStates,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._numbers = numbers
        self._states = states
        self._clock = clock
        self._misdated: set[str] = set()

    async def run(self, poll: Poll, timetable: Timetable) -> None:
        """Read now, then whenever it is the device's turn. An expected error is never fatal."""
        device = poll.device
        while True:
            async with timetable.turn(device.key) as place:
                outcome = await self._within_budget(poll)
                if isinstance(outcome, Sample):
                    place.answered()
                else:
                    place.unreachable = isinstance(outcome, Unreachable)
            await self._tell(device, outcome)
            if event := timetable.news():
                await self._store([event])

    async def poll_once(self, device: PolledDevice) -> Sample | None:
        """One poll, its readings and events durable on return; None when the device failed."""
        try:
            outcome: Sample | InMetterError = await device.read()
        except InMetterError as error:
            outcome = error
        await self._tell(device, outcome)
        return outcome if isinstance(outcome, Sample) else None

    async def _within_budget(self, poll: Poll) -> Sample | InMetterError:
        """One poll. A device that fails also has what it leaves behind on the line cleared away:
        in its own time, not in that of the next one."""
        clearing_s = min(CLEARING_S, poll.budget_s / 2)
        try:
            return await Budget(poll.budget_s - clearing_s, self._clock).spend(poll.device.read())
        except Unreachable as error:
            return error
        except InMetterError as error:
            with contextlib.suppress(InMetterError):
                await Budget(clearing_s, self._clock).spend(poll.clear_line())
            return error

    async def _tell(self, device: PolledDevice, outcome: Sample | InMetterError) -> None:
        telegrams = device.take_telegrams() if isinstance(device, KeepsTelegrams) else []
        if isinstance(outcome, Sample):
            await self._store([*self._bodies(device, outcome), *telegrams])
            return
        events.debug("device %s: %s", device.key, outcome)
        now = self._clock.now_ms()
        event = self._states.failed(device.key, now, f"{device.key}: {outcome}")
        await self._store([event, *telegrams] if event else telegrams)

    def _bodies(self, device: PolledDevice, sample: Sample) -> Sequence[Body]:
        now = self._clock.now_ms()
        time_ok = is_plausible(sample.at_ms, now)
        # A clock that does not know the time has dated the sample well enough to be dated later.
        at = sample.at_ms if time_ok or not known(max(now, sample.at_ms)) else now
        numbers = self._numbers.get(device.key, {})
        values = scale_all(device.registers, numbers, sample.measured, time_ok=time_ok)
        bodies: list[Body] = [Readings(at, values)] if values else []
        if not time_ok and known(now) and device.key not in self._misdated:
            bodies.append(misdated(device.key, sample.at_ms, now))
            self._misdated.add(device.key)
        elif time_ok:
            self._misdated.discard(device.key)
        event = self._states.ok(device.key, now)
        return [*bodies, event] if event else bodies

    async def _store(self, bodies: Sequence[Body]) -> None:
        if bodies:
            await insist(lambda: self._journal.append(*bodies), self._clock, "journal")


def timetables(polls: Iterable[Poll], clock: Clock) -> list[tuple[Timetable, list[Poll]]]:
    """A timetable for each line, with the polls of its devices. Lines go on at the same time, but
    do not begin at the same instant."""
    by_line: dict[str, list[Poll]] = {}
    for poll in polls:
        by_line.setdefault(poll.line, []).append(poll)
    found = []
    for number, (line, its) in enumerate(by_line.items()):
        intervals_s = {poll.device.key: poll.interval_s for poll in its}
        phase_s = number * min(SPREAD_S, *intervals_s.values()) / len(by_line)
        try_s = max(poll.try_s for poll in its)
        found.append((Timetable(line, intervals_s, clock, try_s=try_s, phase_s=phase_s), its))
    return found


def misdated(device: str, at_ms: int, now_ms: int) -> Event:
    """The event that says that a device's clock is wrong."""
    text = f"{device} dates its readings {at_ms} ms since 1970; the gateway's time is taken"
    return Event(now_ms, "device_clock", "warning", text, device, {"said": at_ms})
