"""The composition root: the only place that wires the agent's parts together."""

import asyncio
import contextlib
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from common import topics
from common.clock import Clock
from common.logs import events
from common.messages.uplink import Event, Hello
from common.mqtt import MqttSession, MqttSettings, Will
from edge_agent.collector import Collector, timetables
from edge_agent.commands import Commands
from edge_agent.config import Config
from edge_agent.device_state import DeviceStates
from edge_agent.devices import Devices, communication_server
from edge_agent.downlink import Downlink
from edge_agent.health import Health
from edge_agent.intake import Intake
from edge_agent.store.catalog import Numbers, number_registers
from edge_agent.store.database import Damaged, Database, StorageError, set_aside
from edge_agent.store.inbox import Inbox
from edge_agent.store.journal import Journal, Keeping
from edge_agent.store.retention import Retention
from edge_agent.store.salvage import NothingToSalvage, Wreck, salvage
from edge_agent.supervisor import Supervisor
from edge_agent.uplink import Pace, Uplink

DAY_MS = 86_400_000
RETENTION_S = 3600.0
GOODBYE_S = 1.0
DISK_S = 60.0
STOP_S = 3.0


class App:
    """All parts of an agent, wired and not yet running. Made by ``build``.

    For a time-lapse without a broker use ``collector.poll_once`` and ``intake`` directly.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        *,
        database: Database,
        journal: Journal,
        devices: Devices,
        numbers: Numbers,
        pace: Pace | None = None,
        wreck: Path | None = None,
    ) -> None:
        self.config = config
        self.database = database
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
        self._wreck = wreck
        self._clock = clock
        self._damaged = asyncio.Event()
        database.on_damage = self._damaged.set
        self._supervisor = Supervisor(clock, fatal=(Damaged,))
        if config.mqtt:
            self._connect(config.mqtt, pace)
        self._add_parts()

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Run all parts until ``stop`` is set or cancelled; then everything is closed.

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
            await self.close()

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

        uplink = self.uplink = Uplink(self.journal, publish, self._hello, self._clock, pace)
        health = self.health = Health(
            self.journal, self.states.all, publish_status, lambda: mqtt.connects, self._clock
        )
        self.states.on_change = health.changed
        downlink = Downlink(
            gateway,
            on_ack=uplink.on_ack,
            on_resume=uplink.on_resume,
            on_command=self.commands.receive,
        )
        status = topics.up(gateway, "status")
        mqtt = self.mqtt = MqttSession(
            settings,
            f"inmetter-{gateway}",
            clock=self._clock,
            subscriptions=[topics.down(gateway, leaf) for leaf in topics.DOWN],
            on_message=downlink.receive,
            on_connect=on_connect,
            will=lambda: Will(status, health.will(mqtt.connects + 1)),
            on_trouble=uplink.outage.note,
        )

    def _hello(self) -> Hello:
        gateway, journal = self.config.settings.gateway, self.journal
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
        add("commands", self.commands.run)
        add("retention", self._grow_old)
        if self._wreck:
            add("salvage", partial(self._salvage, self._wreck))
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


async def keep_running(config: Config, clock: Clock, stop: asyncio.Event) -> None:
    """An agent until ``stop`` is set. When its file is found damaged, it goes on with a new one.

    Raises Damaged when the new one is damaged within DISK_S: then it is the disk.
    """
    damaged_s: float | None = None
    while True:
        app = await build(config, clock)
        events.info("gateway %s: %d devices", config.settings.gateway.id, len(app.devices.all))
        try:
            return await app.run(stop)
        except Damaged as error:
            if damaged_s is not None and clock.monotonic() - damaged_s < DISK_S:
                raise
            damaged_s = clock.monotonic()
            events.error("%s", error)


async def build(config: Config, clock: Clock, pace: Pace | None = None) -> App:
    """An agent for the configuration: its file is open, its registers are numbered.

    Raises ConfigError; then nothing was started. A damaged file is set aside, with an alarm.
    """
    devices = Devices(config, clock)
    database, damage, aside = _open(config.database, clock)
    try:
        gateway = config.settings.gateway
        keeping = Keeping(gateway.keep_days, gateway.journal_bytes, gateway.overflow, gateway.thin)
        journal = await Journal.open(database, clock, keeping)
        numbers = await number_registers(journal, devices.described)
        now = clock.now_ms()
        text = f"edge agent {_version()} started"
        started = Event(now, "agent_started", "info", text, data={"boot": journal.boot})
        try:
            await journal.append(*([damage] if damage else []), started)
        except Damaged:
            raise
        except StorageError as error:
            events.error("%s; the disk does not take it: %s", text, error)
        return App(
            config,
            clock,
            database=database,
            journal=journal,
            devices=devices,
            numbers=numbers,
            pace=pace,
            wreck=aside,
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
