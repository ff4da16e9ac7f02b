"""A shared line against peers that mangle bytes: late, split, echoed, cut off, or noise."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from common.errors import ConfigError, Disconnected, FrameError, NoAnswer, Unreachable
from edge_agent.drivers.line import Line
from edge_agent.drivers.transport import TcpTransport, connect_tcp
from tests.harness.ports import free_port

SHORT_S = 0.05
LONG_S = 5.0
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def accept_line(received: bytes) -> tuple[bytes | None, int] | None:
    """A toy protocol: an answer is ``=text\\n``; ``#text\\n`` is for somebody else."""
    if received[:1] not in (b"=", b"#"):
        raise FrameError("no answer starts so")
    end = received.find(b"\n") + 1
    if not end:
        return None
    return (received[1 : end - 1] if received[:1] == b"=" else None), end


@asynccontextmanager
async def peer(serve: Serve) -> AsyncIterator[str]:
    """A TCP server that answers as told; yields its URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def line_to(url: str, echoes: bool = True) -> Line:
    return Line(url, quiet_s=0.02, echoes=echoes)


async def test_concurrent_exchanges_never_interleave() -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.readuntil(b"\n"):
            heard.append(request)
            for byte in b"=" + request:
                writer.write(bytes((byte,)))
                await writer.drain()

    async with peer(serve) as url:
        line = line_to(url)
        requests = [f"ask {n}".encode() for n in range(20)]
        answers = await asyncio.gather(
            *(line.exchange(request + b"\n", accept_line, LONG_S) for request in requests)
        )
        assert answers == requests
        assert heard == [request + b"\n" for request in requests]
        assert line.connection == 1
        await line.close()


async def test_a_late_answer_on_the_same_connection_is_never_taken_for_the_next_one() -> None:
    late = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\n")
        if request == b"slow\n":
            await late.wait()
        writer.write(b"=" + request)
        await writer.drain()
        await reader.read()

    async with peer(serve) as url:
        line = line_to(url)
        with pytest.raises(NoAnswer, match=url):
            await line.exchange(b"slow\n", accept_line, SHORT_S)
        late.set()
        assert await line.exchange(b"fast\n", accept_line, LONG_S) == b"fast"
        assert line.connection == 2
        await line.close()


async def test_a_late_answer_on_the_new_connection_is_listened_out() -> None:
    """A transparent converter sends what comes from the bus to whoever is connected."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections == 2:
            writer.write(b"=late\n")
        while request := await reader.readuntil(b"\n"):
            if request != b"slow\n":
                writer.write(b"=" + request)

    async with peer(serve) as url:
        line = line_to(url)
        with pytest.raises(NoAnswer):
            await line.exchange(b"slow\n", accept_line, SHORT_S)
        assert await line.exchange(b"next\n", accept_line, LONG_S) == b"next"
        await line.close()


async def test_stale_bytes_are_thrown_away_before_the_next_request() -> None:
    answered, sent = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.readuntil(b"\n"):
            writer.write(b"=" + request + b"=stale at once\n")
            await answered.wait()
            writer.write(b"=stale later\n")
            await writer.drain()
            sent.set()

    async with peer(serve) as url:
        line = line_to(url)
        for text in (b"one", b"two", b"three"):
            assert await line.exchange(text + b"\n", accept_line, LONG_S) == text
            answered.set()
            await sent.wait()
            answered.clear()
            sent.clear()
        assert line.connection == 1
        await line.close()


async def test_answers_for_others_are_passed_over() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\n")
        writer.write(b"#somebody's\n#else's\n=" + request)
        await writer.drain()

    async with peer(serve) as url:
        line = line_to(url)
        assert await line.exchange(b"mine\n", accept_line, LONG_S) == b"mine"
        await line.close()


@pytest.mark.parametrize("step", [1, 3, 100])
async def test_an_echo_of_the_request_is_dropped(step: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\n")
        answer = request + b"=" + request
        for start in range(0, len(answer), step):
            writer.write(answer[start : start + step])
            await writer.drain()
        await reader.read()

    async with peer(serve) as url:
        line = line_to(url)
        assert await line.exchange(b"hello\n", accept_line, LONG_S) == b"hello"
        await line.close()


async def test_where_lines_do_not_echo_an_answer_may_equal_its_request() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readuntil(b"\n"))
        await reader.read()

    async with peer(serve) as url:
        line = line_to(url, echoes=False)
        assert await line.exchange(b"=set 1\n", accept_line, LONG_S) == b"set 1"
        await line.close()


async def test_noise_is_a_frame_error_and_the_next_exchange_is_clean() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        request = await reader.readuntil(b"\n")
        writer.write(b"\x00noise" if connections == 1 else b"=" + request)
        await reader.read()

    async with peer(serve) as url:
        line = line_to(url)
        with pytest.raises(FrameError, match=url):
            await line.exchange(b"a\n", accept_line, LONG_S)
        assert await line.exchange(b"b\n", accept_line, LONG_S) == b"b"
        await line.close()


async def test_endless_bytes_without_an_answer_are_a_frame_error() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\n")
        writer.write(b"=" + b"x" * 5000)
        await reader.read()

    async with peer(serve) as url:
        line = line_to(url)
        with pytest.raises(FrameError, match="no answer among them"):
            await line.exchange(b"a\n", accept_line, LONG_S)
        await line.close()


async def test_a_peer_that_hangs_up_is_disconnected_and_connected_again() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        request = await reader.readuntil(b"\n")
        if connections > 1:
            writer.write(b"=" + request)
            await reader.read()

    async with peer(serve) as url:
        line = line_to(url)
        with pytest.raises(Disconnected, match=url):
            await line.exchange(b"a\n", accept_line, LONG_S)
        assert await line.exchange(b"b\n", accept_line, LONG_S) == b"b"
        assert line.connection == 2
        await line.close()


async def test_a_converter_that_takes_one_connection_only_is_told_with_the_likely_cause() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        return

    async def connect(timeout_s: float) -> TcpTransport:
        place = urlsplit(url)
        assert place.hostname and place.port
        transport = await connect_tcp(place.hostname, place.port, timeout_s)
        with pytest.raises(Disconnected):
            await transport.read(LONG_S)
        return transport

    async with peer(serve) as url:
        with pytest.raises(Unreachable, match="another program may hold its only connection"):
            await Line(url, connect=connect).exchange(b"a\n", accept_line, LONG_S)


async def test_a_connection_that_died_while_idle_costs_nothing() -> None:
    hung_up = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"=" + await reader.readuntil(b"\n"))
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    async with peer(serve) as url:
        line = line_to(url)
        for text in (b"a", b"b", b"c"):
            assert await line.exchange(text + b"\n", accept_line, LONG_S) == text
            await hung_up.wait()
            hung_up.clear()
        assert line.connection == 3
        await line.close()


async def test_a_cancelled_exchange_leaves_nothing_behind() -> None:
    asked, late = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\n")
        if request == b"slow\n":
            asked.set()
            await late.wait()
        writer.write(b"=" + request)
        await reader.read()

    async with peer(serve) as url:
        line = line_to(url)
        slow = asyncio.create_task(line.exchange(b"slow\n", accept_line, LONG_S))
        await asked.wait()
        slow.cancel()
        late.set()
        assert await line.exchange(b"fast\n", accept_line, LONG_S) == b"fast"
        assert slow.cancelled()
        await line.close()


async def test_nobody_listening_is_unreachable() -> None:
    line = line_to(f"tcp://127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable):
        await line.exchange(b"a\n", accept_line, LONG_S)


async def test_a_closed_line_connects_again_when_it_is_needed() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.readuntil(b"\n"):
            writer.write(b"=" + request)

    async with peer(serve) as url:
        line = line_to(url)
        assert await line.exchange(b"a\n", accept_line, LONG_S) == b"a"
        await line.close()
        assert await line.exchange(b"b\n", accept_line, LONG_S) == b"b"
        await line.close()
        await line.close()


@pytest.mark.parametrize(
    "url", ["tcp://host", "udp://host:1", "tcp://:1", "tcp://host:x", "tcp://host:1/path", ""]
)
def test_a_wrong_url_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^line "):
        Line(url)


async def test_an_order_comes_before_polls_that_wait() -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.readuntil(b"\n"):
            heard.append(request)
            writer.write(b"=" + request)

    async def order(line: Line) -> None:
        async with line.turn(order=True) as turn:
            await turn.exchange(b"order\n", accept_line, LONG_S)

    async with peer(serve) as url:
        line = line_to(url)
        async with line.turn() as turn:
            polls = [
                asyncio.ensure_future(line.exchange(f"poll {n}\n".encode(), accept_line, LONG_S))
                for n in range(3)
            ]
            await turn.exchange(b"first\n", accept_line, LONG_S)
            assert line.turns.waiting == 3
            ordered = asyncio.ensure_future(order(line))
            await turn.exchange(b"second\n", accept_line, LONG_S)
        await asyncio.gather(ordered, *polls)
        assert heard[:3] == [b"first\n", b"second\n", b"order\n"]
        await line.close()


async def test_every_byte_on_the_wire_is_logged_in_hex(caplog: pytest.LogCaptureFixture) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"=" + await reader.readuntil(b"\n"))
        await reader.read()

    async with peer(serve) as url:
        line = line_to(url)
        with caplog.at_level(logging.DEBUG, logger="inmetter.wire"):
            await line.exchange(b"ab\n", accept_line, LONG_S)
        await line.close()
        assert [one.getMessage() for one in caplog.records] == [
            f"{url} > 61 62 0a",
            f"{url} < 3d 61 62 0a",
        ]


async def test_a_converter_that_is_not_there_is_told_with_the_likely_cause() -> None:
    port = free_port()
    with pytest.raises(
        Unreachable, match=f"nothing listens on port {port}: wrong port, or no conv"
    ):
        await line_to(f"tcp://127.0.0.1:{port}").exchange(b"a\n", accept_line, LONG_S)
