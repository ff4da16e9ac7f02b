"""A gateway played by a test: says on MQTT exactly what the test wants, by docs/protocol.md."""

import secrets
import time
from dataclasses import dataclass

import msgspec

from common import topics
from common.messages.batch import Entry, pack
from common.messages.downlink import Ack, Command, Resume
from common.messages.envelope import decode, encode
from common.messages.uplink import (
    Body,
    Catalog,
    CatalogDevice,
    CatalogRegister,
    Hello,
    Readings,
    Value,
)
from common.registers import Kind, Medium, Register
from tests.harness.eventually import eventually
from tests.harness.tap import Tap

POWER, ROOF = 1, 2
"""The numbers of its two registers: a power in W without decimals, and an output."""

REGISTERS = {
    POWER: Register("power", "Power", Medium.ELECTRICITY, Kind.POWER, 0),
    ROOF: Register(
        "roof", "Roof", Medium.OTHER, Kind.OUTPUT, 0, states=("closed", "open"), writable=True
    ),
}


def now_ms() -> int:
    """Of the computer's clock."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Said:
    """A batch: entries first..last."""

    first: int
    last: int
    payload: bytes


class PlayedGateway:
    """One device, ``meter``, with the registers ``power`` and ``roof``."""

    def __init__(self, tap: Tap, key: str) -> None:
        self.key = key
        self.stream = secrets.token_hex(16)
        self.next_seq = 1
        self._tap = tap

    def introduce(self) -> None:
        """Hello, the answer to it, and a catalog that is acknowledged."""
        self.say_hello()
        registers = [CatalogRegister(no, one) for no, one in REGISTERS.items()]
        device = CatalogDevice("meter", "Meter", "modbus", registers)
        self.deliver(Catalog(now_ms(), [device]))

    def say_hello(self) -> None:
        """Say hello until there is an answer about this stream."""
        text = ("Played", "played", "Played site", "Europe/Bucharest", "test")
        hello = encode(Hello(self.stream, 1, self.next_seq, 1, 1, *text))

        def answered() -> bool:
            self._tap.say(topics.up(self.key, "hello"), hello)
            told = (decode(one.payload, Resume) for one in self._tap.heard(self.key, "resume"))
            return any(one.stream == self.stream for one in told)

        eventually(answered, 30, "an answer to hello")

    def batch(self, *bodies: Body) -> Said:
        """The next entries of the stream."""
        first = self.next_seq
        self.next_seq += len(bodies)
        entries = [
            Entry(seq, msgspec.Raw(msgspec.json.encode(body)))
            for seq, body in enumerate(bodies, first)
        ]
        return Said(first, self.next_seq - 1, pack(self.stream, entries))

    def power(self, watts: int, at_ms: int | None = None) -> Readings:
        """One reading of the power, of now or of ``at_ms``."""
        return Readings(now_ms() if at_ms is None else at_ms, [Value(POWER, watts)])

    def send(self, batch: Said, times: int = 1) -> None:
        """Publish the batch, as often as is said, as fast as the broker takes it."""
        self._tap.say_often(topics.up(self.key, "journal"), batch.payload, times)

    def deliver(self, *bodies: Body) -> Ack:
        """Send as one batch, and wait for its ack."""
        batch = self.batch(*bodies)
        self.send(batch)
        return self.wait_for_ack(batch)

    def wait_for_ack(self, batch: Said) -> Ack:
        """The ack for exactly this batch; raises AssertionError when none comes."""
        wanted = (self.stream, batch.first, batch.last)

        def find() -> list[Ack]:
            acks = (decode(one.payload, Ack) for one in self._tap.heard(self.key, "ack"))
            return [ack for ack in acks if (ack.stream, ack.first, ack.last) == wanted]

        return eventually(find, 30, f"the ack for {batch.first}..{batch.last}")[0]

    def commands(self) -> list[Command]:
        """Every command heard so far, each once, in order."""
        heard = (decode(one.payload, Command) for one in self._tap.heard(self.key, "command"))
        return list({command.id: command for command in heard}.values())
