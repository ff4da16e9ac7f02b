"""Takes what C11DO1ETH modules push: stores it, once, and says up to where it is stored."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from common.clock import Clock
from common.errors import NotFound, Refused, Retryable
from common.logs import events
from common.messages.uplink import Body, Event
from edge_agent.device_state import DeviceStates
from edge_agent.drivers.c11do1eth import C11Module
from edge_agent.metering.scaling import known
from edge_agent.protocols.c11do1eth import Hello
from edge_agent.records import Item, Recorder
from edge_agent.store.catalog import Numbers
from edge_agent.store.counter_state import PushState, load, save
from edge_agent.store.journal import Journal
from edge_agent.store.tail import Transaction

SHORTEST_SILENCE_S = 30

STORING = 32
"""Modules whose records are in the journal's queue at once, and are committed together. Many more
would keep commands and polled readings waiting while a fleet sends its backlog."""

PATIENCE_MS = 86_400_000
"""What has not come so long after a session began does not come soon: records that wait for it,
to be dated or counted, are stored as they are."""

RESYNC_MS = 43_200_000
"""A clock that is set so often never counts as held over (docs/devices/c11do1eth.md, "clock")."""

STEP_MS = 2000
"""By so much our own clock is not off by itself: it was set."""


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
        self._recorders = {
            key: Recorder(module, numbers.get(key, {})) for key, module in modules.items()
        }
        self._states = states
        self._clock = clock
        self._storing = asyncio.Semaphore(STORING)
        self._awake = {key: asyncio.Event() for key in modules}
        # Version and boot: each is told once a boot, to whoever took it and to who did not.
        self._differing: dict[str, tuple[int, int]] = {}
        self._told: dict[str, tuple[int, int]] = {}
        self._began: dict[str, float] = {}
        self.on_session: Callable[[str], None] | None = None

    async def run(self, module: C11Module) -> None:
        """Watch one module: silent for three of its periods, and not connected, it is failing.

        One whose configuration has another version than ours is given ours; one whose session
        lasts has its clock set now and then, and when ours has been.
        """
        silence_s = max(3 * module.periods.push_s, SHORTEST_SILENCE_S)
        synced_s = heard_s = self._clock.monotonic()
        ahead_ms = self._clock.now_ms() - synced_s * 1000
        last_ok_at: int | None = None
        self._began.setdefault(module.key, synced_s)
        gave_up_s = -1.0
        while True:
            await self._pause(module.key, silence_s / 3)
            now, now_s = self._clock.now_ms(), self._clock.monotonic()
            was_set = abs(now - now_s * 1000 - ahead_ms) > STEP_MS
            due = was_set or (now_s - synced_s) * 1000 >= RESYNC_MS
            if due and module.connected and known(now):
                synced_s, ahead_ms = now_s, now - now_s * 1000
                await self._synchronise(module)
            if module.key in self._differing and module.connected:
                await self._configure(module)
            # Silence is told by the time that passes: our clock may be set meanwhile.
            if last_ok_at != (last_ok_at := self._states[module.key].last_ok_at):
                ago_s = (now - (last_ok_at or now)) / 1000
                heard_s = now_s - min(max(ago_s, 0.0), silence_s / 3)
            event = None
            if module.connected:
                event = self._states.ok(module.key, now)
            elif now_s - heard_s >= silence_s:
                event = self._states.failed(module.key, now, f"{module.key}: not connected")
            if event:
                await self._journal.append(event)
            session_s = self._began[module.key]
            if (now_s - session_s) * 1000 >= PATIENCE_MS and gave_up_s != session_s:
                await self._give_up(module.key, now)
                gave_up_s = session_s

    async def resume(self, device: str, hello: Hello) -> int:
        """A session begins: the highest contiguous stored number. Raises StorageError."""
        module = self._known(device)

        def work(transaction: Transaction) -> int:
            state = load(transaction.connection, device) or PushState(0)
            if state.begins_anew(hello.boot, hello.last):
                # What comes now cannot tell what waits of the numbers before.
                self._release(transaction, state, device, self._clock.now_ms())
            floor = state.resume(hello.boot, hello.oldest, hello.last)
            save(transaction.connection, device, state)
            return floor

        floor = await self._journal.write(work)
        self._began[device] = self._clock.monotonic()
        event = self._states.ok(device, self._clock.now_ms())
        if event:
            await self._journal.append(event)
        wanted = (module.periods.version, hello.boot)
        differs = module.setup is not None and hello.config != module.periods.version
        self._differing.pop(device, None)
        if differs and self._told.get(device) != wanted:
            self._differing[device] = wanted
            self._awake[device].set()
        if self.on_session:
            self.on_session(device)
        return floor

    async def store(self, device: str, items: Sequence[Item]) -> int:
        """Append what is new, with the counter's state, in one transaction.

        Returns the highest contiguous stored number once it is durable. Raises StorageError.
        """
        self._known(device)
        now = self._clock.now_ms()
        recovered = self._states.ok(device, now)

        def work(transaction: Transaction) -> int:
            state = load(transaction.connection, device)
            if state is None:
                state = PushState(min(item.seq for item in items) - 1)
            bodies: list[Body] = [recovered] if recovered else []
            bodies += self._recorders[device].take(state, items, now)
            if bodies:
                transaction.append(*bodies)
            save(transaction.connection, device, state)
            return state.floor

        async with self._storing:
            return await self._journal.write(work)

    def _known(self, device: str) -> C11Module:
        if device not in self._modules:
            raise NotFound(f"device {device} is not configured")
        return self._modules[device]

    async def _configure(self, module: C11Module) -> None:
        """Give the module its settings, and say so. What breaks off is tried again."""
        assert module.setup is not None  # noqa: S101  (resume has looked)
        wanted = self._differing[module.key]
        try:
            refused = await module.configure(module.setup, module.periods.version)
        except Retryable as error:
            events.info("device %s: has not got its settings: %s", module.key, error)
            return
        said = ", ".join(str(directive) for directive in module.setup.directives())
        text = f"{module.key} was given its settings: {said}"
        event = Event(self._clock.now_ms(), "settings_applied", "info", text, module.key)
        if refused:
            text = f"{module.key} has not taken all of its settings: {'; '.join(refused)}"
            now = self._clock.now_ms()
            event = Event(now, "settings_refused", "warning", text[:2000], module.key)
        await self._journal.append(event)
        self._told[module.key] = wanted
        if self._differing.get(module.key) == wanted:
            del self._differing[module.key]

    async def _synchronise(self, module: C11Module) -> None:
        try:
            await module.sync_time()
        except (Retryable, Refused) as error:
            events.info("device %s: its clock is not set: %s", module.key, error)

    async def _give_up(self, device: str, now: int) -> None:
        def work(transaction: Transaction) -> None:
            state = load(transaction.connection, device)
            if state is not None:
                self._release(transaction, state, device, now)
                save(transaction.connection, device, state)

        await self._journal.write(work)

    def _release(self, transaction: Transaction, state: PushState, device: str, now: int) -> None:
        if bodies := self._recorders[device].give_up(state, now):
            transaction.append(*bodies)

    async def _pause(self, device: str, seconds: float) -> None:
        """So long, or until the module is to be given its settings."""
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        awake = asyncio.ensure_future(self._awake[device].wait())
        try:
            await asyncio.wait({timer, awake}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            awake.cancel()
            self._awake[device].clear()
