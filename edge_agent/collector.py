"""Polls the devices that have to be asked, each on its own clock-aligned schedule."""

from collections.abc import Sequence
from typing import Protocol

from common.clock import Clock
from common.errors import InMetterError
from common.logs import events
from common.messages.uplink import Body, Event, Readings
from edge_agent.device_state import DeviceStates
from edge_agent.drivers.base import Device, Polled, Sample
from edge_agent.metering.scaling import is_plausible, scale_all
from edge_agent.store.catalog import Numbers
from edge_agent.store.insist import insist
from edge_agent.store.journal import Journal

LONGEST_BACK_OFF_S = 300


class PolledDevice(Device, Polled, Protocol):
    """A device that is asked."""


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

    async def run(self, device: PolledDevice, interval_s: float, offset_s: float = 0.0) -> None:
        """Read now, then whenever the clock is at a multiple of ``interval_s`` plus ``offset_s``.

        A failing device is asked less and less often, at least every LONGEST_BACK_OFF_S.
        """
        while True:
            await self.poll_once(device)
            failures = self._states[device.key].failures
            await self._clock.sleep(self._until_next(interval_s, offset_s, failures))

    async def poll_once(self, device: PolledDevice) -> Sample | None:
        """One poll, its readings and events durable on return; None when the device failed."""
        try:
            sample = await device.read()
        except InMetterError as error:
            now = self._clock.now_ms()
            events.debug("device %s: %s", device.key, error)
            event = self._states.failed(device.key, now, f"{device.key}: {error}")
            if event:
                await self._store([event])
            return None
        await self._store(self._bodies(device, sample))
        return sample

    def _bodies(self, device: PolledDevice, sample: Sample) -> Sequence[Body]:
        now = self._clock.now_ms()
        time_ok = is_plausible(sample.at_ms, now)
        at = sample.at_ms if time_ok else now
        numbers = self._numbers.get(device.key, {})
        values = scale_all(device.registers, numbers, sample.measured, time_ok=time_ok)
        bodies: list[Body] = [Readings(at, values)] if values else []
        if not time_ok and device.key not in self._misdated:
            bodies.append(misdated(device.key, sample.at_ms, now))
            self._misdated.add(device.key)
        elif time_ok:
            self._misdated.discard(device.key)
        event = self._states.ok(device.key, now)
        return [*bodies, event] if event else bodies

    async def _store(self, bodies: Sequence[Body]) -> None:
        if bodies:
            await insist(lambda: self._journal.append(*bodies), self._clock, "journal")

    def _until_next(self, interval_s: float, offset_s: float, failures: int) -> float:
        """Seconds from now to the next poll."""
        now_s = self._clock.now_ms() / 1000
        wait_s = 0.0
        if failures:
            longest_s = max(interval_s, LONGEST_BACK_OFF_S)
            wait_s = min(longest_s, interval_s * 2.0 ** (min(failures, 20) - 1)) - interval_s
        earliest_s = now_s + wait_s - offset_s
        due_s = (earliest_s // interval_s + 1) * interval_s + offset_s
        # A poll that ran a little before its time must not run twice.
        if wait_s == 0 and due_s - now_s < interval_s * 0.05:
            due_s += interval_s
        return due_s - now_s


def misdated(device: str, at_ms: int, now_ms: int) -> Event:
    """The event that says that a device's clock is wrong."""
    text = f"{device} dates its readings {at_ms} ms since 1970; the gateway's time is taken"
    return Event(now_ms, "device_clock", "warning", text, device, {"said": at_ms})
