"""The simulated C11DO1ETH without its wire: counter, session, output, sequence numbers."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

from msgspec import json

from common.errors import Refused
from edge_agent.protocols.c11do1eth import (
    Ack,
    Auth,
    Cause,
    Chal,
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
    Rsp,
    Welc,
    prove,
)
from edge_agent.simulators.c11do1eth_analysis import Analysis
from edge_agent.simulators.c11do1eth_memory import (
    Memory,
    Ring,
    from_lines,
    to_lines,
)
from edge_agent.simulators.c11do1eth_orders import Orders


class C11Core:
    """A module as its meter, its server and its output see it.

    ``pulses(now_ms)`` is what the counter behind the input shows; the total follows it, but for
    what PRESET and line faults have changed. ``on_output(state, now_ms)`` is told when the output
    changes. ``now_ms`` is the world's time, passed to every call; the module's own clock is set by
    WELC. ``capacity`` is the ring's: 3,400 records are 35 days at 15 minutes.

    Faults, set from outside: ``output_stuck``, the output no longer moves; ``line_broken`` and
    ``input_stuck``, no pulse comes through. ``sealed``: PRESET is refused.
    """

    BATCH = 20
    REMEMBERED = Orders.REMEMBERED
    RESERVED = 3
    """Places kept free at a connect: for the live record, a clock step, an overflow report."""
    READ_BACK = 500
    """Records that one READ gives at most."""
    ACK_S = 30

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
        self.line_broken = False
        self.input_stuck = False
        self.sealed = False
        self.memory = Memory()
        self._secret = secret
        self._pulses = pulses
        self._on_output = on_output
        self._backlog_delay_s = backlog_delay_s
        self._random = random or Random(device)
        self._ring = Ring(capacity)
        self._restarting = self._hang_up = False
        self._orders = Orders(self)
        self._analysis = Analysis(0, 0)
        self._peak: tuple[int, int, int] = (0, 0, 0)
        self._heard_ms = 0
        self.disconnected()

    @property
    def ring(self) -> tuple[Rec | Evt, ...]:
        """What is not acknowledged, oldest first."""
        return tuple(self._ring.items)

    @property
    def last(self) -> int:
        """The sequence number given last."""
        return self.memory.last

    @property
    def output(self) -> int:
        return self.memory.output

    @property
    def online(self) -> bool:
        """Whether there is a session: WELC has come and the link has not gone."""
        return self._online

    @property
    def secret(self) -> bytes:
        """The key in use: the one it was made with, until KEY has changed it."""
        return bytes.fromhex(self.memory.key) or self._secret

    # -- power and memory

    def power_up(self, now_ms: int, *, clock_kept: bool = True) -> None:
        """Switch on, for the first time or again; without ``clock_kept`` the time is unknown."""
        memory = self.memory
        memory.boot += 1
        memory.booted_ms = memory.recorded_ms = now_ms
        memory.counted = self._count(now_ms)
        memory.synced_ms = None
        memory.knows_time = clock_kept
        self._heard_ms = now_ms
        self._begin(now_ms)
        self._note(now_ms, EventCode.POWER_UP)

    def save(self, path: Path) -> None:
        """Write everything that survives a power cut to a JSON file."""
        memory, ring = self.memory, self._ring
        memory.ring, memory.log, memory.lost = to_lines(ring.items), to_lines(ring.log), ring.lost
        memory.answers = to_lines(self._orders.answers.values())
        path.write_bytes(json.encode(memory))

    def load(self, path: Path) -> None:
        """Go on from a file written by ``save``, as if there had been no break."""
        memory = self.memory = json.decode(path.read_bytes(), type=Memory)
        ring, log = (
            deque(item for item in from_lines(texts) if isinstance(item, Rec | Evt))
            for texts in (memory.ring, memory.log)
        )
        self._ring.items, self._ring.log, self._ring.lost = ring, log, memory.lost
        answers = from_lines(memory.answers)
        self._orders.answers = OrderedDict((a.command, a) for a in answers if isinstance(a, Rsp))
        self._begin(memory.recorded_ms)

    def _begin(self, now_ms: int) -> None:
        """Begin anew with all that a power cut takes."""
        self._restarting = False
        self._peak = (now_ms, self.memory.counted, 0)
        self._analysis = Analysis(now_ms, self.memory.counted)
        self.disconnected()

    def brown_out(self, now_ms: int) -> list[Frame]:
        """The supply was too low for a moment, and nothing was lost."""
        return self._live(now_ms, self._note(now_ms, EventCode.BROWN_OUT))

    # -- counting

    def record(self, now_ms: int, reason: Reason = Reason.TIMED) -> Rec:
        """Sample now, into the ring. Needs no connection, and goes through time at any speed."""
        memory = self.memory
        self._observe(now_ms)
        total, period_s = self._peak[1], round((now_ms - memory.recorded_ms) / 1000)
        at_ms, clock = self.memory.stamp(now_ms)
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
            delta=max(0, total - memory.counted),
            level=0 if self.line_broken else 1 if self.input_stuck else total % 2,
            output=memory.output,
            peak_mhz=self._peak[2],
            reason=reason,
            cause=cause,
        )
        memory.counted, memory.recorded_ms = total, now_ms
        self._peak = (now_ms, total, 0)
        self._ring.keep(sample)
        return sample

    def tick(self, now_ms: int) -> list[Frame]:
        """Let time pass: make the record that is due, and give what is to be sent."""
        memory = self.memory
        if self._restarting:
            self.power_up(now_ms, clock_kept=memory.knows_time)
            self._hang_up = True
        live = self._look(now_ms)
        period_ms = 1000 * (memory.push_s if self._online else memory.log_s)
        slots = [(at + memory.offset_ms) // period_ms for at in (memory.recorded_ms, now_ms)]
        if slots[1] > slots[0]:
            live += self._live(now_ms, self.record(now_ms))
        elif memory.delta and self._peak[1] - memory.counted >= memory.delta:
            live += self._live(now_ms, self.record(now_ms, Reason.DELTA))
        return live + self._report_lost(now_ms) + self._drain(now_ms)

    def stalled(self, now_ms: int) -> bool:
        """Whether to hang up: the server owes an acknowledgement for too long, or it restarts."""
        owes = self._online and bool(self._ring.sent)
        return self._hang_up or (owes and now_ms - self._progress_ms > self.ACK_S * 1000)

    # -- the session

    def connected(self) -> list[Frame]:
        """A link is there: introduce yourself."""
        self.disconnected()
        self._ring.make_room(self.RESERVED)
        oldest = self._ring.items[0].seq if self._ring.items else self.memory.last + 1
        memory = self.memory
        hello = (1, "C11DO1ETH", "sim-1", memory.boot, memory.last, oldest, memory.config)
        return [Hello(self.device, *hello)]

    def disconnected(self) -> None:
        """The link is gone; what was sent and not acknowledged is sent again."""
        self._online = self._hang_up = False
        self._ring.unsend()
        self._backlog_ms = self._progress_ms = 0

    def receive(self, frame: Frame, now_ms: int) -> list[Frame]:
        """What to answer. Raises Refused on a NAK: hang up, wait, and connect again."""
        match frame:
            case Chal(nonce=nonce):
                proof = prove(self.secret, self.device, nonce, self.memory.boot)
                return [Auth(self.device, proof)]
            case Welc():
                return self._welcome(frame, now_ms)
            case Ack(seq=seq):
                self._progress_ms = now_ms
                self._release(seq)
                return self._drain(now_ms)
            case Cmd():
                return self._orders.carry_out(frame, now_ms)
            case Ping():
                return [Pong(self.device, self.memory.stamp(now_ms)[0])]
            case Nak(code=code):
                raise Refused(f"device {self.device}: the server answered NAK {code}")
            case _:
                return []

    def _welcome(self, welcome: Welc, now_ms: int) -> list[Frame]:
        memory = self.memory
        memory.push_s, memory.log_s = max(1, welcome.push_s), max(1, welcome.log_s)
        memory.delta = welcome.delta
        self._online = True
        self._progress_ms = now_ms
        self._backlog_ms = now_ms + round(1000 * self._random.uniform(0, self._backlog_delay_s))
        self._release(welcome.committed)
        live: list[Frame] = []
        for item in self._ring.items:
            # A count behind a preset means nothing to who has not heard of it.
            if isinstance(item, Evt) and item.code == EventCode.PRESET:
                live += self._live(now_ms, item)
        step = self.memory.synchronise(welcome.time_ms, now_ms)
        live += self._live(now_ms, self.record(now_ms, Reason.FORCED))
        if step:
            live += self._live(now_ms, self._note(now_ms, EventCode.CLOCK_STEP, *step))
        return live + self._report_lost(now_ms) + self._drain(now_ms)

    # -- what orders do

    def switch(self, state: int, by: str, now_ms: int) -> list[Frame]:
        """Set the output, and say so if it has moved."""
        if self.output_stuck or state == self.memory.output:
            return []
        self.memory.output = state
        if self._on_output is not None:
            self._on_output(state, now_ms)
        return self._live(now_ms, self._note(now_ms, EventCode.OUTPUT_CHANGED, str(state), by))

    def preset(self, total: int, now_ms: int) -> list[Frame]:
        """Set the total; a record of the old one is made first, so that nothing is lost."""
        before = self.record(now_ms, Reason.EVENT)
        self.memory.offset += total - before.total
        self.memory.counted = total
        self._peak = (now_ms, total, 0)
        self._analysis.move(total)
        steps = (str(before.total), str(total))
        event = self._note(now_ms, EventCode.PRESET, *steps)
        return self._live(now_ms, before) + self._live(now_ms, event)

    def read_back(self, first: int, last: int) -> list[Frame]:
        """Acknowledged records once more."""
        found = self._ring.read_back(first, last, self.READ_BACK)
        return [replace(record, reason=Reason.READ_BACK) for record in found]

    def clock_ms(self, now_ms: int) -> int:
        """What the module's clock shows; 0 when it is not set."""
        return self.memory.stamp(now_ms)[0]

    def set_clock(self, time_ms: int, now_ms: int) -> list[Frame]:
        """Set the clock, and say so if it was wrong."""
        step = self.memory.synchronise(time_ms, now_ms)
        if not step:
            return []
        return self._live(now_ms, self._note(now_ms, EventCode.CLOCK_STEP, *step))

    def restart_soon(self) -> None:
        """Restart at the next tick, when the answer is on its way."""
        self._restarting = True

    def _look(self, now_ms: int) -> list[Frame]:
        """Count, analyse, and see to the output: what is to be sent of it."""
        self._observe(now_ms)
        memory = self.memory
        found = self._analysis.observe(
            *(now_ms, self._peak[1], memory.thresholds),
            broken=self.line_broken,
            stuck=self.input_stuck,
        )
        live: list[Frame] = []
        for code, values in found:
            live += self._live(now_ms, self._note(now_ms, code, *values))
        if memory.pulse and now_ms >= memory.pulse[0]:
            due, memory.pulse = memory.pulse, None
            live += self.switch(0, due[1], now_ms)
        if self._online:
            self._heard_ms = now_ms
        elif memory.safe != "hold" and now_ms - self._heard_ms >= memory.safe_s * 1000:
            live += self.switch(int(memory.safe == "on"), "SAFE", now_ms)
        return live

    # -- the ring

    def _live(self, now_ms: int, item: Rec | Evt) -> list[Frame]:
        if not self._online:
            return []
        if not self._ring.sent:
            self._progress_ms = now_ms
        self._ring.sent.add(item.seq)
        return [item]

    def _drain(self, now_ms: int) -> list[Frame]:
        """The next batch of the backlog, once the one before it is acknowledged."""
        if not self._online or now_ms < self._backlog_ms:
            return []
        batch = self._ring.next_batch(self.BATCH)
        if batch:
            self._progress_ms = now_ms
        return [_late(item) for item in batch]

    def _release(self, committed: int) -> None:
        if committed <= self.memory.last:
            self._ring.release(committed)

    def _report_lost(self, now_ms: int) -> list[Frame]:
        """Tell the server which numbers never come, or it would wait for them."""
        if not self._online or self._ring.lost is None:
            return []
        self._ring.make_room(1)
        first, last = self._ring.lost
        self._ring.lost = None
        report = self._note(now_ms, EventCode.BACKLOG_OVERFLOW, str(first), str(last))
        return self._live(now_ms, report)

    def _note(self, now_ms: int, code: EventCode, *values: str) -> Evt:
        at_ms, clock = self.memory.stamp(now_ms)
        boot, uptime_ms = self.memory.boot, max(0, now_ms - self.memory.booted_ms)
        event = Evt(self.device, self._next_seq(), boot, at_ms, clock, uptime_ms, code, values)
        self._ring.keep(event)
        return event

    def _next_seq(self) -> int:
        self.memory.last += 1
        return self.memory.last

    # -- time and rate

    def _count(self, now_ms: int) -> int:
        """The total now; what comes while no pulse gets through is missing from it for ever."""
        memory = self.memory
        given = self._pulses(now_ms)
        if memory.seen is not None and (self.line_broken or self.input_stuck):
            memory.offset -= given - memory.seen
        memory.seen = given
        return max(0, given + memory.offset)

    def _observe(self, now_ms: int) -> None:
        """Look at the counter, and remember the highest rate since the last record."""
        then_ms, before, peak = self._peak
        if now_ms > then_ms:
            total = self._count(now_ms)
            rate = max(0, total - before) * 1_000_000 // (now_ms - then_ms)
            self._peak = (now_ms, total, min(max(peak, rate), 2**32 - 1))


def _late(item: Rec | Evt) -> Rec | Evt:
    if isinstance(item, Evt):
        return item
    cause = Cause.NOT_ACKNOWLEDGED if item.cause is Cause.NONE else item.cause
    return replace(item, reason=Reason.BACKLOG, cause=cause)
