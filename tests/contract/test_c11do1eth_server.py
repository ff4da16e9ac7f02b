"""What the communication server grants and refuses, against devices written by hand."""

from contextlib import AsyncExitStack

import pytest

from common.clock import ManualClock
from edge_agent.drivers.c11do1eth import Limits
from edge_agent.protocols.c11do1eth import (
    Ack,
    Chal,
    Clock,
    Evt,
    Frame,
    Nak,
    NakCode,
    Ping,
    Pong,
    Welc,
)
from tests.contract.c11do1eth_site import (
    NOW_MS,
    HandDevice,
    MemorySink,
    device,
    module,
    rec,
    serving,
)


async def refusal(hand: HandDevice) -> list[Frame]:
    """All that the server says until it hangs up."""
    said = []
    while (frame := await hand.next()) is not None:
        said.append(frame)
    return said


async def test_a_device_with_the_right_key_is_welcomed_with_its_configuration() -> None:
    async with serving(MemorySink(), ManualClock(NOW_MS)) as (server, port), device(port) as hand:
        welcome = await hand.open()
        assert welcome == Welc("m1", NOW_MS, 0, 60, 900, 0, 3)
        assert server.counters.sessions == 1


async def test_a_server_that_does_not_know_the_time_does_not_claim_to() -> None:
    never_set = ManualClock(1_000_000)
    async with serving(MemorySink(), never_set) as (_, port), device(port) as hand:
        assert (await hand.open()).time_ms == 0


async def test_an_unknown_device_is_refused_and_hung_up_on() -> None:
    async with serving(MemorySink()) as (server, port), device(port, "stranger") as hand:
        hand.send(hand.hello())
        assert await refusal(hand) == [Nak("stranger", 0, NakCode.UNKNOWN)]
        assert server.counters.refused_unknown == 1


async def test_a_wrong_key_is_refused_logged_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(MemorySink()) as (server, port), device(port) as hand:
        assert await hand.greet(secret=b"x" * 32) == Nak("m1", 0, NakCode.KEY)
        assert await hand.next() is None
        assert server.counters.refused_key == 1
        assert server.counters.sessions == 0
        assert "wrong key" in caplog.text


async def test_a_recorded_proof_is_worth_nothing() -> None:
    async with serving(MemorySink()) as (_, port):
        async with device(port) as hand:
            hand.send(hand.hello())
            first = await hand.next()
        async with device(port) as hand:
            hand.send(hand.hello())
            second = await hand.next()
        assert isinstance(first, Chal)
        assert isinstance(second, Chal)
        assert first.nonce != second.nonce


async def test_records_before_the_proof_are_refused() -> None:
    sink = MemorySink()
    async with serving(sink) as (server, port), device(port) as hand:
        hand.send(rec(1))
        assert await refusal(hand) == [Nak("-", 0, NakCode.MALFORMED)]
        assert server.counters.refused_protocol == 1
        assert not sink.arrivals


@pytest.mark.parametrize(
    ("noise", "answer"),
    [
        (b"hello there\r\n", Nak("m1", 0, NakCode.MALFORMED)),
        (b"\x00\xff\xfe\r\n", Nak("m1", 0, NakCode.MALFORMED)),
        (b"x" * 5000 + b"\r\n", Nak("m1", 0, NakCode.MALFORMED)),
        (rec(7).to_line().replace(b",900,", b",901,"), Nak("m1", 0, NakCode.CRC)),
        (b"$IM1,m1,NOISE,7,1*F00D\r\n", Nak("m1", 0, NakCode.CRC)),
        (Ack("m1", 5, 1).to_line(), Nak("m1", 0, NakCode.MALFORMED)),
    ],
)
async def test_a_bad_line_is_answered_and_the_next_one_is_stored(noise: bytes, answer: Nak) -> None:
    async with serving(MemorySink()) as (server, port), device(port) as hand:
        await hand.open()
        hand.raw(noise + rec(1).to_line())
        assert [await hand.next(), await hand.next()] == [answer, Ack("m1", 1, 1)]
        assert server.counters.crc_errors + server.counters.malformed == 1


async def test_another_devices_name_in_a_session_ends_it() -> None:
    sink = MemorySink()
    async with (
        serving(sink, modules={"m1": module(), "m2": module("m2")}) as (_, port),
        device(port) as hand,
    ):
        await hand.open()
        hand.send(rec(1, name="m2"))
        assert await refusal(hand) == [Nak("m1", 0, NakCode.UNKNOWN)]
        assert not sink.arrivals


async def test_a_device_that_dawdles_over_the_handshake_is_hung_up_on() -> None:
    clock = ManualClock(NOW_MS)
    async with (
        serving(MemorySink(), clock, Limits(handshake_s=10)) as (server, port),
        device(port) as hand,
    ):
        hand.raw(b"$IM1,m1,HEL")
        async with device(port) as other:
            await other.open()
        clock.advance(9.9)
        hand.raw(b"LO,0,")
        clock.advance(0.2)
        assert await hand.next() is None
        assert server.counters.handshake_timeouts == 1


async def test_a_silent_device_is_asked_and_then_given_up() -> None:
    clock = ManualClock(NOW_MS)
    limits = Limits(handshake_s=10, idle_s=100)
    async with serving(MemorySink(), clock, limits) as (server, port), device(port) as hand:
        await hand.open()
        clock.advance(50)
        assert await hand.next() == Ping("m1", NOW_MS + 50_000)
        hand.send(Pong("m1", 0), Ping("m1", 0))
        assert isinstance(await hand.next(), Pong)
        clock.advance(50)
        assert isinstance(await hand.next(), Ping)
        assert server.counters.idle_timeouts == 0
        clock.advance(50)
        assert await hand.next() is None
        assert server.counters.idle_timeouts == 1


async def test_a_flood_is_refused_and_another_device_does_not_feel_it() -> None:
    clock = ManualClock(NOW_MS)
    limits = Limits(burst=30, lines_per_s=1)
    modules = {"m1": module(), "m2": module("m2")}
    async with (
        serving(MemorySink(), clock, limits, modules) as (server, port),
        device(port) as flood,
        device(port, "m2") as calm,
    ):
        await flood.open()
        await calm.open()
        flood.send(*[Ping("m1", 0)] * 31)
        said = await refusal(flood)
        assert said[-1] == Nak("m1", 0, NakCode.RATE)
        assert len(said) == 31
        assert server.counters.refused_rate == 1
        calm.send(rec(1, name="m2"))
        assert await calm.ack() == Ack("m2", 1, 1)
        async with device(port) as again:
            await again.open()
            again.send(Ping("m1", 0))
            assert await again.next() == Nak("m1", 0, NakCode.RATE)
        async with device(port) as later:
            await later.open()
            clock.advance(5)
            later.send(rec(1))
            assert await later.ack() == Ack("m1", 1, 1)


async def test_noise_without_a_handshake_is_cut_off_after_a_few_lines() -> None:
    async with (
        serving(MemorySink(), limits=Limits(strange_lines=3)) as (server, port),
        device(port) as hand,
    ):
        hand.raw(b"noise\r\n" * 4)
        codes = [frame.code for frame in await refusal(hand) if isinstance(frame, Nak)]
        assert codes == [NakCode.MALFORMED] * 3 + [NakCode.RATE]
        assert server.counters.refused_rate == 1


async def test_beyond_the_limit_no_connection_is_taken() -> None:
    async with (
        serving(MemorySink(), limits=Limits(connections=1)) as (server, port),
        device(port) as first,
    ):
        await first.open()
        async with device(port) as second:
            assert await second.next() is None
        assert server.counters.refused_full == 1
        assert server.connections == 1
        first.send(rec(1))
        assert await first.ack() == Ack("m1", 1, 1)


async def test_a_newer_session_replaces_the_older_one() -> None:
    async with (
        serving(MemorySink()) as (server, port),
        device(port) as old,
        device(port) as new,
    ):
        await old.open()
        await new.open()
        assert await old.next() is None
        new.send(rec(1))
        assert await new.ack() == Ack("m1", 1, 1)
        assert server.counters.replaced == 1


async def test_a_stranger_cannot_replace_a_session() -> None:
    async with (
        serving(MemorySink()) as (_, port),
        device(port) as good,
        device(port) as bad,
    ):
        await good.open()
        await bad.greet(secret=b"x" * 32)
        good.send(rec(1))
        assert await good.ack() == Ack("m1", 1, 1)


async def test_nothing_is_acknowledged_before_the_sink_has_returned() -> None:
    sink = MemorySink()
    sink.gate.clear()
    async with serving(sink) as (_, port), device(port) as hand:
        await hand.open()
        hand.send(rec(1))
        await sink.entered.wait()
        hand.send(Ping("m1", 0))
        assert isinstance(await hand.next(), Pong)
        assert not sink.stored
        sink.gate.set()
        assert await hand.ack() == Ack("m1", 1, 1)
        assert len(sink.stored) == 1


async def test_what_arrives_while_the_sink_is_busy_becomes_one_group() -> None:
    sink = MemorySink()
    sink.gate.clear()
    async with serving(sink, limits=Limits(group=20)) as (_, port), device(port) as hand:
        await hand.open()
        hand.send(rec(1))
        await sink.entered.wait()
        hand.send(*(rec(seq) for seq in range(2, 32)), Ping("m1", 0))
        assert isinstance(await hand.next(), Pong)
        sink.gate.set()
        assert [await hand.ack() for _ in range(3)] == [
            Ack("m1", 1, 1),
            Ack("m1", 21, 20),
            Ack("m1", 31, 10),
        ]
        assert sink.groups == [1, 20, 10]


async def test_a_record_after_a_gap_is_taken_but_not_acknowledged_beyond_the_gap() -> None:
    sink = MemorySink()
    async with serving(sink) as (_, port), device(port) as hand:
        await hand.open(last=3)
        hand.send(rec(3))
        assert await hand.ack() == Ack("m1", 0, 1)
        hand.send(rec(1), rec(2))
        while (await hand.ack()).seq < 3:
            pass


async def test_a_failing_sink_means_no_acknowledgement_and_the_end_of_the_session() -> None:
    sink = MemorySink()
    sink.failures = 1
    async with serving(sink) as (server, port):
        async with device(port) as hand:
            await hand.open()
            hand.send(rec(1))
            assert await hand.next() is None
        assert server.counters.store_failures == 1
        async with device(port) as again:
            assert (await again.open(last=1)).committed == 0
            again.send(rec(1))
            assert await again.ack() == Ack("m1", 1, 1)


async def test_what_came_before_a_hang_up_is_stored() -> None:
    sink = MemorySink()
    sink.gate.clear()
    modules = {"m1": module(), "m2": module("m2")}
    async with serving(sink, modules=modules) as (_, port), device(port) as hand:
        await hand.open()
        hand.send(*(rec(seq) for seq in range(1, 100)))
        hand.writer.write_eof()
        await sink.entered.wait()
        async with device(port, "m2") as other:  # its round trips: the hang-up has been seen
            await other.open()
        sink.gate.set()
        await sink.until(lambda: len(sink.stored) == 99)


async def test_an_event_with_a_word_unknown_so_far_is_stored() -> None:
    sink = MemorySink()
    async with serving(sink) as (_, port), device(port) as hand:
        await hand.open()
        event = Evt("m1", 1, 1, NOW_MS, Clock.SYNCED, 5, "NEWCODE", ("1",))
        hand.send(event)
        assert await hand.ack() == Ack("m1", 1, 1)
        assert sink.arrivals == [event]


async def test_a_stopped_server_leaves_no_connection_open() -> None:
    async with AsyncExitStack() as stack:
        async with serving(MemorySink()) as (_, port):
            hand = await stack.enter_async_context(device(port))
            await hand.open()
        assert await hand.next() is None


async def test_a_server_can_run_again_after_it_was_stopped() -> None:
    sink = MemorySink()
    for _ in range(2):
        async with serving(sink) as (_server, port), device(port) as hand:
            await hand.open()
