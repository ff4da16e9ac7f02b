"""One connection to the communication server: handshake, records in, acknowledgements out.

A session that waits costs no task and no timer: what arrives drives it, the server's sweep tells it
the time, and only while its sink works there is a task.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NoReturn, Protocol

from common.clock import Clock
from common.errors import InMetterError, Unreachable
from common.logs import events, frames
from edge_agent.drivers.c11do1eth_introduction import Caller, Introduction, Rejected, Verdict
from edge_agent.drivers.c11do1eth_limits import Bucket, Counters, Limits
from edge_agent.drivers.c11do1eth_module import C11Module
from edge_agent.drivers.c11do1eth_wire import Wire
from edge_agent.metering.scaling import known
from edge_agent.protocols.c11do1eth import (
    FROM_DEVICE,
    Ack,
    BadLine,
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
    Unreadable,
    Welc,
    unreadable,
)

Item = Rec | Evt | Unreadable
"""What a module sends for good: all of it is stored, and acknowledged."""


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

    async def store(self, device: str, items: Sequence[Item]) -> int: ...


@dataclass(slots=True)
class Peer:
    """What the server keeps of a configured module from one session to the next."""

    module: C11Module
    bucket: Bucket | None = None
    session: "Session | None" = None


class State(Enum):
    """Where a connection is in its life; it goes on, never back."""

    INTRODUCING = auto()
    RESUMING = auto()
    OPEN = auto()
    OVER = auto()


class _Over(Exception):
    """The connection ends; the text says why."""


class Session:
    """A connection from its first byte to its end, driven by its ``Wire``.

    ``on_name`` is told when it has named a configured module, ``on_proof`` when it has shown that
    module's key, ``on_end`` when it is over. ``on_caller`` hears what became of each introduction,
    ``log_stranger`` what is to be logged of who has not shown a key.
    """

    __slots__ = (
        "_arrived", "_begun", "_bucket", "_buffer", "_clock", "_counters", "_heard", "_hung_up",
        "_introduction", "_limits", "_log_stranger", "_name", "_on_caller", "_on_end", "_on_name",
        "_on_proof", "_paid", "_peer", "_peers", "_pinged", "_sink", "_state", "_task", "_wire",
    )  # fmt: skip

    def __init__(
        self,
        wire: Wire,
        *,
        peers: dict[str, Peer],
        sink: RecordSink,
        clock: Clock,
        limits: Limits,
        counters: Counters,
        on_name: Callable[["Session"], None],
        on_proof: Callable[["Session"], None],
        on_end: Callable[["Session"], None],
        on_caller: Callable[[Caller], None],
        log_stranger: Callable[[str], None],
    ) -> None:
        self._wire = wire
        self._peers = peers
        self._sink = sink
        self._clock = clock
        self._limits = limits
        self._counters = counters
        self._on_name = on_name
        self._on_proof = on_proof
        self._on_end = on_end
        self._on_caller = on_caller
        self._log_stranger = log_stranger
        self._buffer = LineBuffer()
        self._arrived: deque[Item] = deque()
        self._begun = self._heard = clock.monotonic()
        self._bucket = Bucket(limits.strange_lines, 0, self._begun)
        self._introduction: Introduction | None = Introduction(self._secret_of)
        self._name = "-"
        self._peer: Peer | None = None
        self._state = State.INTRODUCING
        self._pinged = self._hung_up = self._paid = False
        self._task: asyncio.Task[None] | None = None

    # -- from the wire

    def received(self, data: bytes) -> None:
        """Bytes have arrived."""
        self._buffer.receive(data)
        self._advance(len(data))

    def hung_up(self) -> None:
        """Nothing more will arrive; what has arrived is still stored."""
        self._hung_up = True
        self._advance()

    def lost(self, why: str) -> None:
        """The connection is gone."""
        self.end(f"connection lost: {why}")

    def not_understood(self, why: str) -> None:
        """There is no IM1 to be had: plain text to TLS, TLS to plain text, or TLS that fails."""
        if self._state is State.OVER:
            return
        self._counters.refused_tls += 1
        self.end(why)

    # -- from the server

    def send(self, frame: Frame) -> None:
        """Send without waiting; Unreachable when the connection is going down."""
        if self._wire.closing:
            raise Unreachable(f"device {self._name} has no session")
        frames.debug("%s < %s", self._name, frame)
        self._wire.send(frame.to_line())

    def sweep(self, now: float) -> None:
        """Look at the time: a connection that does not open, or is silent, is ended."""
        limits = self._limits
        if self._state is State.INTRODUCING:
            if now - self._begun >= limits.handshake_s:
                self._counters.handshake_timeouts += 1
                self.end("no session in time")
            return
        silent_s = now - self._heard
        if silent_s >= limits.idle_s:
            self._counters.idle_timeouts += 1
            self.end(f"silent for {silent_s:.0f} s")
        elif silent_s >= limits.idle_s / 2 and not self._pinged and self._state is State.OPEN:
            self._pinged = True
            self._say(Ping(self._name, known(self._clock.now_ms())))

    def end(self, why: str) -> asyncio.Task[None] | None:
        """Hang up. Gives what is still to be waited for, if anybody cares to."""
        if self._state is State.OVER:
            return None
        self._state = State.OVER
        self._introduction = None
        if self._peer is not None and self._peer.session is self:
            self._peer.session = None
            self._peer.module.detach(self)
        self._wire.close()
        self._on_end(self)
        self._log(why)
        task, self._task = self._task, None
        if task is None or task is asyncio.current_task():
            return None
        task.cancel()
        return task

    # -- lines

    def _advance(self, received: int = 0) -> None:
        """Take what can be taken now; ``received`` bytes are new."""
        if self._state is State.OVER:
            return
        self._paid = False
        try:
            while self._has_room():
                if (frame := self._next()) is None:
                    break
                self._take(frame)
            if received and not self._paid:
                self._pay(received / Limits.LINE_BYTES)
        except _Over as ends:
            self.end(str(ends))
        if self._hung_up and self._task is None:
            self.end("hung up")
        self._wire.read(self._has_room())

    def _has_room(self) -> bool:
        """Whether the next frame may be taken; else it waits, in the end at the device."""
        if self._state in (State.RESUMING, State.OVER):
            return False
        return len(self._arrived) < 2 * self._limits.group

    def _next(self) -> Frame | None:
        """The next good frame of a device; bad lines are answered and counted on the way."""
        while True:
            try:
                frame = self._buffer.next_frame()
            except BadLine as bad:
                self._pay()
                self._refuse_line(bad)
                continue
            if frame is None:
                return None
            self._pay()
            if not isinstance(frame, FROM_DEVICE):
                self._refuse_line(BadLine(NakCode.MALFORMED, "a server's frame"))
                continue
            frames.debug("%s > %s", self._name, frame)
            self._heard = self._clock.monotonic()
            self._pinged = False
            return frame

    def _pay(self, lines: float = 1) -> None:
        self._paid = True
        if not self._bucket.take(self._clock.monotonic(), lines):
            self._counters.refused_rate += 1
            self._refuse(NakCode.RATE, "too many lines")

    def _refuse_line(self, bad: BadLine) -> None:
        if bad.code is NakCode.CRC:
            self._counters.crc_errors += 1
        else:
            self._counters.malformed += 1
        self._log(f"bad line: {bad}")
        record = unreadable(bad)
        if record and record.device == self._name and self._state is State.OPEN:
            self._heard = self._clock.monotonic()
            self._keep(record)
        else:
            self._say(Nak(self._name, bad.seq, bad.code))

    def _refuse(self, code: NakCode, why: str) -> NoReturn:
        if code is NakCode.MALFORMED or (code is NakCode.UNKNOWN and self._peer is not None):
            self._counters.refused_protocol += 1
        self._say(Nak(self._name, 0, code))
        raise _Over(why)

    def _log(self, text: str) -> None:
        if self._peer is not None:
            events.info("device %s: %s", self._name, text)
        else:
            self._log_stranger(f"device {self._name}, {self._wire.address}: {text}")

    def _say(self, frame: Frame) -> None:
        """Send, if there is still somebody."""
        if not self._wire.closing:
            self.send(frame)

    # -- frames

    def _take(self, frame: Frame) -> None:
        if self._introduction is not None:
            self._introduce(self._introduction, frame)
        elif self._peer is not None:
            self._serve(frame, self._peer)

    def _introduce(self, introduction: Introduction, frame: Frame) -> None:
        try:
            challenge = introduction.take(frame)
        except Rejected as rejected:
            self._name = introduction.name
            self._counters.refused_unknown += rejected.verdict is Verdict.UNKNOWN
            self._counters.refused_key += rejected.verdict is Verdict.WRONG_KEY
            self._tell(introduction.hello, rejected.verdict)
            self._refuse(rejected.code, str(rejected))
        self._name = introduction.name
        if challenge is not None:
            self._on_name(self)
            self._say(challenge)
        elif introduction.hello is not None:
            self._tell(introduction.hello, Verdict.KNOWN)
            self._take_over(self._peers[self._name], introduction.hello)

    def _tell(self, hello: Hello | None, verdict: Verdict | None) -> None:
        if hello is not None and verdict is not None:
            address = self._wire.address
            self._on_caller(Caller(hello.device, hello.model, hello.firmware, address, verdict))

    def _take_over(self, peer: Peer, hello: Hello) -> None:
        """Become the device's one session."""
        if peer.session is not None:
            self._counters.replaced += 1
            peer.session.end("replaced by a newer session")
        peer.session = self
        if peer.bucket is None:
            now = self._clock.monotonic()
            peer.bucket = Bucket(self._limits.burst, self._limits.lines_per_s, now)
        self._bucket = peer.bucket
        self._introduction = None
        self._peer = peer
        self._state = State.RESUMING
        self._on_proof(self)
        self._begin(self._welcome(peer, hello))

    def _serve(self, frame: Frame, peer: Peer) -> None:
        if frame.device != self._name:
            self._refuse(NakCode.UNKNOWN, "sent another device's name")
        if isinstance(frame, Rec | Evt):
            self._keep(frame)
        elif isinstance(frame, Rsp):
            if not peer.module.settle(frame):
                events.info("device %s: late answer to %s", self._name, frame.command)
        elif isinstance(frame, Ping):
            self._say(Pong(self._name, known(self._clock.now_ms())))
        elif not isinstance(frame, Pong):
            self._counters.malformed += 1
            self._say(Nak(self._name, 0, NakCode.MALFORMED))

    def _secret_of(self, device: str) -> bytes | None:
        peer = self._peers.get(device)
        return peer.module.secret if peer else None

    # -- the sink's work

    def _keep(self, item: Item) -> None:
        self._arrived.append(item)
        if self._task is None:
            self._begin(self._store())

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        self._task = asyncio.ensure_future(work)
        self._task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        """A programming error ends this session only."""
        if not task.cancelled() and (error := task.exception()):
            events.error("device %s: its session broke: %r", self._name, error, exc_info=error)
            self.end("broken off")

    async def _welcome(self, peer: Peer, hello: Hello) -> None:
        try:
            committed = await self._sink.resume(self._name, hello)
        except InMetterError as error:
            self._counters.store_failures += 1
            self.end(f"storage cannot resume: {error}")
            return
        self._task = None
        periods = peer.module.periods
        welcome = (committed, periods.push_s, periods.log_s, periods.delta, periods.version)
        self._say(Welc(self._name, known(self._clock.now_ms()), *welcome))
        self._state = State.OPEN
        self._counters.sessions += 1
        peer.module.attach(self)
        events.info("device %s: session, boot %d, to %d", self._name, hello.boot, hello.last)
        self._advance()

    async def _store(self) -> None:
        """Commit what has arrived as one group, then acknowledge it, until nothing is left."""
        while self._arrived and self._state is State.OPEN:
            count = min(self._limits.group, len(self._arrived))
            items = [self._arrived.popleft() for _ in range(count)]
            try:
                committed = await self._sink.store(self._name, items)
            except InMetterError as error:
                self._counters.store_failures += 1
                self.end(f"storage failed: {error}")
                return
            self._counters.items += count
            self._counters.groups += 1
            self._say(Ack(self._name, committed, count))
            self._advance()
        self._task = None
        self._advance()
