"""RTU and TCP frames byte by byte: what is taken for an answer, and what is passed over."""

import contextlib
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import FrameError
from edge_agent.protocols import modbus_rtu, modbus_tcp
from edge_agent.protocols.modbus_pdu import answer_size, request_size
from tests.contract.modbus_peer import crc, rtu

READ = rtu("03 0000 0002")
ANSWER = rtu("03 04 0007 0008")


def test_the_checksum_is_that_of_the_published_example() -> None:
    """V1.02 §6.2.2: the CRC of 02 07 is 0x1241, sent low byte first."""
    assert modbus_rtu.crc(bytes((2, 7))) == bytes((0x41, 0x12))
    assert modbus_rtu.frame(1, bytes.fromhex("03 0000 0002")).hex(" ") == "01 03 00 00 00 02 c4 0b"


@given(st.binary(max_size=300))
def test_the_table_gives_the_checksum_that_the_bits_give(data: bytes) -> None:
    assert modbus_rtu.crc(data) == crc(data)


@pytest.mark.parametrize(
    ("before", "found"),
    [
        (b"", True),
        (READ, True),
        (READ + READ, True),
        (b"\x00\xff\x01\x03", True),
        (rtu("03 04 0001 0002", unit=9), True),
        (rtu("04 04 0001 0002"), True),
        (ANSWER[:-2] + b"\x00\x00", True),
    ],
)
def test_what_is_not_the_answer_is_passed_over(before: bytes, found: bool) -> None:
    assert (modbus_rtu.find_answer(before + ANSWER, READ) == ANSWER) is found
    assert modbus_rtu.find_answer(before, READ) is None


def test_what_stands_inside_the_frame_of_another_is_no_answer() -> None:
    foreign = rtu(f"03 0a {ANSWER.hex()} 00", unit=9)
    assert ANSWER in foreign
    assert modbus_rtu.find_answer(foreign, READ) is None
    assert modbus_rtu.find_answer(foreign + rtu("83 02"), READ) == rtu("83 02")


def test_an_answer_is_found_when_its_last_byte_comes_and_not_before() -> None:
    for size in range(len(ANSWER)):
        assert modbus_rtu.find_answer(ANSWER[:size], READ) is None
    assert modbus_rtu.find_answer(ANSWER, READ) == ANSWER


@pytest.mark.parametrize("function", [3, 4])
def test_an_echo_is_never_taken_for_an_answer(function: int) -> None:
    """A request for register 0x03xx has the checksum of an answer with three bytes, and others
    begin like a shorter answer by chance."""
    starts = range(0, 0x0400, 7)
    for unit, address, count in product(range(1, 248, 6), starts, (1, 2, 125)):
        sent = rtu(f"{function:02x}{address:04x}{count:04x}", unit)
        assert all(modbus_rtu.find_answer(sent[:size], sent) is None for size in (5, 6, 7, 8))


@pytest.mark.parametrize("write", ["05 0001 ff00", "06 0001 0007"])
def test_the_answer_to_a_write_is_its_second_copy_where_the_line_echoes(write: str) -> None:
    sent = rtu(write)
    assert modbus_rtu.find_answer(sent, sent) == sent
    assert modbus_rtu.find_answer(sent, sent, echoes=True) is None
    assert modbus_rtu.find_answer(sent + sent, sent, echoes=True) == sent
    assert not modbus_rtu.is_echoed(sent, sent)
    assert modbus_rtu.is_echoed(READ, READ)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_an_answer_in_noise_is_found_or_nothing_is(before: bytes, after: bytes) -> None:
    found = modbus_rtu.find_answer(before + ANSWER + after, READ)
    assert found is None or crc(found[:-2]) == found[-2:]


@pytest.mark.parametrize(
    ("pdu", "size"),
    [
        ("83 02", 2),
        ("03 04 0001 0002", 6),
        ("01 01 01", 3),
        ("05 0001 ff00", 5),
        ("10 0001 0002", 5),
        ("2b 0e 01 01 00 00 02 00 01 41 01 02 42 43", 14),
    ],
)
def test_the_size_of_an_answer_is_known_as_soon_as_it_can_be(pdu: str, size: int) -> None:
    data = bytes.fromhex(pdu)
    known = [answer_size(data[:end]) for end in range(len(data) + 1)]
    assert known[-1] == size == len(data)
    assert all(one in (None, size) for one in known)


@pytest.mark.parametrize(
    "pdu", ["03 0000 0002", "0f 0000 0008 01 ff", "10 0000 0001 02 0001", "2b 0e 01 00"]
)
def test_a_request_is_found_at_its_end_and_what_is_before_it_is_dropped(pdu: str) -> None:
    data = bytes.fromhex(pdu)
    request = rtu(pdu, unit=17)
    assert request_size(data) == len(data)
    assert modbus_rtu.take_request(request) == (17, data, len(request))
    assert modbus_rtu.take_request(request[:-1]) is None
    assert modbus_rtu.take_request(b"\x00\x11\x22" + request + b"\x11") == (
        *(17, data),
        3 + len(request),
    )


def test_a_request_with_a_function_that_nobody_knows_is_a_request() -> None:
    """The unit has to answer it: illegal function."""
    request = rtu("63 0102")
    assert modbus_rtu.take_request(request) == (1, bytes.fromhex("63 0102"), len(request))


def mbap(transaction: int, unit: int, pdu: str) -> bytes:
    data = bytes.fromhex(pdu)
    return transaction.to_bytes(2, "big") + bytes((0, 0, 0, len(data) + 1, unit)) + data


ASKED = mbap(7, 1, "03 0000 0002")


def test_a_late_tcp_answer_is_passed_over_and_its_unit_is_known() -> None:
    late, right = mbap(6, 5, "83 0b"), mbap(7, 1, "03 04 0000 0001")
    assert modbus_tcp.find_answer(late, ASKED) is None
    assert modbus_tcp.find_answer(late + right, ASKED) == right
    assert modbus_tcp.strangers(late + right, ASKED) == [5]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (mbap(7, 2, "03 04 0000 0001"), "unit 2 answered instead of unit 1"),
        (mbap(7, 1, "04 04 0000 0001"), "for function 4"),
        (mbap(7, 1, "03 04 0000"), "cut short"),
        (ASKED, "gives back what is sent"),
        (mbap(0, 1, "03 04 0000 0001"), "no transaction number"),
        (b"HTTP/1.1 400 Bad Request", "not a Modbus TCP frame"),
    ],
)
def test_what_cannot_be_a_tcp_answer_is_refused_with_the_reason(answer: bytes, reason: str) -> None:
    with pytest.raises(FrameError, match=reason):
        modbus_tcp.find_answer(answer, ASKED)


@given(st.binary(max_size=300))
def test_bytes_raise_nothing_but_our_own_error(data: bytes) -> None:
    modbus_rtu.find_answer(data, READ)
    modbus_rtu.take_request(data)
    modbus_rtu.strangers(data, READ)
    modbus_tcp.strangers(data, ASKED)
    modbus_tcp.is_frame(data)
    with contextlib.suppress(FrameError):
        modbus_tcp.find_answer(data, ASKED)
