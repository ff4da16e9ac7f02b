"""The Modbus line against a peer that misbehaves: every fault has its own error."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from common.errors import (
    ConfigError,
    Disconnected,
    FrameError,
    InMetterError,
    NoAnswer,
    Refused,
    Unreachable,
)
from edge_agent.drivers.modbus_line import ModbusLine
from edge_agent.protocols.modbus import Span
from tests.contract.modbus_peer import frame, peer, rtu, zeros
from tests.harness.ports import free_port

TWO = Span(0, 2)
SHORT_S = 0.3


def reading(*words: int) -> bytes:
    data = b"".join(word.to_bytes(2, "big") for word in words)
    return bytes((3, len(data))) + data


def other_unit(request: bytes) -> bytes:
    answer = frame(request, reading(1, 2))
    return answer[:6] + b"\x02" + answer[7:]


FAULTS: list[tuple[str, Callable[[bytes], bytes | None], type[InMetterError], str]] = [
    ("silence", lambda _: b"", NoAnswer, r"no answer within 0\.3 s: no unit 1"),
    ("hang-up", lambda _: None, Disconnected, "hung up"),
    ("too few", lambda r: frame(r, reading(1)), FrameError, "asked for 2 registers, got 1"),
    ("too many", lambda r: frame(r, reading(1, 2, 3)), FrameError, "got 3"),
    ("odd bytes", lambda r: frame(r, bytes((3, 3, 0, 1, 0))), FrameError, "got"),
    ("count too high", lambda r: frame(r, bytes((3, 4, 0, 1))), FrameError, "cut short"),
    ("nothing in it", lambda r: frame(r, bytes((3,))), FrameError, "cut short"),
    ("other function", lambda r: frame(r, bytes((6, 0, 0, 0, 0))), FrameError, "function 6"),
    ("not Modbus", lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", FrameError, "not a Modbus TCP"),
    ("no number", lambda r: frame(r, reading(1, 2), transaction=0), FrameError, "no transaction"),
    ("other unit", other_unit, FrameError, "unit 2 answered instead of unit 1"),
    ("echo", lambda r: r, FrameError, "gives back what is sent"),
    ("half", lambda r: frame(r, reading(1, 2))[:9], FrameError, "only a part of one"),
    ("RTU", lambda _: rtu("03 04 0001 0002"), FrameError, r"speaks RTU: use rtu\+tcp"),
    ("web", lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", FrameError, "a web server"),
    ("other number", lambda r: frame(r, reading(1, 2), transaction=999), NoAnswer, "no answer"),
    ("function", lambda r: frame(r, bytes((0x83, 1))), Refused, r"01 \(illegal function\)"),
    (
        "address",
        lambda r: frame(r, bytes((0x83, 2))),
        Refused,
        r"02 \(illegal data address\).* off by one",
    ),
    ("busy", lambda r: frame(r, bytes((0x83, 6))), NoAnswer, r"06 \(server device busy\)"),
    ("gateway path", lambda r: frame(r, bytes((0x83, 0x0A))), NoAnswer, "no way to unit 1"),
    (
        "gateway target",
        lambda r: frame(r, bytes((0x83, 0x0B))),
        NoAnswer,
        "reached no unit 1: wrong",
    ),
    ("strange", lambda r: frame(r, bytes((0x83, 0x77))), Refused, r"77 \(unknown\)"),
]


@pytest.mark.parametrize(
    ("reply", "error", "message"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS]
)
async def test_each_fault_has_its_error_and_the_next_request_works(
    reply: Callable[[bytes], bytes | None], error: type[InMetterError], message: str
) -> None:
    async with peer(reply) as (device, url):
        line = ModbusLine(url, SHORT_S)
        with pytest.raises(error, match=message):
            await line.read_registers(1, 3, TWO)
        device.reply = zeros
        assert await line.read_registers(1, 3, TWO) == [0, 0]
        line.close()


async def test_a_late_answer_is_never_taken_for_the_next() -> None:
    """The connection is closed with the time-out, so that the late answer reaches nobody."""
    async with peer(lambda _: b"") as (device, url):
        line = ModbusLine(url, SHORT_S)
        with pytest.raises(NoAnswer):
            await line.read_registers(1, 3, TWO)
        device.say(frame(device.requests[0], reading(7, 7)))
        device.reply = zeros
        assert await line.read_registers(1, 3, TWO) == [0, 0]
        assert device.connections == 2
        line.close()


async def test_a_late_answer_that_meets_the_next_connection_has_another_number() -> None:
    """A gateway that answers to whoever is connected: numbers go on where they were."""
    async with peer(lambda _: b"") as (device, url):
        line = ModbusLine(url, SHORT_S)
        with pytest.raises(NoAnswer):
            await line.read_registers(1, 3, TWO)
        late = frame(device.requests[0], reading(7, 7))
        device.reply = lambda r: late + frame(r, reading(8, 9))
        assert await line.read_registers(1, 3, TWO) == [8, 9]
        assert device.connections == 2
        line.close()


async def test_a_late_rtu_answer_that_meets_the_next_connection_passes_by() -> None:
    """A serial server: the answer to the first request comes when we have connected again."""
    late, right = rtu("03 04 0007 0007"), rtu("03 04 0000 0001")
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections == 2:
            writer.write(late)
        try:
            while await reader.readexactly(8):
                if connections == 2:
                    writer.write(right)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"rtu+tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    line = ModbusLine(url, SHORT_S, quiet_s=SHORT_S)
    with pytest.raises(NoAnswer):
        await line.read_registers(1, 3, TWO)
    assert await line.read_registers(1, 3, TWO) == [0, 1]
    assert await line.read_registers(1, 3, TWO) == [0, 1]
    assert connections == 2
    line.close()
    server.close()
    await server.wait_closed()


async def test_an_answer_that_comes_twice_is_passed_over_the_second_time() -> None:
    async with peer(lambda r: frame(r, reading(7, 7)) * 2) as (device, url):
        line = ModbusLine(url, 1.0)
        assert await line.read_registers(1, 3, TWO) == [7, 7]
        first = device.requests[0]
        device.reply = lambda r: frame(first, reading(7, 7)) + frame(r, reading(8, 9))
        assert await line.read_registers(1, 3, TWO) == [8, 9]
        assert device.connections == 1
        line.close()


async def test_an_exception_keeps_the_connection() -> None:
    async with peer(lambda r: frame(r, bytes((0x83, 2)))) as (device, url):
        line = ModbusLine(url, 1.0)
        for _ in range(3):
            with pytest.raises(Refused):
                await line.read_registers(1, 3, TWO)
        assert device.connections == 1
        line.close()


async def test_a_request_that_is_cancelled_leaves_nothing_behind() -> None:
    async with peer(lambda _: b"") as (device, url):
        line = ModbusLine(url, 60)
        request = asyncio.ensure_future(line.read_registers(1, 3, TWO))
        await device.asked.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        device.reply = zeros
        assert await line.read_registers(1, 3, TWO) == [0, 0]
        assert device.connections == 2
        line.close()


async def test_nobody_there_is_unreachable() -> None:
    line = ModbusLine(f"tcp://127.0.0.1:{free_port()}", SHORT_S)
    with pytest.raises(Unreachable, match="no connection"):
        await line.read_registers(1, 3, TWO)
    assert line.requests == 0


async def test_a_request_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP_NODELAY is on at our end of the connection."""
    ports: list[int] = []
    set_option = socket.socket.setsockopt

    def note(self: socket.socket, level: int, option: int, value: int) -> None:
        set_option(self, level, option, value)
        if (level, option, value) == (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1):
            ports.append(self.getpeername()[1])

    async with peer(zeros) as (_, url):
        monkeypatch.setattr(socket.socket, "setsockopt", note)
        line = ModbusLine(url, 1.0)
        await line.read_registers(1, 4, TWO)
        line.close()
        assert int(url.rpartition(":")[2]) in ports


async def test_what_is_asked_is_what_stands_in_the_frame() -> None:
    """V1.1b3 §6.3, §6.4, §6.1, §6.5, in the frame of §4.1 of the TCP guide."""

    def reply(request: bytes) -> bytes:
        match request[7]:
            case 1:
                return frame(request, bytes((1, 1, 1)))
            case 5:
                return frame(request, request[7:])
            case _:
                return zeros(request)

    async with peer(reply) as (device, url):
        line = ModbusLine(url, 1.0)
        await line.read_registers(17, 3, Span(0x006B, 3))
        await line.read_registers(17, 4, Span(0x0008, 1))
        await line.write_coil(17, 0x00AC, 1)
        assert await line.read_coil(17, 0x00AC) == 1
        line.close()
    assert [request[4:].hex(" ") for request in device.requests] == [
        "00 06 11 03 00 6b 00 03",
        "00 06 11 04 00 08 00 01",
        "00 06 11 05 00 ac ff 00",
        "00 06 11 01 00 ac 00 01",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:502",
        "tcp://127.0.0.1",
        "tcp://:502",
        "tcp://h:99999",
        "udp://h:502",
        "serial://",
        "serial:///dev/ttyS0?baud=fast",
        "serial:///dev/ttyS0?parity=X",
        "serial:///dev/ttyS0?bits=7",
    ],
)
def test_a_wrong_url_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match="Modbus line"):
        ModbusLine(url)
