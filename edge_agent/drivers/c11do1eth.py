"""The communication server: takes the connections of C11DO1ETH modules and what they send."""

import asyncio
import ssl
from collections.abc import Mapping

from common.clock import Clock
from common.logs import events
from edge_agent.drivers.c11do1eth_module import C11Module, Output, Periods
from edge_agent.drivers.c11do1eth_session import Counters, Limits, Peer, RecordSink, Session

__all__ = [
    "C11Module",
    "CommunicationServer",
    "Counters",
    "Limits",
    "Output",
    "Periods",
    "RecordSink",
]


class CommunicationServer:
    """Listens for modules; what they record goes to ``sink``, and only then is acknowledged.

    ``modules``: the configured devices by key; nobody else gets in. Port 0 takes a free one.
    Plain TCP unless ``tls`` is given: without it the lines can be read and altered on their way.
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
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.counters = Counters()
        self._address = (host, port)
        self._peers = {key: Peer(module) for key, module in modules.items()}
        self._sink = sink
        self._clock = clock
        self._limits = limits or Limits()
        self._tls = tls
        self._sessions: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Future[int] | None = None

    @property
    def connections(self) -> int:
        """How many connections are open, in a session or not yet."""
        return len(self._sessions)

    async def listening(self) -> int:
        """Waits until connections are taken; gives the port."""
        if self._listening is None:
            self._listening = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._listening)

    async def run(self) -> None:
        """Serve until cancelled; then every connection is closed. OSError: cannot listen."""
        host, port = self._address
        server = await asyncio.start_server(
            self._connected, host, port, limit=Limits.READ_BYTES, ssl=self._tls
        )
        try:
            port = server.sockets[0].getsockname()[1]
            if self._listening is None or self._listening.done():
                self._listening = asyncio.get_running_loop().create_future()
            self._listening.set_result(port)
            events.info("communication server listens on %s:%d", host, port)
            await server.serve_forever()
        finally:
            self._listening = None
            server.close()
            for task in self._sessions:
                task.cancel()
            await asyncio.gather(*self._sessions, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._sessions) >= self._limits.connections:
            self.counters.refused_full += 1
            writer.transport.abort()
            return
        self.counters.accepted += 1
        session = Session(
            reader,
            writer,
            peers=self._peers,
            sink=self._sink,
            clock=self._clock,
            limits=self._limits,
            counters=self.counters,
        )
        task = asyncio.ensure_future(session.run())
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)
