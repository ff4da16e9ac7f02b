"""The Modbus line with RTU frames: faults and their causes, late answers, echoes, neighbours."""

import asyncio
import logging
import os
import tty
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import Disconnected, FrameError, InMetterError, NoAnswer, Refused, Unreachable
from edge_agent.drivers.modbus_line import Busy, ModbusLine
from edge_agent.protocols.modbus import Span
from tests.contract.modbus_peer import frame, peer, registers, rtu, rtu_peer, zeros
from tests.harness.ports import free_port

TWO = Span(0, 2)
SHORT_S = 0.3
ANSWER = rtu("03 04 0001 0002")

FAULTS: list[tuple[str, Callable[[bytes], bytes | None], type[InMetterError], str]] = [
    ("silence", lambda _: b"", NoAnswer, r"within 0\.3 s: wrong unit number \(asked for 1\)"),
    ("hang-up", lambda _: None, Disconnected, r"hung up: .* Modbus TCP \(tcp://\)"),
    ("too few", lambda r: registers(r, 1), FrameError, "2 registers, got 1: it holds fewer"),
    ("too many", lambda r: registers(r, 1, 2, 3), FrameError, "got 3"),
    ("cut", lambda _: ANSWER[:-3], FrameError, "cut short: the time-out is too short"),
    ("checksum", lambda _: ANSWER[:-1] + b"\xff", FrameError, "wrong baud rate or parity"),
    ("garbage", lambda _: b"\xf0\x0f" * 9, FrameError, "18 bytes that are no frame: wrong baud"),
    ("other unit", lambda _: rtu("03 04 0001 0002", 2), FrameError, "unit 2 answered instead of"),
    ("other function", lambda _: rtu("04 04 0001 0002"), FrameError, "for function 4"),
    ("echo", lambda r: r, NoAnswer, "only an echo: wrong unit number"),
    ("TCP", lambda r: r[:2] + bytes.fromhex("0000 0003 c4 8b 01"), FrameError, "use tcp://"),
    ("web", lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", FrameError, "a web server answers"),
    ("address", lambda _: rtu("83 02"), Refused, r"02 \(illegal data address\): .* off by one"),
    ("busy", lambda _: rtu("83 06"), Busy, r"06 \(server device busy\)"),
    ("gateway target", lambda _: rtu("83 0b"), NoAnswer, "reached no unit 1: wrong unit number"),
]


@pytest.mark.parametrize(
    ("reply", "error", "message"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS]
)
async def test_each_fault_names_its_likely_cause_and_the_next_request_works(
    reply: Callable[[bytes], bytes | None], error: type[InMetterError], message: str
) -> None:
    async with rtu_peer(reply) as (device, url):
        line = ModbusLine(url, SHORT_S, quiet_s=0.01)
        with pytest.raises(error, match=message) as caught:
            await line.read_registers(1, 3, TWO)
        assert str(caught.value).startswith(url)
        device.reply = registers
        assert await line.read_registers(1, 3, TWO) == [0, 0]
        line.close()


@pytest.mark.parametrize("pieces", [1, 3, 8])
async def test_an_answer_in_pieces_after_an_echo_and_noise_is_read(pieces: int) -> None:
    async with rtu_peer(lambda _: b"") as (device, url):

        def reply(request: bytes) -> bytes:
            whole = request + b"\xff" + registers(request, 7, 8)
            step = -(-len(whole) // pieces)
            for start in range(step, len(whole), step):
                loop.call_soon(device.say, whole[start : start + step])
            return whole[:step]

        loop = asyncio.get_running_loop()
        device.reply = reply
        line = ModbusLine(url, 5)
        assert await line.read_registers(1, 3, Span(0x0300, 2)) == [7, 8]
        line.close()


async def test_a_write_on_a_line_that_echoes_waits_for_the_device() -> None:
    """The echo of the write looks like its answer: a line known to echo passes it over."""

    def reply(request: bytes) -> bytes:
        if request[1] == 3:
            return request + registers(request)
        return request if silent else request * 2

    silent = False
    async with rtu_peer(reply) as (_, url):
        line = ModbusLine(url, SHORT_S, quiet_s=0.01)
        await line.read_registers(1, 3, TWO)
        await line.write_coil(1, 0, 1)
        await line.write_register(1, 0, 7)
        silent = True
        with pytest.raises(NoAnswer, match="only an echo"):
            await line.write_coil(1, 0, 1)
        line.close()


async def test_a_dead_unit_takes_no_more_of_its_neighbours_time_than_its_time_out() -> None:
    """What is still to come from the dead unit carries its number: nobody else waits for it."""

    def reply(request: bytes) -> bytes:
        return b"" if request[0] == 9 else registers(request, 1, 2)

    async with rtu_peer(reply) as (device, url):
        line = ModbusLine(url, SHORT_S, quiet_s=60)
        loop = asyncio.get_running_loop()

        async def poll(unit: int) -> float:
            async with line.turns.turn():
                try:
                    await line.read_registers(unit, 3, TWO)
                except NoAnswer:
                    device.say(registers(device.requests[-1], 9, 9))
            return loop.time()

        started = loop.time()
        _, *living = await asyncio.gather(*(poll(unit) for unit in (9, 1, 2, 3)))
        assert max(living) - started < 10 * SHORT_S
        assert line.asked == {9: 1, 1: 1, 2: 1, 3: 1}
        line.close()


async def test_the_late_answer_of_a_neighbour_is_passed_over_and_noted() -> None:
    """Both are as long as answers can be, and come in one piece."""
    words = range(125)

    def reply(request: bytes) -> bytes:
        late = registers(bytes((9, *request[1:])), *reversed(words))
        return late + registers(request, *words)

    async with rtu_peer(reply) as (_, url):
        line = ModbusLine(url, 5)
        assert await line.read_registers(1, 3, Span(0, 125)) == list(words)
        assert line.late == {9}
        line.close()


async def test_what_comes_between_two_requests_is_no_answer() -> None:
    async with rtu_peer(lambda r: registers(r, 7, 7) * 2) as (device, url):
        line = ModbusLine(url, 5)
        assert await line.read_registers(1, 3, TWO) == [7, 7]
        device.reply = lambda r: registers(r, 8, 8)
        assert await line.read_registers(1, 3, TWO) == [8, 8]
        line.close()


async def test_orders_go_before_the_polls_that_wait() -> None:
    async def use(unit: int, order: bool) -> None:
        arrived.release()
        async with line.turns.turn(order=order):
            await line.read_registers(unit, 3, TWO)

    arrived = asyncio.Semaphore(0)
    async with rtu_peer(registers) as (device, url):
        line = ModbusLine(url, 5)
        async with line.turns.turn():
            given = ((1, False), (2, False), (3, True))
            waiting = [asyncio.ensure_future(use(*one)) for one in given]
            for _ in given:
                await arrived.acquire()
            assert line.turns.waiting == 3
        await asyncio.gather(*waiting)
        assert [request[0] for request in device.requests] == [3, 1, 2]
        line.close()


@pytest.mark.parametrize(("patient", "connections"), [(True, 1), (False, 4)])
async def test_only_a_patient_line_stays_connected_through_silence(
    patient: bool, connections: int
) -> None:
    async with rtu_peer(lambda _: b"") as (device, url):
        line = ModbusLine(url, 0.05, quiet_s=0.01, patient=patient)
        for unit in (1, 2, 3):
            with pytest.raises(NoAnswer):
                await line.read_registers(unit, 3, TWO)
        device.reply = registers
        assert await line.read_registers(3, 3, TWO) == [0, 0]
        assert device.connections == connections
        line.close()


@pytest.mark.parametrize("serve", [peer, rtu_peer])
async def test_the_wire_log_has_both_directions_in_hex_with_the_line(
    serve: Callable[..., object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "inmetter.wire")
    answers: dict[object, Callable[[bytes], bytes]] = {peer: zeros, rtu_peer: registers}
    reply = answers[serve]
    async with (peer if serve is peer else rtu_peer)(reply) as (device, url):
        line = ModbusLine(url, 5)
        await line.read_registers(1, 3, TWO)
        request = device.requests[0]
        line.close()
    assert [record.getMessage() for record in caplog.records if record.name == "inmetter.wire"] == [
        f"{url} > {request.hex(' ')}",
        f"{url} < {reply(request).hex(' ')}",
    ]


async def test_every_write_stands_in_its_frame_as_the_standard_says() -> None:
    """V1.1b3 §6.5, §6.6, §6.11, §6.12; and several coils are read (§6.1)."""

    def reply(request: bytes) -> bytes:
        pdu = request[7:]
        return frame(request, bytes((1, 2, 0xCD, 0x01)) if pdu[0] == 1 else pdu[:5])

    async with peer(reply) as (device, url):
        line = ModbusLine(url, 5)
        await line.write_coil(1, 0xAC, 1)
        await line.write_register(1, 1, 3)
        await line.write_coils(1, 0x13, (1, 0, 1, 1, 0, 0, 1, 1, 1, 0))
        await line.write_registers(1, 1, (0x000A, 0x0102))
        assert await line.read_coils(1, 0x13, 10) == [1, 0, 1, 1, 0, 0, 1, 1, 1, 0]
        line.close()
    assert [request[7:].hex(" ") for request in device.requests] == [
        "05 00 ac ff 00",
        "06 00 01 00 03",
        "0f 00 13 00 0a 02 cd 01",
        "10 00 01 00 02 04 00 0a 01 02",
        "01 00 13 00 0a",
    ]


async def test_too_few_coils_are_an_error() -> None:
    async with peer(lambda r: frame(r, bytes((1, 1, 0xFF)))) as (_, url):
        line = ModbusLine(url, 5)
        with pytest.raises(FrameError, match="asked for 10 coils, got 8"):
            await line.read_coils(1, 0, 10)
        line.close()


async def test_an_identification_comes_with_where_it_goes_on() -> None:
    """V1.1b3 §6.21."""
    part = bytes.fromhex("2b 0e 01 01 ff 02 02") + b"\x00\x03ABC\x01\x02X1"
    async with peer(lambda r: frame(r, part)) as (device, url):
        line = ModbusLine(url, 5)
        assert await line.identify(5, 1) == ({0: b"ABC", 1: b"X1"}, 2)
        assert device.requests[0][6:].hex(" ") == "05 2b 0e 01 00"
        device.reply = lambda r: frame(r, part[:-1])
        with pytest.raises(FrameError, match="cut short"):
            await line.identify(5, 1)
        line.close()


async def test_why_there_is_no_connection_is_said(tmp_path: Path) -> None:
    reasons = {
        f"tcp://127.0.0.1:{free_port()}": "refused: nothing listens",
        f"serial://{tmp_path}/ttyX": "there is no such port: is the adapter plugged in",
    }
    for url, reason in reasons.items():
        line = ModbusLine(url, 5)
        with pytest.raises(Unreachable, match=f"^{url}: no connection: {reason}"):
            await line.read_registers(1, 3, TWO)
        assert line.requests == 0


@pytest.mark.parametrize("parity", ["E", "O", "N"])
async def test_a_pseudo_terminal_is_read_whatever_the_parity(parity: str) -> None:
    """Some refuse to be set to a parity (EINVAL), since they have none."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, lambda: os.write(ours, registers(os.read(ours, 8), 5, 6)))
    line = ModbusLine(f"serial://{os.ttyname(theirs)}?baud=19200&parity={parity}", 5)
    try:
        assert await line.read_registers(1, 3, TWO) == [5, 6]
        other = ModbusLine(f"serial://{os.ttyname(theirs)}?parity=N", 5)
        with pytest.raises(Unreachable, match="another program uses the port"):
            await other.read_registers(1, 3, TWO)
    finally:
        line.close()
        loop.remove_reader(ours)
        os.close(ours)
        os.close(theirs)


async def test_a_serial_line_is_silent_for_a_moment_before_each_request() -> None:
    """V1.02 §2.5.1.1: 3.5 characters, which are 350 ms here. So an answer that comes twice has
    ended before the next request, and is not taken for its answer."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    loop = asyncio.get_running_loop()
    asked: list[bytes] = []

    def reply() -> None:
        asked.append(os.read(ours, 8))
        answer = registers(asked[-1], len(asked), 0)
        loop.call_later(0.05, os.write, ours, answer)
        if len(asked) == 1:
            loop.call_later(0.1, os.write, ours, answer)

    loop.add_reader(ours, reply)
    line = ModbusLine(f"serial://{os.ttyname(theirs)}?baud=110&parity=N", 5)
    try:
        assert await line.read_registers(1, 3, TWO) == [1, 0]
        assert await line.read_registers(1, 3, Span(9, 2)) == [2, 0]
    finally:
        line.close()
        loop.remove_reader(ours)
        os.close(ours)
        os.close(theirs)
