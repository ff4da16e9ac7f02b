"""A simulated module and the agent's memory of it, with everything cut off at any moment."""

from random import Random

import msgspec
import pytest

from common.messages.uplink import Event, Readings
from edge_agent.protocols.c11do1eth import Ack, Cmd, Evt, Frame, Hello, Rec, Welc
from edge_agent.simulators.c11do1eth_core import C11Core
from edge_agent.store.counter_state import PushState
from tests.unit.edge_parts import NOW
from tests.unit.test_edge_intake_backlog import recorder


class Storm:
    """Commits fail, acknowledgements are lost, the power goes, the agent restarts; PRESETs come."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now, self.pulses, self.orders = NOW, 1_000_000, 0
        self.core = C11Core(
            *("water", b"0123456789abcdef", lambda _: self.pulses),
            backlog_delay_s=self.random.choice([0, 20]),
            random=self.random,
        )
        self.core.power_up(NOW, clock_kept=False)
        self.taker, self.state = recorder(), PushState(0)
        self.readings: list[int] = []
        self.codes: list[str] = []

    def happens(self, chance: float) -> bool:
        return self.random.random() < chance

    def connect(self) -> list[Frame]:
        [hello] = self.core.connected()
        assert isinstance(hello, Hello)
        floor = self.state.resume(hello.boot, hello.oldest, hello.last)
        return self.core.receive(Welc("water", self.now, floor, 60, 900, 0, 1), self.now)

    def commit(self, items: list[Rec | Evt]) -> None:
        before = msgspec.json.encode(self.state)
        bodies = self.taker.take(self.state, items, self.now)
        if self.happens(0.05):
            self.state = msgspec.json.decode(before, type=PushState)
            self.core.disconnected()
            return
        self.readings += [one.value or 0 for body in bodies if isinstance(body, Readings)
                          for one in body.r if one.no == 1]  # fmt: skip
        self.codes += [body.code for body in bodies if isinstance(body, Event)]

    def exchange(self, frames: list[Frame]) -> None:
        while frames and self.core.online:
            items = [frame for frame in frames if isinstance(frame, Rec | Evt)]
            frames = []
            while items and self.core.online:
                count = self.random.randint(1, 50)
                self.commit(items[:count])
                if self.happens(0.02):
                    self.core.disconnected()
                elif self.core.online:
                    ack = Ack("water", self.state.floor, len(items[:count]))
                    frames += self.core.receive(ack, self.now)
                items = items[count:]

    def step(self) -> None:
        self.now += self.random.choice([1_000, 60_000, 900_000])
        self.pulses += self.random.choice([0, 0, 1, 3, 10])
        frames = self.core.tick(self.now)
        if self.happens(0.03):
            self.core.power_up(self.now, clock_kept=self.happens(0.5))
        elif self.happens(0.1):
            self.core.disconnected()
            self.taker = recorder()
            self.state = msgspec.json.decode(msgspec.json.encode(self.state), type=PushState)
        elif not self.core.online and self.happens(0.2):
            frames = self.connect()
        elif self.core.online and self.happens(0.05):
            self.orders += 1
            total = str(self.random.randrange(2_000_000))
            order = Cmd("water", f"{self.orders:032x}", self.now + 60_000, "PRESET", (total,))
            frames += self.core.receive(order, self.now)
        self.exchange(frames)

    def calm(self) -> None:
        """Everything works again until nothing is left to send."""
        while not self.core.online or self.core.ring:
            self.now += 1_000
            self.exchange(self.core.tick(self.now) if self.core.online else self.connect())


@pytest.mark.parametrize("seed", range(10))
def test_whatever_is_cut_off_each_record_is_counted_once_and_each_pulse_too(seed: int) -> None:
    storm = Storm(seed)
    for _ in range(600):
        storm.step()
    storm.calm()
    storm.exchange([storm.core.record(storm.now)])
    storm.calm()
    counter = storm.state.counter
    assert counter
    assert storm.state.early == storm.state.undated == []
    assert len(storm.readings) + len(storm.codes) == storm.core.last, "one entry a number"
    assert storm.codes.count("counter_preset") > 2
    assert max(storm.readings) // 10 == counter.total == storm.pulses
