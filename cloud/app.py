"""Puts the cloud together: which parts run in this process, and what they share."""

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Iterator, Sequence
from functools import partial

import uvicorn

from cloud.config import Config
from cloud.services import metrics
from cloud.services.figures import DatabaseFigures, connections
from cloud.services.metrics import Family
from cloud.services.rules import sync_rules
from cloud.services.store import Store
from cloud.storage.migrations import is_current, migrate
from cloud.workers import figures
from cloud.workers.dispatch import DispatchWorker
from cloud.workers.ingest import IngestWorker
from cloud.workers.outward import OutwardWorker
from cloud.workers.patience import patiently
from cloud.workers.upkeep import Upkeep
from common.clock import Clock, SystemClock
from common.errors import ConfigError, Unreachable
from common.logs import events
from common.mqtt import MqttSession

STOP_S = 5
SWITCH_S = 0.0005
"""How long a thread may keep the others waiting: a page that is built must not hold up a commit."""


def settle() -> None:
    """What is there once a program has started stays: the collector looks at it no more, which
    would hold up an answer by 50 ms now and then."""
    gc.collect()
    gc.freeze()


class WebServer(uvicorn.Server):
    """uvicorn in a loop that has other work too: signals are ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


class App:
    """The roles of one process, over one store. ``run`` lasts until ``stop``."""

    def __init__(self, config: Config, roles: Sequence[str], clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._roles = roles
        settings = config.settings
        self._stop = asyncio.Event()
        open_store = partial(Store, config.database_url, on_retry=metrics.transaction_retried)
        self.store = open_store(pool_size=settings.database.pool_size)
        # A store of its own: ingest forgets what it knows whenever its store connects anew,
        # and the web's store does so at every peak.
        self._ingest_store = open_store(pool_size=1)
        self._of_database = DatabaseFigures(self.store, self._clock)
        self._dispatch = DispatchWorker(self.store, settings.mqtt, self._clock)
        self._ingest = IngestWorker(
            self._ingest_store,
            settings.mqtt,
            self._clock,
            group=settings.ingest.group,
            register_gateways=settings.ingest.register_gateways,
            keep_messages=settings.retention.messages_days > 0,
            keep_telegrams=settings.retention.telegrams_days > 0,
            on_work=self._dispatch.wake,
        )
        self._outward: OutwardWorker | None = None
        if "outward" in roles:
            if settings.outward is None:
                raise ConfigError("outward: there is no such section in the configuration")
            broker = settings.outward.mqtt or settings.mqtt
            self._outward = OutwardWorker(self.store, settings.outward, broker, self._clock)

    async def prepare(self) -> bool:
        """The database's structure, and the rules of the file. Waits while the database is away;
        False when ``stop`` comes first. Raises Permanent."""
        preparing = asyncio.create_task(
            patiently(self._prepare, self._clock, "waits for the database", "the database is there")
        )
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait([preparing, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not preparing.done():
            preparing.cancel()
            return False
        preparing.result()
        return True

    def _prepare(self) -> None:
        config = self._config
        if config.migrate:
            migrate(config.database_url)
        elif not is_current(config.database_url):
            raise ConfigError("the database's structure is not this version's: run migrate")
        if "ingest" in self._roles:
            sync_rules(self.store, config.settings.rule, self._clock.now_ms())

    async def run(self) -> None:
        """All roles, until ``stop`` or the end of one of them."""
        parts = {
            "web": self._serve_web,
            "ingest": self._ingest.run,
            "dispatch": self._dispatch.run,
            "upkeep": Upkeep(self.store, self._clock, self._config.settings.retention).run,
        }
        if self._outward:
            parts["outward"] = self._outward.run
        tasks = [asyncio.create_task(parts[role](), name=role) for role in self._roles]
        stopped = asyncio.create_task(self._stop.wait())
        settle()
        events.info("running: %s", ", ".join(self._roles))
        try:
            await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
            self._stop.set()
            ended = [task for task in tasks if task.done()]
        finally:
            await self._finish(tasks)
            self.store.close()
            self._ingest_store.close()
        for task in ended:
            task.result()

    def stop(self) -> None:
        """End ``run``, cleanly. In the event loop."""
        self._stop.set()

    async def _finish(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """The web server closes its connections by itself; the workers are just cancelled."""
        for task in tasks:
            if task.get_name() != "web":
                task.cancel()
        await asyncio.wait(tasks, timeout=STOP_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve_web(self) -> None:
        from cloud.api.app import create_api
        from cloud.api.rate import Rate
        from cloud.dashboard import mount

        config, web = self._config, self._config.settings.web
        checks = [self._check_broker] if {"ingest", "dispatch"} & set(self._roles) else []
        api = create_api(
            self.store,
            clock=self._clock,
            dispatcher=self._dispatch,
            checks=checks,
            figures=self.figures,
            rate=Rate(web.requests_per_s, web.requests_at_once),
        )
        mount(
            api,
            self.store,
            clock=self._clock,
            dispatcher=self._dispatch,
            storage_secret=config.storage_secret,
            sessions=config.sessions,
        )
        server = WebServer(
            uvicorn.Config(
                api,
                host=web.host,
                port=web.port,
                log_level="warning",
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=2,
            )
        )
        settle()
        events.info("web: http://%s:%d", web.host, web.port)
        serving = asyncio.create_task(self._serve(server, web.port))
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        server.should_exit = True
        await serving

    async def _serve(self, server: WebServer, port: int) -> None:
        try:
            await server.serve()
        except SystemExit as error:
            # uvicorn's way to say that it cannot listen, after having logged why.
            raise ConfigError(f"web.port: cannot listen on port {port}") from error

    @property
    def _sessions(self) -> dict[str, MqttSession]:
        """Those with the broker, by role."""
        sessions = {"ingest": self._ingest.session, "dispatch": self._dispatch.session}
        if self._outward:
            sessions["outward"] = self._outward.session
        return {role: session for role, session in sessions.items() if role in self._roles}

    def figures(self) -> list[Family]:
        """How this process is doing, for Prometheus. From any thread."""
        stores = {"shared": self.store}
        found = figures.connections(self._sessions)
        if "web" in self._roles:  # one role asks what is the same for all
            found += self._of_database.families()
        if "ingest" in self._roles:
            stores["ingest"] = self._ingest_store
            found += figures.held(self._ingest.held)
        return found + connections(stores)

    def _check_broker(self) -> None:
        for role, session in self._sessions.items():
            if role != "outward" and not session.connected:
                raise Unreachable(f"{role} has no connection to the MQTT broker")


async def run(config: Config, roles: Sequence[str], metrics_port: int | None = None) -> None:
    """Run ``roles`` until SIGTERM or SIGINT; meanwhile ``metrics_port`` of this machine answers
    with the metrics of the process. Raises InMetterError."""
    sys.setswitchinterval(SWITCH_S)
    app = App(config, roles)
    if metrics_port is not None:
        metrics.serve(metrics_port, app.figures)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.stop)
    if await app.prepare():
        await app.run()
    events.info("stopped")
