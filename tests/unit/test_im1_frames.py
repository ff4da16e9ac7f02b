"""IM1 frames: every frame comes back from its line, and nothing else becomes a frame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.protocols.c11do1eth import (
    FROM_DEVICE,
    FROM_SERVER,
    MAX_LINE,
    Ack,
    Auth,
    BadLine,
    Cause,
    Chal,
    Clock,
    Cmd,
    Evt,
    Frame,
    Hello,
    Nak,
    NakCode,
    Ping,
    Pong,
    Reason,
    Rec,
    Result,
    Rsp,
    Welc,
    is_proof,
    parse,
    prove,
    unreadable,
)
from edge_agent.protocols.crc import crc16_arc

ALPHABET = "ABCXYZabcxyz0189._-"
DEVICES = st.text(ALPHABET, min_size=1, max_size=48)
NAMES = st.text(ALPHABET, min_size=1, max_size=32)
WORDS = st.from_regex(r"[A-Z][A-Z0-9_]{0,15}", fullmatch=True)
ARGUMENTS = st.lists(st.text(ALPHABET + ":+", min_size=1, max_size=64), max_size=4).map(tuple)
COMMANDS = st.binary(min_size=16, max_size=16).map(bytes.hex)
BIT, U8, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (1, 8, 32, 64))
SEQ = st.integers(1, 2**32 - 1)
TIME = st.integers(0, 253_402_300_799_999)
CLOCK = st.sampled_from(Clock)

RECORDS = st.builds(
    Rec,
    *(DEVICES, SEQ, SEQ, TIME, CLOCK, U64, U32, U64, U64, BIT, BIT, U32),
    *(st.sampled_from(Reason), st.sampled_from(Cause)),
)
FRAMES: st.SearchStrategy[Frame] = st.one_of(
    st.builds(Hello, DEVICES, U8, NAMES, NAMES, SEQ, U32, SEQ, U32),
    st.builds(Chal, DEVICES, st.binary(min_size=16, max_size=16)),
    st.builds(Auth, DEVICES, st.binary(min_size=32, max_size=32)),
    st.builds(Welc, DEVICES, TIME, U32, U32, U32, U32, U32),
    RECORDS,
    st.builds(Evt, DEVICES, SEQ, SEQ, TIME, CLOCK, U64, WORDS, ARGUMENTS),
    st.builds(Ack, DEVICES, U32, U32),
    st.builds(Nak, DEVICES, U32, st.sampled_from(NakCode)),
    st.builds(Cmd, DEVICES, COMMANDS, TIME, WORDS, ARGUMENTS),
    st.builds(Rsp, DEVICES, COMMANDS, st.sampled_from(Result), st.none() | U64, TIME),
    st.builds(Ping, DEVICES, TIME),
    st.builds(Pong, DEVICES, TIME),
)


def line(body: str) -> bytes:
    """A line around ``body``, with a checksum computed bit by bit, not by the code under test."""
    crc = 0
    for byte in body.encode("latin-1"):
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
    return f"${body}*{crc:04X}".encode("latin-1")


def test_the_checksum_gives_the_published_check_value() -> None:
    assert crc16_arc(b"123456789") == 0xBB3D


@given(FRAMES)
def test_every_frame_comes_back_from_its_line(frame: Frame) -> None:
    sent = frame.to_line()
    assert sent.endswith(b"\r\n")
    assert len(sent) <= MAX_LINE
    assert parse(sent[:-2]) == frame
    assert sent[:-2] == line(sent[1:-7].decode("ascii"))


@given(FRAMES, st.data())
def test_a_frame_with_one_changed_bit_is_refused(frame: Frame, data: st.DataObject) -> None:
    good = frame.to_line()[:-2]
    bit = data.draw(st.integers(0, (len(good) - 4) * 8 - 1))
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadLine):
        parse(bytes(bad))


@given(st.binary(max_size=600))
def test_nothing_but_a_bad_line_comes_out_of_noise(noise: bytes) -> None:
    with pytest.raises(BadLine):
        parse(noise)


def test_every_type_has_a_direction() -> None:
    types = {frame.TYPE for frame in (*FROM_DEVICE, *FROM_SERVER)}
    assert types == {
        *("HELLO", "CHAL", "AUTH", "WELC", "REC", "EVT", "ACK", "NAK", "CMD", "RSP", "PING"),
        "PONG",
    }


@pytest.mark.parametrize(
    ("body", "seq"),
    [
        ("", 0),
        ("IM1", 0),
        ("IM2,m1,PING,0,5", 0),
        ("IM1,,PING,0,5", 0),
        ("IM1,m 1,PING,0,5", 0),
        ("IM1,m1,NOISE,7,5", 7),
        ("IM1,m1,PING,0", 0),
        ("IM1,m1,PING,0,5,5", 0),
        ("IM1,m1,PING,1,5", 1),
        ("IM1,m1,PING,0,05", 0),
        ("IM1,m1,PING,0,-5", 0),
        ("IM1,m1,PING,0,+5", 0),
        ("IM1,m1,PING,0,5 ", 0),
        ("IM1,m1,PING,0,253402300800000", 0),
        ("IM1,m1,ACK,4294967296,1", 0),
        ("IM1,m1,REC,0,1,0,U,0,0,0,0,0,0,0,T,-", 0),
        ("IM1,m1,REC,9,0,0,U,0,0,0,0,0,0,0,T,-", 9),
        ("IM1,m1,REC,9,1,0,X,0,0,0,0,0,0,0,T,-", 9),
        ("IM1,m1,REC,9,1,0,U,0,0,18446744073709551616,0,0,0,0,T,-", 9),
        ("IM1,m1,REC,9,1,0,U,0,0,0,0,2,0,0,T,-", 9),
        ("IM1,m1,REC,9,1,0,U,0,0,0,0,0,0,0,T", 9),
        ("IM1,m1,EVT,9,1,0,U,0", 9),
        ("IM1,m1,EVT,9,1,0,U,0,power", 9),
        ("IM1,m1,EVT,9,1,0,U,0,CLOCK,", 9),
        ("IM1,m1,EVT,9,1,0,U,0,CLOCK,1,,2", 9),
        ("IM1,m1,EVT,9,1,0,U,0,CLOCK,1,2,3,4,5", 9),
        ("IM1,m1,CMD,0,00000000000000000000000000000001,5", 0),
        ("IM1,m1,CMD,0,1,5,OUT,ON", 0),
        ("IM1,m1,CHAL,0,00", 0),
        ("IM1,m1,CHAL,0," + "0g" * 16, 0),
        ("IM1,m1,NAK,0,WHY", 0),
    ],
)
def test_a_line_with_a_good_checksum_and_wrong_content_is_malformed(body: str, seq: int) -> None:
    with pytest.raises(BadLine) as bad:
        parse(line(body))
    assert bad.value.code is NakCode.MALFORMED
    assert bad.value.seq == seq


@pytest.mark.parametrize(
    "frame",
    [
        Ping("m1", -1),
        Ping("", 1),
        Ping("m1,x", 1),
        Rec("m1", 0, 1, 0, Clock.UNKNOWN, 0, 0, 0, 0, 0, 0, 0, Reason.TIMED, Cause.NONE),
        Chal("m1", b"short"),
        Cmd("m1", "0" * 32, 1, "OUT", ("a*b",)),
        Evt("m1", 1, 1, 0, Clock.UNKNOWN, 0, "X", ("1",) * 5),
        Ack("m1", 2**32, 0),
        Ack("m1", True, 0),
    ],
)
def test_a_frame_that_cannot_be_read_back_cannot_be_sent(frame: Frame) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        frame.to_line()


def test_a_proof_is_good_for_one_device_nonce_boot_and_key_only() -> None:
    nonce, other = bytes(16), bytes(15) + b"\x01"
    proof = prove(b"k" * 16, "m1", nonce, 7)
    assert is_proof(proof, b"k" * 16, "m1", nonce, 7)
    assert not is_proof(proof, b"K" * 16, "m1", nonce, 7)
    assert not is_proof(proof, b"k" * 16, "m2", nonce, 7)
    assert not is_proof(proof, b"k" * 16, "m1", other, 7)
    assert not is_proof(proof, b"k" * 16, "m1", nonce, 8)
    assert not is_proof(proof[:-1], b"k" * 16, "m1", nonce, 7)


@pytest.mark.parametrize(
    ("body", "boot"),
    [
        ("IM1,m1,REC,9,3,0,X,0,0,0,0,0,0,0,T,-", 3),
        ("IM1,m1,REC,9,3,0,U", 3),
        ("IM1,m1,EVT,9,,0,U,0,power", 0),
        ("IM1,m1,EVT,9,99999999999,0,U,0,CLOCK", 0),
        ("IM1,m1,EVT,9", 0),
    ],
)
def test_a_whole_record_without_a_meaning_still_has_its_number(body: str, boot: int) -> None:
    with pytest.raises(BadLine) as bad:
        parse(line(body))
    record = unreadable(bad.value)
    assert record is not None
    assert (record.device, record.seq, record.boot, record.line) == ("m1", 9, boot, body)


@pytest.mark.parametrize(
    "sent",
    [
        line("IM1,m1,REC,0,1,0,U,0,0,0,0,0,0,0,T,-"),
        line("IM1,m1,REC,4294967296,1"),
        line("IM1,m1,PING,9,5,5"),
        line("IM1,m1,NOISE,9,5"),
        line("IM1,m1,REC,9,1,0,X,0")[:-1] + b"0",
        b"$IM1,m1,REC,9,1*",
    ],
)
def test_what_names_no_record_or_is_not_whole_is_no_record_without_a_meaning(sent: bytes) -> None:
    with pytest.raises(BadLine) as bad:
        parse(sent)
    assert unreadable(bad.value) is None
