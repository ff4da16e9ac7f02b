"""The M-Bus link layer: frames to bytes and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import FrameError
from edge_agent.protocols.mbus import encode
from edge_agent.protocols.mbus.link import (
    MAX_DATA,
    Ack,
    Frame,
    LongFrame,
    ShortFrame,
    parse,
    parse_one,
)

BYTE = st.integers(0, 255)
FRAMES = st.one_of(
    st.just(Ack()),
    st.builds(ShortFrame, BYTE, BYTE),
    st.builds(LongFrame, BYTE, BYTE, BYTE, st.binary(max_size=MAX_DATA)),
)


@given(FRAMES, st.binary(max_size=8))
def test_a_frame_survives_the_way_to_bytes_and_back(frame: Frame, rest: bytes) -> None:
    encoded = frame.to_bytes()
    assert parse(encoded + rest) == (frame, len(encoded))


@given(FRAMES, st.data())
def test_every_part_of_a_frame_asks_for_more(frame: Frame, data: st.DataObject) -> None:
    encoded = frame.to_bytes()
    cut = data.draw(st.integers(0, len(encoded) - 1))
    assert parse(encoded[:cut]) is None
    with pytest.raises(FrameError):
        parse_one(encoded[:cut])


@given(st.binary(min_size=1, max_size=300))
def test_noise_is_a_frame_a_part_or_a_frame_error(noise: bytes) -> None:
    try:
        parsed = parse(noise)
    except FrameError:
        return
    assert parsed is None or 1 <= parsed[1] <= len(noise)


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ("00", "starts with 00"),
        ("10 5B 01 5D 16", "checksum"),
        ("10 5B 01 5C 17", "stop"),
        ("68 02", "length"),
        ("68 03 04", "length"),
        ("68 03 03 69", "head"),
        ("68 03 03 68 08 01 72 7C 16", "checksum"),
        ("68 03 03 68 08 01 72 7B 15", "stop"),
        ("E5 E5", "follow"),
    ],
)
def test_a_bad_frame_is_told_by_its_fault(bad: str, word: str) -> None:
    with pytest.raises(FrameError, match=word):
        parse_one(bytes.fromhex(bad))


def test_requests_have_the_bytes_of_the_standard() -> None:
    assert encode.snd_nke(5).to_bytes() == bytes.fromhex("10 40 05 45 16")
    assert encode.req_ud2(5, fcb=True).to_bytes() == bytes.fromhex("10 7B 05 80 16")
    assert encode.req_ud2(5, fcb=False).to_bytes() == bytes.fromhex("10 5B 05 60 16")


def test_a_frame_that_cannot_be_sent_is_not_built() -> None:
    with pytest.raises(FrameError):
        LongFrame(8, 1, 0x72, bytes(MAX_DATA + 1)).to_bytes()
