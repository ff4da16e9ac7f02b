"""The communication server: takes the connections of C11DO1ETH modules and what they send."""

import asyncio
import resource
from collections.abc import Callable, Mapping

from common.clock import Clock
from common.logs import events
from edge_agent.drivers.c11do1eth_introduction import Caller, Verdict
from edge_agent.drivers.c11do1eth_limits import Bucket, Counters, Limits, Room
from edge_agent.drivers.c11do1eth_module import C11Module, Output, Periods
from edge_agent.drivers.c11do1eth_session import Item, Peer, RecordSink, Session
from edge_agent.drivers.c11do1eth_wire import Wire
from edge_agent.drivers.tls import ServerCertificate, TlsServer

__all__ = [
    "C11Module",
    "Caller",
    "CommunicationServer",
    "Counters",
    "Item",
    "Limits",
    "Output",
    "Periods",
    "RecordSink",
    "ServerCertificate",
    "Verdict",
]

ACCEPTED_AT_ONCE = 32
"""Connections that are accepted before those that are there have their turn."""

WAITING = 4096
"""Connections that may wait in the kernel: a whole fleet comes back at once after an outage."""

SWEEP_S = 1.0

OTHER_FILES = 128
"""Files and sockets that the process needs for everything else."""


class CommunicationServer:
    """Listens for modules; what they record goes to ``sink``, and only then is acknowledged.

    ``modules``: the configured devices by key; nobody else gets in. Port 0 takes a free one.
    Plain TCP unless ``certificate`` is given: without it the lines can be read and altered on
    their way. ``on_caller``, if set, hears of each module that has introduced itself.
    """

    def __init__(
        self,
        host: str,
        port: int,
        modules: Mapping[str, C11Module],
        sink: RecordSink,
        clock: Clock,
        *,
        limits: Limits | None = None,
        certificate: ServerCertificate | None = None,
    ) -> None:
        self.counters = Counters()
        self.on_caller: Callable[[Caller], None] | None = None
        self._address = (host, port)
        self._peers = {key: Peer(module) for key, module in modules.items()}
        self._sink = sink
        self._clock = clock
        self._limits = limits or Limits()
        self._certificate = certificate
        self._room: Room[Session] = Room(self._limits)
        self._strangers = Bucket(20, 1, clock.monotonic())
        self._listening: asyncio.Future[int] | None = None

    @property
    def connections(self) -> int:
        """How many connections are open, in a session or not yet."""
        return len(self._room)

    async def listening(self) -> int:
        """Waits until connections are taken; gives the port."""
        if self._listening is None:
            self._listening = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._listening)

    async def run(self) -> None:
        """Serve until cancelled; then every connection is closed. OSError: cannot listen."""
        host, port = self._address
        _allow_files(self._limits.connections + OTHER_FILES)
        buffer = bytearray(Limits.READ_BYTES)
        server = await asyncio.get_running_loop().create_server(
            lambda: self._wire(buffer), host, port, backlog=ACCEPTED_AT_ONCE
        )
        try:
            for one in server.sockets:
                with one.dup() as listener:
                    listener.listen(WAITING)
            port = server.sockets[0].getsockname()[1]
            if self._listening is None or self._listening.done():
                self._listening = asyncio.get_running_loop().create_future()
            self._listening.set_result(port)
            events.info("communication server listens on %s:%d", host, port)
            await self._sweep()
        finally:
            self._listening = None
            server.close()
            ended = [session.end("the server stops") for session in self._room.everyone()]
            await asyncio.gather(*filter(None, ended), return_exceptions=True)

    async def _sweep(self) -> None:
        """Tell every session the time, again and again."""
        every_s = min(SWEEP_S, self._limits.handshake_s / 4, self._limits.idle_s / 4)
        while True:
            await self._clock.sleep(every_s)
            now = self._clock.monotonic()
            for session in self._room.everyone():
                session.sweep(now)

    def _wire(self, buffer: bytearray) -> Wire:
        tls = TlsServer(self._certificate.context()) if self._certificate else None
        return Wire(buffer, tls, self._connected)

    def _connected(self, wire: Wire) -> Session | None:
        if self._listening is None:
            return None  # it was accepted while the server stopped
        session = Session(
            wire,
            peers=self._peers,
            sink=self._sink,
            clock=self._clock,
            limits=self._limits,
            counters=self.counters,
            on_name=self._room.name,
            on_proof=self._room.prove,
            on_end=self._room.leave,
            on_caller=self._called,
            log_stranger=self._log_stranger,
        )
        welcome, crowded_out = self._room.enter(session, wire.origin)
        if crowded_out:
            self.counters.crowded_out += 1
            crowded_out.end("had to make way for others")
        if not welcome:
            self.counters.refused_full += 1
            return None
        self.counters.accepted += 1
        return session

    def _log_stranger(self, text: str) -> None:
        """A flood of strangers must not fill the log."""
        if self._strangers.take(self._clock.monotonic()):
            events.info("%s", text)

    def _called(self, caller: Caller) -> None:
        if caller.verdict is Verdict.WRONG_KEY and self._strangers.take(self._clock.monotonic()):
            events.warning("device %s: wrong key, from %s", caller.device, caller.address)
        if self.on_caller:
            self.on_caller(caller)


def _allow_files(files: int) -> None:
    """Let the process have so many files open, as far as it may decide that itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < files:
        events.warning(
            "only %d files may be open, and %d may be needed: see LimitNOFILE", most, files
        )
