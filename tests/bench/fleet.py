"""Gateways as the cloud hears them: batches made beforehand, published as fast as acks allow."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import msgspec

from common import topics
from common.messages.batch import Entry, pack, unpack
from common.messages.downlink import Ack, Resume
from common.messages.envelope import decode, encode
from common.messages.uplink import (
    Catalog,
    CatalogDevice,
    CatalogRegister,
    Hello,
    Readings,
    Value,
)
from common.registers import Kind, Medium, Register
from tests.bench.wire import Wire

METERS = (
    Register("energy", "Energy", Medium.ELECTRICITY, Kind.ENERGY_IMPORT, 0, interval_s=60),
    Register("export", "Export", Medium.ELECTRICITY, Kind.ENERGY_EXPORT, 0, interval_s=60),
    Register("water", "Water", Medium.COLD_WATER, Kind.VOLUME, 3, interval_s=60),
    Register("power", "Power", Medium.ELECTRICITY, Kind.POWER, 1, interval_s=60),
)
ROOF = Register(
    "roof", "Roof", Medium.OTHER, Kind.OUTPUT, 0, states=("shut", "open"), writable=True
)
AT_ONCE = len(METERS) + 1
"""Readings of a device at one instant: its meters, and its output."""

WINDOW = 16
STILL_S = 2.0
PATIENCE_S = 600
Message = tuple[str, bytes]
Key = tuple[str, int]
"""A stream, and the first entry of a batch; or HELLO."""

HELLO = 0


@dataclass(slots=True)
class Speaker:
    """A gateway with ``devices`` of AT_ONCE registers each."""

    key: str
    devices: int
    stream: str
    seq: int = 2

    @classmethod
    def of(cls, number: int, devices: int) -> "Speaker":
        return cls(f"fleet-{number}", devices, f"{number:032x}")

    @property
    def device_keys(self) -> list[str]:
        return [f"meter-{n}" for n in range(self.devices)]

    def greeting(self, now_ms: int) -> list[Message]:
        """Its hello, and its first entry: the catalog."""
        devices = [
            CatalogDevice(
                key,
                key,
                "modbus",
                [CatalogRegister(n * AT_ONCE + m, one) for m, one in enumerate((*METERS, ROOF), 1)],
            )
            for n, key in enumerate(self.device_keys)
        ]
        hello = Hello(
            self.stream, 1, 2, 1, 1, name=self.key, site=f"site-{self.key}", site_name=self.key,
            timezone="Europe/Bucharest", agent="bench",
        )  # fmt: skip
        entry = Entry(1, msgspec.Raw(encode(Catalog(now_ms, devices))))
        return [
            (topics.up(self.key, "hello"), encode(hello)),
            (topics.up(self.key, "journal"), pack(self.stream, [entry])),
        ]

    def batches(
        self, first_ms: int, step_ms: int, instants: int, entries: int
    ) -> Iterator[Message]:
        """What its devices say at so many instants, ``entries`` (of AT_ONCE readings) a message."""
        said = (
            Readings(first_ms + n * step_ms + device, self._values(device, n))
            for n in range(instants)
            for device in range(self.devices)
        )
        while bodies := list(islice(said, entries)):
            numbered = [
                Entry(self.seq + n, msgspec.Raw(encode(body))) for n, body in enumerate(bodies)
            ]
            self.seq += len(numbered)
            yield topics.up(self.key, "journal"), pack(self.stream, numbered)

    def _values(self, device: int, n: int) -> list[Value]:
        no = device * AT_ONCE
        counts = (40 * n + device, n // 3, 12 * n, 12_500 + (n * 37 + device) % 900)
        values = [Value(no + m, count, 0) for m, count in enumerate(counts, 1)]
        return [*values, Value(no + AT_ONCE, n // 50 % 2, 0)]


def in_turn(of_each: Sequence[Iterator[Message]]) -> list[Message]:
    """One message of each gateway, then the next of each, and so on."""
    return list(chain.from_iterable(zip(*of_each, strict=True)))


def publish(port: int, messages: Sequence[Message], window: int = WINDOW) -> float:
    """Seconds from the first message to the ack of the last one.

    No more than ``window`` are on their way. As gateways do, it says again what is not acknowledged
    when nothing has come for STILL_S.
    """
    keyed = {}
    for topic, payload in messages:
        batch = unpack(payload)
        keyed[batch.stream, batch.first] = topic, payload
    return _publish(port, keyed, window)


def greet(port: int, speakers: Sequence[Speaker], now_ms: int) -> None:
    """Have the cloud know the gateways and their registers."""
    hellos, catalogs = zip(*(speaker.greeting(now_ms) for speaker in speakers), strict=True)
    keyed = {(one.stream, HELLO): hello for one, hello in zip(speakers, hellos, strict=True)}
    _publish(port, keyed, WINDOW)
    publish(port, catalogs)


def _publish(port: int, messages: Mapping[Key, Message], window: int) -> float:
    coming, under_way = iter(messages.items()), dict[Key, Message]()
    with Wire(port, "bench-fleet", topics.down("+", "ack"), topics.down("+", "resume")) as wire:
        heard_at = begun = time.perf_counter()
        while (now := time.perf_counter()) - begun < PATIENCE_S:
            if now - heard_at > STILL_S:
                for message in under_way.values():
                    wire.publish(*message)
                heard_at = now
            for key, message in islice(coming, window - len(under_way)):
                under_way[key] = message
                wire.publish(*message)
            if not under_way:
                return now - begun
            for answer in wire.exchange(STILL_S):
                under_way.pop(_answered(*answer), None)
                heard_at = time.perf_counter()
    raise TimeoutError(f"{len(under_way)} messages are not acknowledged after {PATIENCE_S} s")


def _answered(topic: str, payload: bytes) -> Key:
    """What an answer is to."""
    if topic.endswith("/resume"):
        resume = decode(payload, Resume)
        assert not resume.refused, resume.refused
        return resume.stream, HELLO
    ack = decode(payload, Ack)
    assert not ack.rejected, ack.rejected[0]
    return ack.stream, ack.first
