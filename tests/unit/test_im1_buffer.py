"""Cutting a stream into IM1 lines: any splitting, any noise, and on with the next line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.protocols.c11do1eth import (
    MAX_LINE,
    BadLine,
    Cmd,
    Frame,
    LineBuffer,
    NakCode,
    Ping,
)
from tests.unit.test_im1_frames import FRAMES

FIRST, SECOND = Ping("m1", 1), Ping("m1", 2)


def drain(buffer: LineBuffer) -> list[Frame | NakCode]:
    """All that is in the buffer: frames, and the codes of bad lines."""
    found: list[Frame | NakCode] = []
    while True:
        try:
            frame = buffer.next_frame()
        except BadLine as bad:
            found.append(bad.code)
            continue
        if frame is None:
            return found
        found.append(frame)


def feed(*pieces: bytes) -> list[Frame | NakCode]:
    buffer = LineBuffer()
    found = []
    for piece in pieces:
        buffer.receive(piece)
        found += drain(buffer)
    return found


@pytest.mark.parametrize("at", range(1, len(FIRST.to_line() + SECOND.to_line())))
def test_a_stream_split_at_any_byte_gives_the_same_frames(at: int) -> None:
    stream = FIRST.to_line() + SECOND.to_line()
    assert feed(stream[:at], stream[at:]) == [FIRST, SECOND]


def test_a_stream_that_comes_byte_by_byte_gives_the_same_frames() -> None:
    stream = FIRST.to_line() + SECOND.to_line()
    assert feed(*(bytes([byte]) for byte in stream)) == [FIRST, SECOND]


@given(st.lists(FRAMES, min_size=1, max_size=5), st.lists(st.integers(1, 200), max_size=20))
def test_frames_survive_any_segmentation(frames: list[Frame], sizes: list[int]) -> None:
    stream = b"".join(frame.to_line() for frame in frames)
    pieces = []
    for size in sizes:
        pieces.append(stream[:size])
        stream = stream[size:]
    assert feed(*pieces, stream) == frames


@pytest.mark.parametrize(
    ("noise", "code"),
    [
        (b"GET / HTTP/1.1\r\n", NakCode.MALFORMED),
        (b"\x00\xff\x80\r\n", NakCode.MALFORMED),
        (b"\r\n", NakCode.MALFORMED),
        (FIRST.to_line()[:-2] + b"\n" + FIRST.to_line(), NakCode.MALFORMED),
        (b"$IM1,m1,PING,0,3*0000\r\n", NakCode.CRC),
        ("$IM1,m1,PING,0,\u00e9*0000\r\n".encode(), NakCode.MALFORMED),
    ],
)
def test_after_a_bad_line_the_next_one_is_read(noise: bytes, code: NakCode) -> None:
    assert feed(FIRST.to_line(), noise, SECOND.to_line()) == [FIRST, code, SECOND]
    assert feed(FIRST.to_line() + noise + SECOND.to_line()) == [FIRST, code, SECOND]


@pytest.mark.parametrize("length", [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 5000])
@pytest.mark.parametrize("size", [1, 7, 512, 10_000])
def test_an_over_long_line_is_reported_once_and_skipped(length: int, size: int) -> None:
    stream = b"x" * length + b"\r\n" + SECOND.to_line()
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert feed(*pieces) == [NakCode.MALFORMED, SECOND]


def test_the_longest_line_allowed_is_read() -> None:
    frame = Cmd("d" * 48, "0" * 32, 10**14, "V" * 16, ("a" * 64, "b" * 64, "c" * 64, "d" * 64))
    assert len(frame.to_line()) <= MAX_LINE
    assert feed(frame.to_line()) == [frame]


def test_a_line_without_an_end_takes_no_more_room_than_one_line() -> None:
    buffer = LineBuffer()
    for _ in range(1000):
        buffer.receive(b"x" * 512)
        drain(buffer)
        assert len(buffer) <= MAX_LINE


@given(st.lists(st.binary(max_size=700), max_size=8))
def test_whatever_comes_before_a_good_line_after_an_end_is_read(noise: list[bytes]) -> None:
    assert feed(*noise, b"\r\n", SECOND.to_line())[-1] == SECOND
