"""One poller per process: reads what open pages watch, and hands each page what there is."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from nicegui import Client

from cloud.dashboard.lifeline import under_way
from cloud.services import commands, events, gateways, metering, outputs
from cloud.services.store import Store
from cloud.services.views import CommandView, EventView, GatewayView, LatestView, OutputView
from common import logs
from common.clock import Clock

PERIOD_S = 1.0
COMMAND_PERIOD_S = 0.3
EVENTS = 100
COMMANDS = 20


@dataclass(frozen=True, slots=True)
class Watch:
    """What a page wants to see; alarms are always among it."""

    registers: frozenset[int] = frozenset()
    gateways: bool = False
    outputs: bool = False
    events: bool = False
    commands_of: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the database said at ``now_ms``; parts that nobody watches are empty."""

    now_ms: int
    alarms: list[EventView]
    latest: dict[int, LatestView] = field(default_factory=dict)
    gateways: list[GatewayView] = field(default_factory=list)
    outputs: list[OutputView] = field(default_factory=list)
    events: list[EventView] = field(default_factory=list)
    commands: dict[int, list[CommandView]] = field(default_factory=dict)


Show = Callable[[Snapshot], None]
Warn = Callable[[bool], None]


@dataclass(frozen=True, slots=True)
class _Page:
    client: Client
    watch: Watch
    show: Show
    warn: Warn

    @property
    def open(self) -> bool:
        return self.client.has_socket_connection and not self.client.is_deleted


class Live:
    """Polls while pages are open: once a second, faster while a command is under way.

    A page gets only what differs sent to its browser, since its parts compare before they change.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._pages: dict[str, _Page] = {}
        self._now = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    @property
    def pages(self) -> int:
        """How many pages are attached."""
        return len(self._pages)

    def attach(self, client: Client, watch: Watch, show: Show, warn: Warn) -> None:
        """Call ``show`` in the page's context with every snapshot, until the page is gone.

        ``warn`` is told whether the database is away. Attaching again replaces what was watched.
        """
        if client.id not in self._pages:
            client.on_delete(lambda: self._pages.pop(client.id, None))
        self._pages[client.id] = _Page(client, watch, show, warn)
        self.hurry()

    def hurry(self) -> None:
        """Look now; something has just been done."""
        self._now.set()

    async def start(self) -> None:
        self._task = asyncio.create_task(self.run(), name="dashboard live")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def run(self) -> None:
        """Look, show, wait; a failure is logged once, and the next look is made all the same."""
        pause = PERIOD_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause if self._pages else None):
                    await self._now.wait()
            self._now.clear()
            try:
                pause = await self.look()
                self._warn(False)
            except Exception as error:  # noqa: BLE001 the outermost loop: pages must go on
                if not self._failing:
                    logs.events.warning("dashboard: cannot read: %s", error)
                self._warn(True)

    async def look(self) -> float:
        """Read once and show it to every page; the seconds until the next look."""
        watches = [page.watch for page in self._pages.values()]
        snapshot = await asyncio.to_thread(self._read, watches)
        for page in list(self._pages.values()):
            if page.open:
                with page.client:
                    page.show(snapshot)
        busy = any(
            one.last_command is not None and under_way(one.last_command) for one in snapshot.outputs
        )
        return COMMAND_PERIOD_S if busy else PERIOD_S

    def _warn(self, failing: bool) -> None:
        if failing != self._failing:
            self._failing = failing
            for page in list(self._pages.values()):
                if page.open:
                    page.warn(failing)

    def _read(self, watches: Iterable[Watch]) -> Snapshot:
        store, now_ms = self._store, self._clock.now_ms()
        watches = list(watches)
        registers = sorted(set().union(*(watch.registers for watch in watches)))
        commanded = {w.commands_of for w in watches if w.commands_of is not None}
        return Snapshot(
            now_ms=now_ms,
            alarms=list(events.alarms(store, EVENTS)),
            latest=metering.latest(store, registers, now_ms) if registers else {},
            gateways=(
                list(gateways.gateways(store, now_ms)) if any(w.gateways for w in watches) else []
            ),
            outputs=(
                list(outputs.outputs(store, now_ms)) if any(w.outputs for w in watches) else []
            ),
            events=list(events.recent(store, EVENTS)) if any(w.events for w in watches) else [],
            commands={r: list(commands.recent(store, r, COMMANDS)) for r in commanded},
        )
