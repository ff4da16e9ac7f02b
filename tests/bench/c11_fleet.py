"""A fleet of C11DO1ETH modules in one process, light enough to load a server that has a core.

``python -m tests.bench.c11_fleet PORT CONFIG MODULES RECORDS PERIOD_S WINDOW_S``: each module
connects with the configuration CONFIG and RECORDS in its ring. Prints one JSON object a line:
"connected" when all are, "replayed" when all rings are acknowledged; and with PERIOD_S, after
WINDOW_S of a record each PERIOD_S, "reported".
"""

import asyncio
import json
import sys
import time

from edge_agent.protocols.c11do1eth import Auth, Cause, Clock, Hello, Pong, Reason, Rec, prove

SECRET = b"bench-key-bench-key-bench-key-00"
BATCH = 20
CONNECTING = 100
"""Modules that connect at the same time; the others wait, as they would in a back-off."""


def key(number: int) -> str:
    return f"module-{number:04}"


def make_record(device: str, seq: int, at_ms: int, reason: Reason = Reason.BACKLOG) -> Rec:
    cause = Cause.NO_LINK if reason is Reason.BACKLOG else Cause.NONE
    return Rec(
        *(device, seq, 1, at_ms, Clock.SYNCED, 60_000 * seq, 60, 100_000 + 3 * seq, 3, 0, 0, 50),
        *(reason, cause),
    )


class Module(asyncio.Protocol):
    """Says HELLO, proves its key, sends its ring 20 at a time, and then what it is told to."""

    def __init__(self, device: str, config: int, records: int, now_ms: int) -> None:
        self.device = device
        self.config = config
        self.acked = 0
        self.last = records
        self.welcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.drained: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent_at: dict[int, float] = {}
        self.settled = asyncio.Event()
        self.took_s: list[float] = []
        self.cut = 0
        self._sent = 0
        begun_ms = now_ms - 60_000 * (records + 10)
        self._ring = [
            make_record(device, seq, begun_ms + 60_000 * seq).to_line()
            for seq in range(1, records + 1)
        ]
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        hello = Hello(self.device, 1, "C11DO1ETH", "bench", 1, self.last, 1, self.config)
        transport.write(hello.to_line())

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        for line in lines:
            self._hear(line)

    def connection_lost(self, exc: Exception | None) -> None:
        self.cut += 1
        self._transport = None

    def report(self, at_ms: int) -> None:
        """One live record, now."""
        self.last += 1
        self.settled.clear()
        self.sent_at[self.last] = time.perf_counter()
        self._write(make_record(self.device, self.last, at_ms, Reason.TIMED).to_line())

    def _hear(self, line: bytes) -> None:
        _, _, kind, number, value = line[:-5].split(b",", 4)
        if kind == b"ACK":
            self.acked = int(number)
            if (sent := self.sent_at.pop(self.acked, None)) is not None:
                self.took_s.append(time.perf_counter() - sent)
                self.settled.set()
            if self.acked >= self._sent:
                self._send_some()
        elif kind == b"CHAL":
            proof = prove(SECRET, self.device, bytes.fromhex(value.decode()), 1)
            self._write(Auth(self.device, proof).to_line())
        elif kind == b"WELC":
            self.welcome.set_result(None)
            self._send_some()
        elif kind == b"PING":
            self._write(Pong(self.device, 0).to_line())
        else:
            raise AssertionError(line)

    def _send_some(self) -> None:
        batch = self._ring[self._sent : self._sent + BATCH]
        if batch:
            self._sent += len(batch)
            self._write(b"".join(batch))
        elif self.acked >= len(self._ring) and not self.drained.done():
            self.drained.set_result(None)

    def _write(self, data: bytes) -> None:
        assert self._transport is not None, f"{self.device} was cut off"
        self._transport.write(data)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def main(
    port: int, config: int, count: int, records: int, *, period_s: float, window_s: float
) -> None:
    modules = [Module(key(number), config, records, now_ms()) for number in range(count)]
    places = asyncio.Semaphore(CONNECTING)

    async def connect(module: Module) -> None:
        async with places:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: module, "127.0.0.1", port)
            await module.welcome

    begun = time.perf_counter()
    await asyncio.gather(*map(connect, modules))
    say(event="connected", seconds=time.perf_counter() - begun)
    await asyncio.gather(*(module.drained for module in modules))
    say(event="replayed", seconds=time.perf_counter() - begun)
    if period_s:
        await _report(modules, period_s, window_s)
        took = sorted(one for module in modules for one in module.took_s)
        reporting = sum(
            not module.cut and module.acked == module.last and bool(module.took_s)
            for module in modules
        )
        p99 = took[int(0.99 * len(took))]
        say(event="reported", modules=reporting, acknowledged=len(took), ack_p99_ms=p99 * 1000)
    await asyncio.Event().wait()


async def _report(modules: list[Module], period_s: float, window_s: float) -> None:
    """Each module once a period, evenly spread, for the window and until all is acknowledged."""
    loop = asyncio.get_running_loop()
    begun, number = loop.time(), 0
    while (due := number * period_s / len(modules)) < window_s:
        wake: asyncio.Future[None] = loop.create_future()
        loop.call_at(begun + due, wake.set_result, None)
        await wake
        modules[number % len(modules)].report(now_ms())
        number += 1
    async with asyncio.timeout(30):
        await asyncio.gather(*(module.settled.wait() for module in modules))


def say(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    period, window = map(float, sys.argv[5:7])
    asyncio.run(main(*map(int, sys.argv[1:5]), period_s=period, window_s=window))
