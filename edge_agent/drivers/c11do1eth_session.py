"""One connection to the communication server: handshake, records in, acknowledgements out."""

import asyncio
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NoReturn, Protocol

from common.clock import Clock
from common.errors import InMetterError, Unreachable
from common.logs import events, frames, wire
from edge_agent.drivers.c11do1eth_module import C11Module
from edge_agent.protocols.c11do1eth import (
    FROM_DEVICE,
    Ack,
    Auth,
    BadLine,
    Chal,
    Evt,
    Frame,
    Hello,
    LineBuffer,
    Nak,
    NakCode,
    Ping,
    Pong,
    Rec,
    Rsp,
    Timeline,
    Welc,
    is_proof,
)

VERSION = 1


class RecordSink(Protocol):
    """Where records go. Both calls may be cancelled; what they then did is asked again.

    ``resume``: at the start of each session, the highest contiguous committed sequence number.
    What is below ``hello.oldest`` the device has no more: it is committed or lost for ever, so
    the answer is at least ``hello.oldest - 1``; and at most ``hello.last``.
    ``store``: returns after a durable commit, with the highest contiguous committed number.
    Items may come again, and newer ones before older ones: (device, boot, seq) names one.
    The numbers in an event's ``lost`` are gone for ever and count as committed, or the
    acknowledgement would stop before them.
    Both raise an InMetterError when they cannot; then nothing is acknowledged.
    """

    async def resume(self, device: str, hello: Hello) -> int: ...

    async def store(self, device: str, items: Sequence[Rec | Evt]) -> int: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may do.

    ``burst`` lines at once and ``lines_per_s`` for long, counted per device over its connections;
    the burst is a full ring. ``strange_lines`` before the proof. ``group``: items a commit.
    """

    READ_BYTES: ClassVar[int] = 4096
    UNSENT_BYTES: ClassVar[int] = 65536

    connections: int = 256
    handshake_s: float = 10.0
    idle_s: float = 120.0
    strange_lines: int = 8
    burst: int = 4096
    lines_per_s: float = 50.0
    group: int = 50


@dataclass(slots=True)
class Counters:
    """What the server has seen since it was made."""

    accepted: int = 0
    sessions: int = 0
    refused_full: int = 0
    refused_unknown: int = 0
    refused_key: int = 0
    refused_rate: int = 0
    refused_protocol: int = 0
    handshake_timeouts: int = 0
    idle_timeouts: int = 0
    replaced: int = 0
    crc_errors: int = 0
    malformed: int = 0
    items: int = 0
    undated: int = 0
    groups: int = 0
    store_failures: int = 0


class Bucket:
    """Lines that may still come: ``burst`` at most, filled up at ``per_s``."""

    def __init__(self, burst: float, per_s: float, now: float) -> None:
        self._burst = self._left = burst
        self._per_s = per_s
        self._at = now

    def take(self, now: float) -> bool:
        """Whether one more line is within the limit."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(slots=True)
class Peer:
    """What the server keeps of a configured module from one session to the next."""

    module: C11Module
    timeline: Timeline = field(default_factory=Timeline)
    bucket: Bucket | None = None
    session: "Session | None" = None


class _Over(Exception):
    """The connection ends; the text says why."""


class Session:
    """A connection from its first byte to its end. ``run`` returns when it is over."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        peers: dict[str, Peer],
        sink: RecordSink,
        clock: Clock,
        limits: Limits,
        counters: Counters,
    ) -> None:
        self._peers = peers
        self._sink = sink
        self._clock = clock
        self._limits = limits
        self._counters = counters
        self._reader = reader
        self._writer = writer
        self._buffer = LineBuffer()
        self._arrived: asyncio.Queue[Rec | Evt] = asyncio.Queue(2 * limits.group)
        self._heard = clock.monotonic()
        self._bucket = Bucket(limits.strange_lines, 0, self._heard)
        self._open = False
        self._name = "-"
        self._replaced = asyncio.Event()

    async def run(self) -> None:
        """Serve the connection. Only a programming error gets out."""
        client: socket.socket = self._writer.get_extra_info("socket")
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch())
                tasks.create_task(self._make_way())
                tasks.create_task(self._serve(tasks))
        except* _Over as ends:
            events.info("device %s: %s", self._name, ends.exceptions[0])
        except* (OSError, Unreachable) as ends:
            events.info("device %s: connection lost: %s", self._name, ends.exceptions[0])
        finally:
            self._leave()

    def send(self, frame: Frame) -> None:
        """Send without waiting; Unreachable when the connection is going down."""
        transport = self._writer.transport
        if transport.is_closing():
            raise Unreachable(f"device {self._name} has no session")
        line = frame.to_line()
        wire.debug("%s < %s", self._name, line.hex())
        frames.debug("%s < %s", self._name, frame)
        self._writer.write(line)
        if transport.get_write_buffer_size() > Limits.UNSENT_BYTES:
            transport.abort()

    def make_way(self) -> None:
        """End this session, because the device has begun another."""
        self._replaced.set()

    async def _serve(self, tasks: asyncio.TaskGroup) -> None:
        peer = await self._handshake()
        tasks.create_task(self._store())
        while True:
            frame = await self._next()
            if frame.device != self._name:
                self._refuse(NakCode.UNKNOWN, "sent another device's name")
            if isinstance(frame, Rec | Evt):
                item = peer.timeline.place(frame)
                self._counters.undated += not item.at_ms
                await self._arrived.put(item)
            elif isinstance(frame, Rsp):
                if not peer.module.settle(frame):
                    events.info("device %s: late answer to %s", self._name, frame.command)
            elif isinstance(frame, Ping):
                self.send(Pong(self._name, self._clock.now_ms()))
            elif not isinstance(frame, Pong):
                self._counters.malformed += 1
                self.send(Nak(self._name, 0, NakCode.MALFORMED))

    async def _handshake(self) -> Peer:
        hello = await self._next()
        if not isinstance(hello, Hello) or hello.version != VERSION:
            self._refuse(NakCode.MALFORMED, f"expected HELLO of version {VERSION}")
        self._name = hello.device
        peer = self._peers.get(hello.device)
        if peer is None:
            self._counters.refused_unknown += 1
            self._refuse(NakCode.UNKNOWN, "unknown device")
        nonce = secrets.token_bytes(16)
        self.send(Chal(self._name, nonce))
        auth = await self._next()
        if not isinstance(auth, Auth):
            self._refuse(NakCode.MALFORMED, "expected AUTH")
        secret = peer.module.secret
        if not is_proof(auth.proof, secret, self._name, nonce, hello.boot) or (
            auth.device != self._name
        ):
            self._counters.refused_key += 1
            events.warning("device %s: wrong key", self._name)
            self._refuse(NakCode.KEY, "wrong key")
        await self._take_over(peer, hello)
        return peer

    async def _take_over(self, peer: Peer, hello: Hello) -> None:
        """Become the device's one session, and welcome it."""
        if peer.session is not None:
            self._counters.replaced += 1
            peer.session.make_way()
            peer.module.detach(peer.session)
        peer.session = self
        if peer.bucket is None:
            now = self._clock.monotonic()
            peer.bucket = Bucket(self._limits.burst, self._limits.lines_per_s, now)
        self._bucket = peer.bucket
        try:
            committed = await self._sink.resume(self._name, hello)
        except InMetterError as error:
            self._counters.store_failures += 1
            raise _Over(f"storage cannot resume: {error}") from error
        periods = peer.module.periods
        self.send(
            Welc(
                self._name,
                self._clock.now_ms(),
                committed,
                periods.push_s,
                periods.log_s,
                periods.delta,
                periods.version,
            )
        )
        self._open = True
        self._counters.sessions += 1
        peer.module.attach(self)
        events.info("device %s: session, boot %d, to %d", self._name, hello.boot, hello.last)

    async def _next(self) -> Frame:
        """The next good frame of a device; bad lines are answered and counted on the way."""
        while True:
            try:
                frame = self._buffer.next_frame()
            except BadLine as bad:
                self._pay()
                self._refuse_line(bad)
                continue
            if frame is None:
                data = await self._reader.read(Limits.READ_BYTES)
                if not data:
                    await self._arrived.join()
                    raise _Over("hung up")
                wire.debug("%s > %s", self._name, data.hex())
                self._buffer.receive(data)
                continue
            self._pay()
            if not isinstance(frame, FROM_DEVICE):
                self._refuse_line(BadLine(NakCode.MALFORMED, "a server's frame"))
                continue
            frames.debug("%s > %s", self._name, frame)
            self._heard = self._clock.monotonic()
            return frame

    def _pay(self) -> None:
        if not self._bucket.take(self._clock.monotonic()):
            self._counters.refused_rate += 1
            self._refuse(NakCode.RATE, "too many lines")

    def _refuse_line(self, bad: BadLine) -> None:
        if bad.code is NakCode.CRC:
            self._counters.crc_errors += 1
        else:
            self._counters.malformed += 1
        events.info("device %s: bad line: %s", self._name, bad)
        self.send(Nak(self._name, bad.seq, bad.code))

    def _refuse(self, code: NakCode, why: str) -> NoReturn:
        if code is NakCode.MALFORMED or (code is NakCode.UNKNOWN and self._open):
            self._counters.refused_protocol += 1
        self.send(Nak(self._name, 0, code))
        raise _Over(why)

    async def _store(self) -> None:
        """Commit what has arrived as one group, then acknowledge it."""
        while True:
            items = [await self._arrived.get()]
            while len(items) < self._limits.group and not self._arrived.empty():
                items.append(self._arrived.get_nowait())
            try:
                committed = await self._sink.store(self._name, items)
            except InMetterError as error:
                self._counters.store_failures += 1
                raise _Over(f"storage failed: {error}") from error
            self._counters.items += len(items)
            self._counters.groups += 1
            if not self._writer.transport.is_closing():
                self.send(Ack(self._name, committed, len(items)))
            for _ in items:
                self._arrived.task_done()

    async def _watch(self) -> None:
        """End a connection that does not open in time, or is silent for too long."""
        await self._clock.sleep(self._limits.handshake_s)
        if not self._open:
            self._counters.handshake_timeouts += 1
            raise _Over("no session in time")
        idle_s = self._limits.idle_s
        while True:
            silent_s = self._clock.monotonic() - self._heard
            if silent_s >= idle_s:
                self._counters.idle_timeouts += 1
                raise _Over(f"silent for {silent_s:.0f} s")
            if silent_s >= idle_s / 2:
                self.send(Ping(self._name, self._clock.now_ms()))
                await self._clock.sleep(max(idle_s - silent_s, 0.01))
            else:
                await self._clock.sleep(max(idle_s / 2 - silent_s, 0.01))

    async def _make_way(self) -> None:
        await self._replaced.wait()
        raise _Over("replaced by a newer session")

    def _leave(self) -> None:
        peer = self._peers.get(self._name)
        if peer is not None and peer.session is self:
            peer.session = None
            peer.module.detach(self)
        transport = self._writer.transport
        if transport.get_write_buffer_size():
            transport.abort()
        else:
            transport.close()
