"""Gateways as the cloud hears them: batches made beforehand, published as fast as acks allow."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat

import aiomqtt
import msgspec

from common import topics
from common.messages.batch import Entry, pack, unpack
from common.messages.downlink import Ack
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
from tests.bench.bare_edge import NODELAY
from tests.harness.eventually import eventually

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
Message = tuple[str, bytes]
Key = tuple[str, int]
"""A stream, and the first entry of a batch."""


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
    return asyncio.run(_publish(port, keyed, window))


async def _publish(port: int, messages: Mapping[Key, Message], window: int) -> float:
    room, under_way, came = asyncio.Semaphore(window), dict[Key, Message](), asyncio.Event()
    async with aiomqtt.Client("127.0.0.1", port, socket_options=NODELAY) as client:
        client.pending_calls_threshold = 100_000
        await client.subscribe(topics.down("+", "ack"), qos=1)

        async def hear() -> None:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                ack = decode(message.payload, Ack)
                assert not ack.rejected, ack.rejected[0]
                came.set()
                if under_way.pop((ack.stream, ack.first), None):
                    room.release()

        async def say_again() -> None:
            while True:
                came.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(STILL_S):
                        await came.wait()
                        continue
                for topic, payload in list(under_way.values()):
                    await client.publish(topic, payload, qos=1)

        hearing, saying = asyncio.create_task(hear()), asyncio.create_task(say_again())
        begun = time.perf_counter()
        async with asyncio.timeout(600), asyncio.TaskGroup() as tasks:
            for key, (topic, payload) in messages.items():
                await room.acquire()
                under_way[key] = topic, payload
                tasks.create_task(client.publish(topic, payload, qos=1))
            for _ in repeat(None, window):
                await room.acquire()
        took = time.perf_counter() - begun
        hearing.cancel()
        saying.cancel()
    return took


def greet(port: int, speakers: Sequence[Speaker], now_ms: int, known: Callable[[], int]) -> None:
    """Have the cloud know the gateways and their registers; ``known``: how many it does."""
    hellos, catalogs = zip(*(speaker.greeting(now_ms) for speaker in speakers), strict=True)

    # Again and again, as gateways do; what comes before its hello is not taken.
    for first in range(0, len(hellos), 50):
        some = hellos[first : first + 50]

        def heard(some: Sequence[Message] = some, all_of: int = first + len(some)) -> bool:
            asyncio.run(_say(port, some))
            return known() >= all_of

        eventually(heard, 60, "the gateways are known")
    publish(port, catalogs)


async def _say(port: int, messages: Sequence[Message]) -> None:
    async with aiomqtt.Client("127.0.0.1", port, socket_options=NODELAY) as client:
        for topic, payload in messages:
            await client.publish(topic, payload, qos=1)
