"""Floods, dawdlers and bad manners: each is refused, and the others' records go on being stored."""

import asyncio
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from common.clock import ManualClock
from edge_agent.drivers.c11do1eth import CommunicationServer, Limits
from edge_agent.drivers.c11do1eth_limits import Room
from edge_agent.drivers.c11do1eth_wire import Wire
from edge_agent.protocols.c11do1eth import Ack, Chal, Nak, NakCode, Ping, Unreadable
from edge_agent.protocols.crc import crc16_arc
from tests.contract.c11do1eth_site import (
    NOW_MS,
    HandDevice,
    MemorySink,
    device,
    module,
    rec,
    serving,
)

ROOMY = Limits(connections=40, handshake_s=10, idle_s=100)
"""Ten of them may be strangers."""


class Calm:
    """A well-behaved device beside the flood."""

    def __init__(self, hand: HandDevice) -> None:
        self._hand = hand
        self._seq = 0

    async def is_served(self) -> None:
        """Its next record is acknowledged at once: nothing else is waited for."""
        self._seq += 1
        self._hand.send(rec(self._seq, name="calm"))
        assert await self._hand.ack() == Ack("calm", self._seq, 1)


@asynccontextmanager
async def beside(
    limits: Limits = ROOMY, clock: ManualClock | None = None
) -> AsyncIterator[tuple[CommunicationServer, int, Calm, MemorySink]]:
    """A server with m1 and a calm device, which has a session."""
    sink = MemorySink()
    modules = {"m1": module(), "calm": module("calm")}
    async with (
        serving(sink, clock or ManualClock(NOW_MS), limits, modules) as (server, port),
        device(port, "calm") as hand,
    ):
        await hand.open()
        yield server, port, Calm(hand), sink


async def test_those_who_say_nothing_crowd_out_each_other_the_oldest_first() -> None:
    async with beside() as (server, port, calm, _), AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(device(port)) for _ in range(10)]
        await calm.is_served()
        assert server.counters.crowded_out == 0
        more = [await stack.enter_async_context(device(port)) for _ in range(3)]
        assert [await hand.next() for hand in silent[:3]] == [None] * 3
        await calm.is_served()
        assert server.counters.crowded_out == 3
        assert server.connections == 11
        for hand in (silent[3], more[2]):
            await hand.greet()
        await calm.is_served()


async def test_a_module_gets_in_through_a_flood_of_silent_connections() -> None:
    async with beside() as (server, port, calm, _), AsyncExitStack() as stack:
        for _ in range(60):
            await stack.enter_async_context(device(port))
        hand = await stack.enter_async_context(device(port))
        await hand.open()
        hand.send(rec(1))
        assert await hand.ack() == Ack("m1", 1, 1)
        await calm.is_served()
        assert server.counters.crowded_out == 51


async def test_dawdlers_are_hung_up_on_while_others_are_served() -> None:
    clock = ManualClock(NOW_MS)
    async with beside(clock=clock) as (server, port, calm, _), AsyncExitStack() as stack:
        dawdlers = [await stack.enter_async_context(device(port)) for _ in range(5)]
        line = dawdlers[0].hello().to_line()
        for place in range(12):
            for hand in dawdlers:
                hand.raw(line[place : place + 1])
            await calm.is_served()
            clock.advance(1)
        assert [await hand.next() for hand in dawdlers] == [None] * 5
        await calm.is_served()
        assert server.counters.handshake_timeouts == 5


async def test_a_session_that_only_drips_bytes_is_silent() -> None:
    clock = ManualClock(NOW_MS)
    async with beside(clock=clock) as (server, port, calm, _), device(port) as hand:
        await hand.open()
        line = rec(1).to_line()
        for place in range(11):
            hand.raw(line[place : place + 1])
            await calm.is_served()
            clock.advance(10)
        while await hand.next():
            pass
        assert server.counters.idle_timeouts == 1


@pytest.mark.parametrize("known", [False, True])
async def test_bytes_without_a_line_end_are_counted_as_lines(known: bool) -> None:
    limits = Limits(connections=40, burst=100, lines_per_s=1)
    async with beside(limits) as (server, port, calm, sink), device(port) as hand:
        if known:
            await hand.open()
        name = "m1" if known else "-"
        sent = 0
        while not server.counters.refused_rate:
            hand.raw(b"x" * 2048)
            await calm.is_served()
            sent += 1
        assert sent <= (30 if known else 4)
        assert await hand.next() == Nak(name, 0, NakCode.MALFORMED)
        assert await hand.next() == Nak(name, 0, NakCode.RATE)
        assert await hand.next() is None
        assert len(sink.arrivals) == sent


async def test_a_device_that_reads_nothing_is_hung_up_on() -> None:
    limits = Limits(connections=40, burst=200_000)
    async with beside(limits) as (server, port, calm, _):
        # A small window, so that what is not read piles up here and not in the network.
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, ("127.0.0.1", port))
            reader, writer = await asyncio.open_connection(sock=deaf)
            hand = HandDevice(reader, writer, "m1")
            await hand.open()
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            pings = Ping("m1", 1_764_000_000_000).to_line() * 100
            with pytest.raises(ConnectionError):
                while True:
                    writer.write(pings)
                    await writer.drain()
                    await calm.is_served()
            writer.transport.abort()
        assert server.counters.sessions == 2
        await calm.is_served()
        assert server.connections == 1


async def test_one_address_may_have_so_many_connections_and_no_more() -> None:
    limits = Limits(connections=40, per_address=3)
    async with beside(limits) as (server, port, calm, _), AsyncExitStack() as stack:
        await (await stack.enter_async_context(device(port))).open()
        silent = await stack.enter_async_context(device(port))
        silent.send(silent.hello())
        assert isinstance(await silent.next(), Chal)
        another = await stack.enter_async_context(device(port))
        assert await silent.next() is None
        await another.open()
        assert server.counters.crowded_out == 1
        assert server.counters.replaced == 1
        await calm.is_served()


async def test_a_flood_of_strangers_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with beside() as (server, port, calm, _):
        for _ in range(100):
            async with device(port, "stranger") as hand:
                hand.send(hand.hello())
                assert await hand.next() == Nak("stranger", 0, NakCode.UNKNOWN)
        await calm.is_served()
        assert server.counters.refused_unknown == 100
        assert 1 <= caplog.text.count("stranger") <= 20


async def test_a_fleet_that_comes_back_at_once_gets_in_whole() -> None:
    names = [f"m{number}" for number in range(300)]
    modules = {name: module(name) for name in names}
    limits = Limits(connections=600)
    async with (
        serving(MemorySink(), limits=limits, modules=modules) as (server, port),
        AsyncExitStack() as stack,
    ):

        async def come_back(name: str) -> None:
            hand = await stack.enter_async_context(device(port, name))
            await hand.open()
            hand.send(rec(1, name=name))
            assert await hand.ack() == Ack(name, 1, 1)

        for _ in range(2):
            await asyncio.gather(*map(come_back, names))
        assert server.counters.replaced == 300
        assert server.counters.crowded_out == server.counters.refused_full == 0
        assert server.connections == 300


async def test_a_record_without_a_meaning_is_stored_as_it_came_and_acknowledged() -> None:
    sink = MemorySink()
    async with serving(sink) as (server, port), device(port) as hand:
        await hand.open()
        body = rec(1).to_line()[1:-7].replace(b",T,-", b",Z,-")
        hand.raw(b"$%b*%04X\r\n" % (body, crc16_arc(body)) + rec(2).to_line())
        assert await hand.ack() == Ack("m1", 2, 2)
        odd, good = sink.arrivals
        assert isinstance(odd, Unreadable)
        assert (odd.seq, odd.line.encode()) == (1, body)
        assert good == rec(2)
        assert server.counters.malformed == 1


async def test_an_error_in_one_session_ends_only_that_session() -> None:
    def break_down() -> None:
        raise ZeroDivisionError

    async with beside() as (_, port, calm, sink), device(port) as hand:
        await hand.open()
        sink.after_store = break_down
        hand.send(rec(1))
        assert await hand.next() is None
        sink.after_store = lambda: None
        await calm.is_served()


class Peer(asyncio.Transport):
    """A transport that only knows where it leads."""

    def __init__(self, host: str) -> None:
        super().__init__({"peername": (host, 1234, 0, 0)})

    def abort(self) -> None:
        pass


@pytest.mark.parametrize(
    ("host", "origin", "address"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.7:1234"),
        ("2001:db8::1:2:3", "2001:db8::/64", "[2001:db8::1:2:3]:1234"),
        ("fe80::1%eth0", "fe80::/64", "[fe80::1%eth0]:1234"),
    ],
)
def test_an_ipv6_host_is_one_origin_with_all_its_addresses(
    host: str, origin: str, address: str
) -> None:
    wire = Wire(bytearray(), None, lambda _: None)
    wire.connection_made(Peer(host))
    assert (wire.origin, wire.address) == (origin, address)


def test_the_server_lets_itself_have_as_many_files_as_connections() -> None:
    program = """
import asyncio, resource
from common.clock import SystemClock
from edge_agent.drivers.c11do1eth import CommunicationServer, Limits
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
async def main():
    limits = Limits(connections=600)
    server = CommunicationServer("127.0.0.1", 0, {}, None, SystemClock(), limits=limits)
    running = asyncio.ensure_future(server.run())
    await server.listening()
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    running.cancel()
asyncio.run(main())
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(said.stdout) == 600 + 128


def test_a_flood_from_one_address_crowds_out_itself_and_nobody_else() -> None:
    room: Room[int] = Room(Limits(connections=40))
    for slow in range(1, 4):
        assert room.enter(slow, "10.0.0.1") == (True, None)
    gone = [room.enter(number, "10.6.6.6")[1] for number in range(100, 200)]
    assert gone == [None] * 7 + list(range(100, 193))
    assert room.enter(50, "10.0.0.2") == (True, 193)


def test_in_a_room_full_of_proved_ones_nobody_goes() -> None:
    room: Room[int] = Room(Limits(connections=4))
    for number in range(1, 5):
        assert room.enter(number, "10.0.0.1") == (True, None)
        room.prove(number)
    assert room.enter(9, "10.0.0.2") == (False, None)
    room.leave(2)
    room.leave(2)
    assert room.enter(9, "10.0.0.2") == (True, None)
    assert room.enter(10, "10.0.0.2") == (True, 9)
    assert len(room) == 4


def test_who_has_named_a_module_goes_only_when_the_room_is_full_and_no_stranger_is_there() -> None:
    room: Room[int] = Room(Limits(connections=8))
    for number in range(1, 8):
        assert room.enter(number, "10.0.0.1") == (True, None)
        room.name(number)
    assert room.enter(8, "10.0.0.1") == (True, None)
    assert room.enter(9, "10.0.0.1") == (True, 8)
    room.name(9)
    assert room.enter(10, "10.0.0.2") == (True, 1)
    assert room.enter(11, "10.0.0.2") == (True, 2), "the one of the crowded address goes"
