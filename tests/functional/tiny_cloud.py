"""The far end of an uplink, in memory: just enough cloud to be obstinate in chosen ways."""

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiomqtt
import msgspec

from common import topics
from common.clock import SystemClock
from common.messages.batch import Batch, unpack
from common.messages.downlink import Ack, Command, Rejection, Resume
from common.messages.envelope import decode, encode
from common.messages.uplink import Body, Hello, Status, decode_body
from common.mqtt import heed_cancellation
from common.ranges import RangeSet


class TinyCloud:
    """Stores what comes and acknowledges it. What it does wrong is set from outside.

    ``stored``: stream → number → body. ``lose``: acks that will be forgotten. ``hold``: acks are
    kept in ``held`` instead of sent. ``answers_hello``: whether resume follows hello. ``now_ms``
    gives its time. ``clocks``: stream → number → quality of the gateway's clock.
    """

    def __init__(self, client: aiomqtt.Client, gateway: str) -> None:
        self._client = client
        self._gateway = gateway
        self._news = asyncio.Event()
        self.stored: dict[str, dict[int, bytes]] = defaultdict(dict)
        self.batches: list[tuple[int, int]] = []
        self.hellos: list[Hello] = []
        self.statuses: list[Status] = []
        self.lose = 0
        self.hold = False
        self.held: list[Ack] = []
        self.reject: dict[int, str] = {}
        self.answers_hello = True
        self.now_ms: Callable[[], int] = SystemClock().now_ms
        self.clocks: dict[str, dict[int, int]] = defaultdict(dict)
        self.running: asyncio.Future[None] | None = None

    @property
    def stream(self) -> str:
        return self.hellos[-1].stream

    def bodies(self) -> dict[int, Body]:
        """What is stored of the present stream, decoded."""
        return {
            seq: decode_body(msgspec.Raw(body)) for seq, body in self.stored[self.stream].items()
        }

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for messages until it is so; the test's own time-out is the limit."""
        while not condition():
            if self.running and self.running.done():
                self.running.result()
            await self._news.wait()
            self._news.clear()

    async def tell(self, message: Ack | Resume | Command) -> None:
        leaf = type(message).__name__.lower()
        await self._client.publish(topics.down(self._gateway, leaf), encode(message), qos=1)
        heed_cancellation()

    async def resume(self, ranges: RangeSet | None = None) -> None:
        """Say what is stored, or what else is given."""
        if ranges is None:
            ranges = RangeSet((seq, seq) for seq in self.stored[self.stream])
        await self.tell(Resume(self.stream, list(ranges), self.now_ms()))

    async def release(self, *, reverse: bool = False) -> None:
        """Send the acks that were held."""
        self.hold = False
        held, self.held = self.held, []
        for ack in reversed(held) if reverse else held:
            await self.tell(ack)

    async def run(self) -> None:
        """Take messages; whoever waits in ``until`` hears when that fails."""
        try:
            await self._serve()
        finally:
            self._news.set()

    async def _serve(self) -> None:
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            _, _, leaf = topics.parse(str(message.topic))
            if leaf == "hello":
                self.hellos.append(decode(message.payload, Hello))
                if self.answers_hello:
                    await self.resume()
            elif leaf == "journal":
                await self._take(unpack(message.payload))
            else:
                self.statuses.append(decode(message.payload, Status))
            self._news.set()

    async def _take(self, batch: Batch) -> None:
        entries = batch.bodies()
        lost = [seq for one in batch.lost for seq in range(one.first, one.last + 1)]
        assert sorted([*entries, *lost]) == list(range(batch.first, batch.last + 1))
        self.batches.append((batch.first, batch.last))
        stored = self.stored[batch.stream]
        for seq, raw in entries.items():
            body = bytes(raw)
            assert stored.setdefault(seq, body) == body, "an entry has changed"
        qualities = [span.quality for span in batch.clock for _ in range(span.count)]
        self.clocks[batch.stream].update(zip(entries, qualities, strict=True))
        rejected = [Rejection(seq, self.reject[seq]) for seq in entries if seq in self.reject]
        ack = Ack(batch.stream, batch.first, batch.last, rejected)
        if self.lose:
            self.lose -= 1
        elif self.hold:
            self.held.append(ack)
        else:
            await self.tell(ack)


@asynccontextmanager
async def tiny_cloud(port: int, gateway: str) -> AsyncIterator[TinyCloud]:
    """A tiny cloud for one gateway, connected to the broker on ``port``."""
    no_delay = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    async with aiomqtt.Client("127.0.0.1", port, socket_options=no_delay) as client:
        await client.subscribe(topics.up(gateway, "#"), qos=1)
        cloud = TinyCloud(client, gateway)
        cloud.running = asyncio.ensure_future(cloud.run())
        try:
            yield cloud
        finally:
            cloud.running.cancel()
            await asyncio.gather(cloud.running, return_exceptions=True)
