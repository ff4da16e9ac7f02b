"""Each device asked once over the wire: neighbours on a line one after another, lines at once."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from common.clock import SystemClock
from common.errors import InMetterError, Unreachable
from edge_agent.cli.modules import absence, listening
from edge_agent.collector import Poll
from edge_agent.config import Config
from edge_agent.devices import Devices
from edge_agent.drivers.base import Device, Sample
from edge_agent.drivers.budget import Budget


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one device said, or why it did not."""

    device: Device
    sample: Sample | None = None
    error: str = ""


INTERRUPTED = "interrupted before it had answered"


class Once:
    """The devices of a configuration. Raises ConfigError for what cannot be made.

    ``wait_s`` is for modules, which connect to us.
    """

    def __init__(self, config: Config, wait_s: float) -> None:
        self._config = config
        self._wait_s = wait_s
        self._clock = SystemClock()
        self._devices = Devices(config, self._clock)
        self._outcomes: dict[str, Outcome] = {}
        self._heard: Callable[[Outcome], None] = lambda _: None

    @property
    def keys(self) -> list[str]:
        """Of all devices, in the order of the configuration."""
        return list(self._devices.all)

    def outcomes(self, keys: Sequence[str]) -> list[Outcome]:
        """Of each of ``keys``, in their order, also when ``read`` was interrupted."""
        every = self._devices.all
        return [self._outcomes.get(key) or Outcome(every[key], error=INTERRUPTED) for key in keys]

    async def read(self, keys: Sequence[str], heard: Callable[[Outcome], None]) -> None:
        """Ask each of ``keys``; ``heard`` is told of each outcome as it comes.

        To be called once: the lines are closed afterwards.
        """
        self._heard = heard
        lines: dict[str, list[Poll]] = {}
        for key in keys:
            if poll := self._devices.polled.get(key):
                lines.setdefault(poll.line, []).append(poll)
        try:
            async with asyncio.TaskGroup() as group:
                for polls in lines.values():
                    group.create_task(self._poll(polls))
                if modules := [key for key in keys if key in self._devices.modules]:
                    group.create_task(self._listen(modules))
        finally:
            await self._devices.close()

    def _take(self, outcome: Outcome) -> None:
        self._outcomes[outcome.device.key] = outcome
        self._heard(outcome)

    async def _poll(self, polls: Sequence[Poll]) -> None:
        for poll in polls:
            try:
                sample = await Budget(poll.budget_s, self._clock).spend(poll.device.read())
            except InMetterError as error:
                self._take(Outcome(poll.device, error=str(error)))
            else:
                self._take(Outcome(poll.device, sample))

    async def _listen(self, keys: Sequence[str]) -> None:
        """Wait until each of the modules has connected and sent a record."""
        reason = absence(self._config, self._wait_s)
        try:
            async with (
                listening(self._config, self._devices, self._clock) as listener,
                asyncio.TaskGroup() as group,
            ):
                for key in keys:
                    group.create_task(self._hear(key, listener.samples[key], reason))
        except* Unreachable as errors:
            for key in keys:
                module = self._devices.modules[key]
                self._take(Outcome(module, error=str(errors.exceptions[0])))

    async def _hear(self, key: str, first: asyncio.Future[Sample], reason: str) -> None:
        module = self._devices.modules[key]
        try:
            async with asyncio.timeout(self._wait_s):
                self._take(Outcome(module, await first))
        except TimeoutError:
            self._take(Outcome(module, error=reason))
