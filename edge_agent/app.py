"""The composition root: the only place that wires the agent's parts together."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from common import topics
from common.clock import Clock
from common.logs import events
from common.messages.downlink import Configuration, Resume
from common.messages.uplink import Event, Hello
from common.mqtt import MqttSession, MqttSettings, Will
from edge_agent.collector import Collector, timetables
from edge_agent.commands import Commands
from edge_agent.config import Config
from edge_agent.device_state import DeviceStates
from edge_agent.devices import Devices, communication_server
from edge_agent.downlink import Downlink
from edge_agent.gateway_clock import GatewayClock
from edge_agent.health import Health
from edge_agent.intake import Intake
from edge_agent.kernel import Kernel, unsynchronised
from edge_agent.store.catalog import Numbers, number_registers
from edge_agent.store.database import Damaged, Database, StorageError, set_aside
from edge_agent.store.inbox import Inbox
from edge_agent.store.journal import Journal, Keeping
from edge_agent.store.machine import settle_in
from edge_agent.store.retention import Retention
from edge_agent.store.salvage import NothingToSalvage, Wreck, salvage
from edge_agent.supervisor import Supervisor
from edge_agent.timekeeper import Timekeeper
from edge_agent.uplink import Pace, Uplink

DAY_MS = 86_400_000
RETENTION_S = 3600.0
GOODBYE_S = 1.0
STOP_S = 3.0


class App:
    """All parts of an agent, wired and not yet running. Made by ``build``.

    For a time-lapse without a broker use ``collector.poll_once`` and ``intake`` directly.
    """

    def __init__(
        self,
        config: Config,
        clock: GatewayClock,
        *,
        database: Database,
        journal: Journal,
        devices: Devices,
        numbers: Numbers,
        timekeeper: Timekeeper,
        pace: Pace | None = None,
        wreck: Path | None = None,
        machine: str = "",
    ) -> None:
        self.config = config
        self.machine = machine
        self.database = database
        gateway = config.settings.gateway
        journal.keeping = Keeping(
            *(gateway.keep_days, gateway.journal_bytes, gateway.overflow, gateway.thin),
            telegrams=config.settings.keep_telegrams,
        )
        self.journal = journal
        self.devices = devices
        self.states = DeviceStates(devices.all)
        self.collector = Collector(journal, numbers, self.states, clock)
        self.intake = Intake(journal, devices.modules, numbers, self.states, clock)
        self.inbox = Inbox(journal)
        self.commands = Commands(self.inbox, devices.all, numbers, clock)
        self.intake.on_session = self.commands.nudge
        self.server = communication_server(config, devices.modules, self.intake, clock)
        self.mqtt: MqttSession | None = None
        self.health: Health | None = None
        self.uplink: Uplink | None = None
        self.wreck = wreck
        self.cloud_heard = asyncio.Event()
        self.on_config: Callable[[Configuration], None] = lambda _: None
        self._clock = clock
        self.timekeeper = timekeeper
        self._greeted_s = clock.monotonic()
        self._damaged = asyncio.Event()
        database.on_damage = self._damaged.set
        self._supervisor = Supervisor(clock, fatal=(Damaged,))
        if config.mqtt:
            self._connect(config.mqtt, pace)
        self._add_parts()

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """As ``serve``; then everything is closed."""
        try:
            await self.serve(stop)
        finally:
            await self.close()

    async def serve(self, stop: asyncio.Event | None = None) -> None:
        """Run all parts until ``stop`` is set, or cancelled: then without a goodbye.

        Raises Damaged when the data file is found damaged: ``build`` then sets it aside.
        """
        running = asyncio.ensure_future(self._supervisor.run())
        stopping = asyncio.ensure_future((stop or asyncio.Event()).wait())
        damage = asyncio.ensure_future(self._damaged.wait())
        try:
            await asyncio.wait({running, stopping, damage}, return_when=asyncio.FIRST_COMPLETED)
            if damage.done():
                raise Damaged(
                    f"{self.database.path}: is damaged; it is set aside, and a new one is begun"
                )
            if running.done():
                running.result()
            elif self.health:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(GOODBYE_S):
                        await self.health.say_goodbye()
        finally:
            for task in (running, stopping, damage):
                task.cancel()
            # A part that does not obey must not keep the process from ending and starting anew.
            await asyncio.wait({running, stopping, damage}, timeout=STOP_S)

    @property
    def restarts(self) -> int:
        """How often a part died and was started again."""
        return self._supervisor.restarts

    async def close(self) -> None:
        """Hang up and close the file; what was written is on disk."""
        await self.devices.close()
        await asyncio.to_thread(self.database.close)

    def _connect(self, settings: MqttSettings, pace: Pace | None) -> None:
        """The parts that talk to the cloud."""
        gateway = self.config.settings.gateway.id

        async def publish(leaf: str, payload: bytes) -> None:
            await mqtt.publish(topics.up(gateway, leaf), payload, retain=leaf == "status")

        async def publish_status(payload: bytes) -> None:
            await publish("status", payload)

        async def on_connect() -> None:
            uplink.connected()
            health.changed()

        async def on_resume(resume: Resume) -> None:
            waited_s = self._clock.monotonic() - self._greeted_s
            if await self.timekeeper.hear(resume.at, waited_s):
                await uplink.on_resume(resume)
                self.cloud_heard.set()

        def on_config(message: Configuration) -> None:
            self.on_config(message)

        uplink = self.uplink = Uplink(
            self.journal,
            publish,
            self._hello,
            self._clock,
            pace,
            prepare=self.timekeeper.fixes.prepare,
            machine=self.machine,
        )
        health = self.health = Health(
            self.journal, self.states.all, publish_status, lambda: mqtt.connects, self._clock
        )
        self.states.on_change = health.changed
        downlink = Downlink(
            gateway,
            on_ack=uplink.on_ack,
            on_resume=on_resume,
            on_command=self.commands.receive,
            on_config=on_config,
        )
        status = topics.up(gateway, "status")
        mqtt = self.mqtt = MqttSession(
            settings,
            # With the computer's name in it, a copy of this gateway does not throw it out.
            "-".join(filter(None, ("inmetter", gateway, self.machine))),
            clock=self._clock,
            subscriptions=[topics.down(gateway, leaf) for leaf in topics.DOWN],
            on_message=downlink.receive,
            on_connect=on_connect,
            knows_date=lambda: self._clock.computer_knows_date,
            will=lambda: Will(status, health.will(mqtt.connects + 1)),
            on_trouble=uplink.outage.note,
        )

    def _hello(self) -> Hello:
        gateway, journal = self.config.settings.gateway, self.journal
        self._greeted_s = self._clock.monotonic()
        return Hello(
            stream=journal.stream,
            first_kept=journal.first_kept,
            next_seq=journal.next_seq,
            boot=journal.boot,
            session=self.mqtt.connects if self.mqtt else 0,
            name=gateway.name,
            site=gateway.site,
            site_name=gateway.site_name,
            timezone=gateway.timezone,
            agent=f"inmetter {_version()}",
            clock=self._clock.quality,
            machine=self.machine,
        )

    def _add_parts(self) -> None:
        add = self._supervisor.add
        for timetable, polls in timetables(self.devices.polled.values(), self._clock):
            for poll in polls:
                add(f"poll {poll.device.key}", partial(self.collector.run, poll, timetable))
        for key, module in self.devices.modules.items():
            add(f"watch {key}", partial(self.intake.run, module))
        if self.devices.modules:
            add("communication server", self.server.run)
        add("clock", self.timekeeper.run)
        add("commands", self.commands.run)
        add("retention", self._grow_old)
        if self.wreck:
            add("salvage", partial(self._salvage, self.wreck))
        if self.mqtt and self.uplink and self.health:
            add("uplink", self.uplink.run)
            add("health", self.health.run)
            add("mqtt", self.mqtt.run)

    async def _salvage(self, wreck: Path) -> None:
        """Queue what the damaged file still holds; then there is nothing more to do."""
        try:
            haul = await salvage(self.journal, wreck)
            events.warning("salvage: %d entries of %s are queued", haul.queued, wreck.name)
        except NothingToSalvage as error:
            events.error("salvage: %s", error)
        await asyncio.Event().wait()

    async def _grow_old(self) -> None:
        """Delete what is old each hour, and make room whenever the journal has grown."""
        keep_ms = self.config.settings.gateway.keep_days * DAY_MS
        retention = Retention(self.journal)
        old_at = self._clock.monotonic()
        while True:
            now = self._clock.now_ms()
            try:
                if self._clock.monotonic() >= old_at:
                    old_at = self._clock.monotonic() + RETENTION_S
                    await retention.prune(now - keep_ms)
                    await self.inbox.prune(now)
                await retention.make_room()
            except Damaged:
                raise
            except StorageError as error:
                events.error("retention: nothing old was deleted now: %s", error)
            await self._until_grown(old_at - self._clock.monotonic())

    async def _until_grown(self, seconds: float) -> None:
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        grown = asyncio.ensure_future(self.journal.grown.wait())
        try:
            await asyncio.wait({timer, grown}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            grown.cancel()


async def build(
    config: Config, clock: Clock, pace: Pace | None = None, *, kernel: Kernel | None = None
) -> App:
    """An agent for the configuration: its file is open, its registers are numbered.

    ``kernel`` says what ``clock`` is worth, and which computer this is; without it, that nobody
    keeps the clock right, and that the computer is unknown.
    Raises ConfigError; then nothing was started. A damaged file is set aside, with an alarm.
    """
    kernel = kernel or unsynchronised()
    own = GatewayClock(clock, kernel.synchronised)
    devices = Devices(config, own)
    database, damage, aside = _open(config.database, clock)
    try:
        journal = await Journal.open(database, own)
        timekeeper = await Timekeeper.open(journal, own, kernel.boot)
        numbers = await number_registers(journal, devices.described)
        now = own.now_ms()
        text = f"edge agent {_version()} started"
        started = Event(now, "agent_started", "info", text, data={"boot": journal.boot})
        try:
            moved = await settle_in(journal, kernel.machine, now)
            await journal.append(*(event for event in (damage, moved) if event), started)
        except Damaged:
            raise
        except StorageError as error:
            events.error("%s; the disk does not take it: %s", text, error)
        return App(
            config,
            own,
            database=database,
            journal=journal,
            devices=devices,
            numbers=numbers,
            timekeeper=timekeeper,
            pace=pace,
            wreck=aside,
            machine=kernel.machine,
        )
    except BaseException:
        database.close()
        raise


def _open(path: Path, clock: Clock) -> tuple[Database, Event | None, Path | None]:
    """The file; and where it was damaged, what is said of it, and where the old one is."""
    try:
        return Database(path), None, None
    except Damaged as error:
        now = clock.now_ms()
        aside = set_aside(path, now)
        text = f"the data file was damaged and is kept as {aside.name}; a new one was begun"
        events.error("%s: %s", error, text)
        data: dict[str, str | int | None] = {"aside": aside.name}
        with contextlib.suppress(NothingToSalvage):
            data["stream"] = Wreck(aside).stream
        told = Event(now, "journal_damaged", "alarm", f"{text} ({error})", data=data)
        return Database(path), told, aside


def _version() -> str:
    try:
        return version("inmetter")
    except PackageNotFoundError:
        return "unknown"
