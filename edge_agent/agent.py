"""The agent under one configuration after the other, over one journal that stays open.

A configuration from the cloud is checked, compared with the one that runs, kept, and tried: within
the trial the cloud must be heard again, and every device that answered before and is still there.
Otherwise the one before runs again. Whatever changes, database and journal are never closed.
"""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from common.clock import Clock
from common.errors import ConfigError, InMetterError
from common.logs import events
from common.messages.downlink import Configuration
from common.messages.uplink import DeviceStatus, Event
from edge_agent import pushed
from edge_agent.app import App, build
from edge_agent.config import Config
from edge_agent.device_state import OK
from edge_agent.devices import Devices
from edge_agent.differences import differences
from edge_agent.kernel import Kernel
from edge_agent.pushed import Kept, Pushed
from edge_agent.store.catalog import number_registers
from edge_agent.store.database import Damaged, StorageError
from edge_agent.uplink import Pace

LOOK_S = 0.2
"""How often a trial is looked at."""


DISK_S = 60.0
"""When a new file is damaged within so long, another one would not help."""


class Agent:
    """What ``app`` is at any time is what runs. Made by ``open_agent``."""

    def __init__(self, app: App, kept: Kept, pace: Pace | None = None) -> None:
        self.app = app
        self.kept = kept
        self._clock = app.timekeeper.clock
        self._pace = pace
        self._arrived: Configuration | None = None
        self._news = asyncio.Event()
        self._before = app.config
        self._changes = ""
        self._answered: set[str] = set()
        self._adopt(app)

    async def take_note(self, news: Sequence[Event]) -> None:
        """Keep, and tell, what was decided at the start."""
        await self._keep(self.kept)
        for event in news:
            await self._say(event)

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Until ``stop`` is set or cancelled; then everything is closed. Raises Damaged."""
        stop = stop or asyncio.Event()
        try:
            while change := await self._serve(stop):
                await self._change(change)
        finally:
            await self.app.close()

    async def _serve(self, stop: asyncio.Event) -> Config | None:
        """Run the present app. Returns what is to run instead; None when all is to end."""
        serving = asyncio.ensure_future(self.app.serve(stop))
        changing = asyncio.ensure_future(self._until_changed())
        try:
            await asyncio.wait({serving, changing}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
                return None
            return changing.result()
        finally:
            serving.cancel()
            changing.cancel()
            await asyncio.gather(serving, changing, return_exceptions=True)

    async def _change(self, config: Config) -> None:
        """Make another configuration's app of what runs no more."""
        await self.app.devices.close()
        try:
            app = await self._assemble(config)
        except InMetterError as error:
            if self.kept.candidate is None:
                raise
            app = await self._assemble(await self._roll_back(str(error)))
        if app.mqtt and self.app.mqtt:
            # Connections go on being counted: the cloud takes a smaller number for an older one.
            app.mqtt.connects = self.app.mqtt.connects
        self.app = app
        self._adopt(app)
        events.info("gateway %s: %s runs", app.config.settings.gateway.id, app.config.name)

    async def _assemble(self, config: Config) -> App:
        database, journal = self.app.database, self.app.journal
        devices = Devices(config, self._clock)
        return App(
            config,
            self._clock,
            database=database,
            journal=journal,
            devices=devices,
            numbers=await number_registers(journal, devices.described),
            timekeeper=self.app.timekeeper,
            pace=self._pace,
            machine=self.app.machine,
            wreck=self.app.wreck,
        )

    def _adopt(self, app: App) -> None:
        app.on_config = self._receive
        self._report()

    def _report(self) -> None:
        if self.app.health:
            self.app.health.config = self.kept.status
            self.app.health.changed()

    def _receive(self, message: Configuration) -> None:
        """One has come. It waits for the end of a trial; of several the newest is enough."""
        if self._arrived is None or message.version >= self._arrived.version:
            self._arrived = message
            self._news.set()

    async def _until_changed(self) -> Config:
        """Waits for what is to run instead of the present configuration."""
        if self.kept.candidate:
            reason = await self._try()
            if reason:
                return await self._roll_back(reason)
            await self._accept(self.kept.candidate, self._changes)
        while True:
            await self._news.wait()
            self._news.clear()
            message, self._arrived = self._arrived, None
            if message and message.version > self.kept.newest:
                config = await self._consider(Pushed(message.version, message.toml))
                if config:
                    return config

    async def _consider(self, one: Pushed) -> Config | None:
        """The configuration, if it is to be tried; kept by then."""
        present = self.app.config
        try:
            config = await asyncio.to_thread(pushed.admit, one, present, self._clock)
        except ConfigError as error:
            await self._keep(self.kept.refuse(one.version, str(error)))
            await self._say(pushed.refused(self._clock, one.version, str(error)))
            return None
        changes = differences(present.settings, config.settings)
        if not changes:
            await self._accept(one, "it says what ran already")
            return None
        kept = msgspec.structs.replace(self.kept, candidate=one)
        if not await self._save(kept):
            return None  # as if it had not come: the cloud sends it again
        self.kept = kept
        self._before, self._changes = present, "; ".join(changes)
        self._answered = {one.key for one in self.app.states.all() if one.state == OK}
        await self._say(pushed.on_trial(self._clock, one.version, self._changes))
        return config

    async def _accept(self, one: Pushed, changes: str) -> None:
        """It is the last good one from now on."""
        await self._keep(msgspec.structs.replace(self.kept, good=one, candidate=None))
        await self._say(pushed.applied(self._clock, one.version, changes))

    async def _roll_back(self, reason: str) -> Config:
        """What ran before the trial."""
        assert self.kept.candidate  # noqa: S101  (there is nothing else to roll back)
        version = self.kept.candidate.version
        await self._keep(self.kept.refuse(version, reason))
        await self._say(pushed.rolled_back(self._clock, version, reason))
        return self._before

    async def _try(self) -> str:
        """Empty as soon as the trial is passed; else, when its time is over, why it is not."""
        trial_s = self._before.settings.gateway.config_trial_s
        until = self._clock.monotonic() + trial_s
        while missing := list(self._missing()):
            if self._clock.monotonic() >= until:
                return f"within {trial_s:g} s {'; '.join(missing)}"
            await self._clock.sleep(LOOK_S)
        return ""

    def _missing(self) -> Iterator[str]:
        """What the trial still waits for."""
        if not self.app.cloud_heard.is_set():
            yield "the cloud was not heard"
        for device in self.app.states.all():
            if device.key in self._answered and device.state != OK:
                yield _silence(device)

    async def _keep(self, kept: Kept) -> None:
        """From now on; and over a restart, if the disk takes it."""
        self.kept = kept
        self._report()
        await self._save(kept)

    async def _save(self, kept: Kept) -> bool:
        try:
            await asyncio.to_thread(pushed.save_kept, self.app.config, kept)
        except OSError as error:
            events.error("%s cannot be written down: %s", pushed.FILE, error)
            return False
        return True

    async def _say(self, event: Event) -> None:
        (events.info if event.severity == "info" else events.warning)("%s", event.text)
        try:
            await self.app.journal.append(event)
        except Damaged:
            raise
        except StorageError as error:
            events.error("the disk does not take it: %s", error)


def _silence(device: DeviceStatus) -> str:
    return f"{device.key} did not answer" + (f" ({device.error})" if device.error else "")


async def open_agent(
    path: Path, clock: Clock, pace: Pace | None = None, *, kernel: Kernel | None = None
) -> Agent:
    """The agent of the gateway whose own file is at ``path``. Takes and raises as ``build``."""
    start = await asyncio.to_thread(pushed.decide, path, clock)
    app = await build(start.config, clock, pace, kernel=kernel)
    agent = Agent(app, start.kept, pace)
    if start.news:
        await agent.take_note(start.news)
    return agent


async def keep_running(
    path: Path, clock: Clock, stop: asyncio.Event, kernel: Kernel | None = None
) -> None:
    """An agent until ``stop`` is set. When its file is found damaged, it goes on with a new one.

    Raises Damaged when the new one is damaged within DISK_S: then it is the disk.
    """
    damaged_s: float | None = None
    while True:
        agent = await open_agent(path, clock, kernel=kernel)
        config, devices = agent.app.config, len(agent.app.devices.all)
        gateway = config.settings.gateway.id
        events.info("gateway %s: %s, %d devices", gateway, config.name, devices)
        try:
            await agent.run(stop)
        except Damaged as error:
            if damaged_s is not None and clock.monotonic() - damaged_s < DISK_S:
                raise
            damaged_s = clock.monotonic()
            events.error("%s", error)
        else:
            events.info("gateway %s: stopped", gateway)
            return
