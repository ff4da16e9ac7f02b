"""The simulated C11DO1ETH without its wire: counter, ring, output, commands, sequence numbers."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

from msgspec import Struct, json

from common.errors import Refused
from edge_agent.protocols.c11do1eth import (
    Ack,
    Auth,
    Cause,
    Chal,
    Clock,
    Cmd,
    EventCode,
    Evt,
    Frame,
    Hello,
    Nak,
    Ping,
    Pong,
    Reason,
    Rec,
    Result,
    Rsp,
    Verb,
    Welc,
    parse,
    prove,
)

DAY_MS = 86_400_000


class Memory(Struct):
    """What survives a power cut; ``ring`` and ``answers`` are IM1 lines without CRLF."""

    boot: int = 0
    last: int = 0
    booted_ms: int = 0
    synced_ms: int | None = None
    knows_time: bool = False
    offset_ms: int = 0
    counted: int = 0
    recorded_ms: int = 0
    output: int = 0
    push_s: int = 60
    log_s: int = 900
    delta: int = 0
    config: int = 0
    lost: tuple[int, int] | None = None
    ring: list[str] = []
    answers: list[str] = []


class C11Core:
    """A module as its meter, its server and its output see it.

    ``pulses(now_ms)`` is the absolute count of the meter's transmitter and never goes back;
    ``on_output(state, now_ms)`` is told when the output changes. ``now_ms`` is the world's time,
    passed to every call; the module's own clock is set by WELC. ``capacity`` is the ring's: 3,400
    records are 35 days at 15 minutes. ``output_stuck`` is a fault: the output no longer moves.
    """

    BATCH = 20
    REMEMBERED = 64
    RESERVED = 3
    """Places kept free at a connect: for the live record, a clock step, an overflow report."""
    ACK_S = 30
    HOLDOVER_MS = DAY_MS
    STEP_MS = 2000

    def __init__(
        self,
        device: str,
        secret: bytes,
        pulses: Callable[[int], int],
        *,
        on_output: Callable[[int, int], None] | None = None,
        capacity: int = 3400,
        backlog_delay_s: float = 5.0,
        random: Random | None = None,
    ) -> None:
        self.device = device
        self.output_stuck = False
        self._secret = secret
        self._pulses = pulses
        self._on_output = on_output
        self._capacity = capacity
        self._backlog_delay_s = backlog_delay_s
        self._random = random or Random(device)
        self._memory = Memory()
        self._ring: deque[Rec | Evt] = deque()
        self._answers: OrderedDict[str, Rsp] = OrderedDict()
        self._peak: tuple[int, int, int] = (0, 0, 0)
        self.disconnected()

    @property
    def ring(self) -> tuple[Rec | Evt, ...]:
        """What is not acknowledged, oldest first."""
        return tuple(self._ring)

    @property
    def last(self) -> int:
        """The sequence number given last."""
        return self._memory.last

    @property
    def output(self) -> int:
        return self._memory.output

    @property
    def online(self) -> bool:
        """Whether there is a session: WELC has come and the link has not gone."""
        return self._online

    # -- power and memory

    def power_up(self, now_ms: int, *, clock_kept: bool = True) -> None:
        """Switch on, for the first time or again; without ``clock_kept`` the time is unknown."""
        memory = self._memory
        memory.boot += 1
        memory.booted_ms = memory.recorded_ms = now_ms
        memory.counted = self._pulses(now_ms)
        memory.synced_ms = None
        memory.knows_time = clock_kept
        self._peak = (now_ms, memory.counted, 0)
        self.disconnected()
        self._note(now_ms, EventCode.POWER_UP)

    def save(self, path: Path) -> None:
        """Write everything that survives a power cut to a JSON file."""
        self._memory.ring = [_text(item) for item in self._ring]
        self._memory.answers = [_text(answer) for answer in self._answers.values()]
        path.write_bytes(json.encode(self._memory))

    def load(self, path: Path) -> None:
        """Go on from a file written by ``save``, as if there had been no break."""
        self._memory = json.decode(path.read_bytes(), type=Memory)
        ring = [parse(text.encode("ascii")) for text in self._memory.ring]
        self._ring = deque(item for item in ring if isinstance(item, Rec | Evt))
        answers = [parse(text.encode("ascii")) for text in self._memory.answers]
        self._answers = OrderedDict((a.command, a) for a in answers if isinstance(a, Rsp))
        self._peak = (self._memory.recorded_ms, self._memory.counted, 0)
        self.disconnected()

    # -- counting

    def record(self, now_ms: int, reason: Reason = Reason.TIMED) -> Rec:
        """Sample now, into the ring. Needs no connection, and goes through time at any speed."""
        memory = self._memory
        self._observe(now_ms)
        total, period_s = self._peak[1], round((now_ms - memory.recorded_ms) / 1000)
        at_ms, clock = self._stamp(now_ms)
        cause = Cause.NONE if self._online else Cause.NO_LINK
        sample = Rec(
            device=self.device,
            seq=self._next_seq(),
            boot=memory.boot,
            at_ms=at_ms,
            clock=clock,
            uptime_ms=max(0, now_ms - memory.booted_ms),
            period_s=max(0, period_s),
            total=total,
            delta=total - memory.counted,
            level=total % 2,
            output=memory.output,
            peak_mhz=self._peak[2],
            reason=reason,
            cause=cause,
        )
        memory.counted, memory.recorded_ms = total, now_ms
        self._peak = (now_ms, total, 0)
        self._keep(sample)
        return sample

    def tick(self, now_ms: int) -> list[Frame]:
        """Let time pass: make the record that is due, and give what is to be sent."""
        self._observe(now_ms)
        memory = self._memory
        period_ms = 1000 * (memory.push_s if self._online else memory.log_s)
        slots = [(at + memory.offset_ms) // period_ms for at in (memory.recorded_ms, now_ms)]
        live: list[Frame] = []
        if slots[1] > slots[0]:
            live = self._live(now_ms, self.record(now_ms))
        elif memory.delta and self._peak[1] - memory.counted >= memory.delta:
            live = self._live(now_ms, self.record(now_ms, Reason.DELTA))
        return live + self._report_lost(now_ms) + self._drain(now_ms)

    def stalled(self, now_ms: int) -> bool:
        """Whether the server owes an acknowledgement for too long."""
        waits = self._online and bool(self._sent)
        return waits and now_ms - self._progress_ms > self.ACK_S * 1000

    # -- the session

    def connected(self) -> list[Frame]:
        """A link is there: introduce yourself."""
        self.disconnected()
        self._make_room(self.RESERVED)
        oldest = self._ring[0].seq if self._ring else self._memory.last + 1
        memory = self._memory
        hello = (1, "C11DO1ETH", "sim-1", memory.boot, memory.last, oldest, memory.config)
        return [Hello(self.device, *hello)]

    def disconnected(self) -> None:
        """The link is gone; what was sent and not acknowledged is sent again."""
        self._online = False
        self._sent: set[int] = set()
        self._batch_end = 0
        self._backlog_ms = 0
        self._progress_ms = 0

    def receive(self, frame: Frame, now_ms: int) -> list[Frame]:
        """What to answer. Raises Refused on a NAK: hang up, wait, and connect again."""
        match frame:
            case Chal(nonce=nonce):
                proof = prove(self._secret, self.device, nonce, self._memory.boot)
                return [Auth(self.device, proof)]
            case Welc():
                return self._welcome(frame, now_ms)
            case Ack(seq=seq):
                self._progress_ms = now_ms
                self._release(seq)
                return self._drain(now_ms)
            case Cmd():
                return self._carry_out(frame, now_ms)
            case Ping():
                return [Pong(self.device, self._stamp(now_ms)[0])]
            case Nak(code=code):
                raise Refused(f"device {self.device}: the server answered NAK {code}")
            case _:
                return []

    def _welcome(self, welcome: Welc, now_ms: int) -> list[Frame]:
        memory = self._memory
        old_ms, clock = self._stamp(now_ms)
        memory.offset_ms = welcome.time_ms - now_ms
        memory.synced_ms, memory.knows_time = now_ms, True
        memory.push_s, memory.log_s = max(1, welcome.push_s), max(1, welcome.log_s)
        memory.delta, memory.config = welcome.delta, welcome.config
        self._online = True
        self._progress_ms = now_ms
        self._backlog_ms = now_ms + round(1000 * self._random.uniform(0, self._backlog_delay_s))
        self._release(welcome.committed)
        live = self._live(now_ms, self.record(now_ms, Reason.FORCED))
        if clock is not Clock.UNKNOWN and abs(welcome.time_ms - old_ms) > self.STEP_MS:
            steps = (str(old_ms), str(welcome.time_ms))
            live += self._live(now_ms, self._note(now_ms, EventCode.CLOCK_STEP, *steps))
        live += self._report_lost(now_ms)
        return live + self._drain(now_ms)

    def _carry_out(self, order: Cmd, now_ms: int) -> list[Frame]:
        if order.command in self._answers:
            return [self._answers[order.command]]
        done_ms = now_ms + self._memory.offset_ms
        result, value, live = Result.UNSUPPORTED, None, list[Frame]()
        if done_ms > order.not_after_ms:
            result = Result.EXPIRED
        elif order.verb == Verb.OUT and order.arguments in (("ON",), ("OFF",), ("READ",)):
            if order.arguments != ("READ",):
                live = self._switch(int(order.arguments == ("ON",)), order.command, now_ms)
            result, value = Result.OK, self._memory.output
        answer = Rsp(self.device, order.command, result, value, done_ms)
        if order.arguments != ("READ",):
            self._answers[order.command] = answer
            if len(self._answers) > self.REMEMBERED:
                self._answers.popitem(last=False)
        return [answer, *live]

    def _switch(self, state: int, by: str, now_ms: int) -> list[Frame]:
        if self.output_stuck or state == self._memory.output:
            return []
        self._memory.output = state
        if self._on_output is not None:
            self._on_output(state, now_ms)
        return self._live(now_ms, self._note(now_ms, EventCode.OUTPUT_CHANGED, str(state), by))

    # -- the ring

    def _live(self, now_ms: int, item: Rec | Evt) -> list[Frame]:
        if not self._online:
            return []
        if not self._sent:
            self._progress_ms = now_ms
        self._sent.add(item.seq)
        return [item]

    def _drain(self, now_ms: int) -> list[Frame]:
        """The next batch of the backlog, once the one before it is acknowledged."""
        waiting = self._ring and self._ring[0].seq <= self._batch_end
        if not self._online or waiting or now_ms < self._backlog_ms:
            return []
        unsent = (item for item in self._ring if item.seq not in self._sent)
        batch = list(islice(unsent, self.BATCH))
        if batch:
            self._batch_end = batch[-1].seq
            self._progress_ms = now_ms
            self._sent.update(item.seq for item in batch)
        return [_late(item) for item in batch]

    def _release(self, committed: int) -> None:
        if committed <= self._memory.last:
            while self._ring and self._ring[0].seq <= committed:
                self._sent.discard(self._ring.popleft().seq)

    def _keep(self, item: Rec | Evt) -> None:
        self._make_room()
        self._ring.append(item)

    def _make_room(self, places: int = 1) -> None:
        while len(self._ring) > self._capacity - places:
            gone = self._ring.popleft()
            self._sent.discard(gone.seq)
            older = self._memory.lost or (isinstance(gone, Evt) and gone.lost) or (gone.seq, 0)
            self._memory.lost = (older[0], gone.seq)

    def _report_lost(self, now_ms: int) -> list[Frame]:
        """Tell the server which numbers never come, or it would wait for them."""
        if not self._online or self._memory.lost is None:
            return []
        self._make_room()
        first, last = self._memory.lost
        self._memory.lost = None
        report = self._note(now_ms, EventCode.BACKLOG_OVERFLOW, str(first), str(last))
        return self._live(now_ms, report)

    def _note(self, now_ms: int, code: EventCode, *values: str) -> Evt:
        memory = self._memory
        at_ms, clock = self._stamp(now_ms)
        uptime_ms = max(0, now_ms - memory.booted_ms)
        event = Evt(
            self.device, self._next_seq(), memory.boot, at_ms, clock, uptime_ms, code, values
        )
        self._keep(event)
        return event

    def _next_seq(self) -> int:
        self._memory.last += 1
        return self._memory.last

    # -- time and rate

    def _stamp(self, now_ms: int) -> tuple[int, Clock]:
        memory = self._memory
        if not memory.knows_time:
            return 0, Clock.UNKNOWN
        fresh = memory.synced_ms is not None and now_ms - memory.synced_ms <= self.HOLDOVER_MS
        return now_ms + memory.offset_ms, Clock.SYNCED if fresh else Clock.HOLDOVER

    def _observe(self, now_ms: int) -> None:
        """Look at the counter, and remember the highest rate since the last record."""
        then_ms, before, peak = self._peak
        if now_ms > then_ms:
            total = self._pulses(now_ms)
            rate = (total - before) * 1_000_000 // (now_ms - then_ms)
            self._peak = (now_ms, total, min(max(peak, rate), 2**32 - 1))


def _late(item: Rec | Evt) -> Rec | Evt:
    if isinstance(item, Evt):
        return item
    cause = Cause.NOT_ACKNOWLEDGED if item.cause is Cause.NONE else item.cause
    return replace(item, reason=Reason.BACKLOG, cause=cause)


def _text(frame: Frame) -> str:
    return frame.to_line()[:-2].decode("ascii")
