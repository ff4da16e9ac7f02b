"""Whatever happens to the bytes of real telegrams, nothing but our own errors comes out."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from common.errors import InMetterError
from edge_agent.profiles.mbus import load_profile, profile_names
from edge_agent.protocols.mbus.capture import pieces
from edge_agent.protocols.mbus.link import Ack, LongFrame, ShortFrame, parse
from edge_agent.protocols.mbus.record import decode_body
from edge_agent.protocols.mbus.registers import obis_of, register_of
from edge_agent.protocols.mbus.telegram import Telegram, decode, decode_frame

SHARED = Path(__file__).resolve().parents[3] / "shared" / "mbus-frames"
REAL = [bytes.fromhex(path.read_text()) for path in sorted(SHARED.glob("*/*.hex"))]
OWN = [bytes.fromhex(load_profile(name).recorded.telegram) for name in profile_names()]
FRAMES = st.sampled_from(OWN + REAL)
EVERY_CI = st.sampled_from(
    [0x6E, 0x6F, 0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x7A, 0x90]
)
KEYS = st.none() | st.just(bytes(16))

fuzz = settings(
    max_examples=600,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def check(telegram: Telegram) -> None:
    """What must be true of whatever is decoded."""
    medium = telegram.header.medium if telegram.header else None
    for record in telegram.records:
        assert (record.value is None) == (record.state is not None)
        assert record.raw
        register = register_of(record, medium)
        assert register is None or 0 <= register.decimals <= 9
        obis_of(record, medium)


def body_of(frame: bytes) -> bytes:
    return frame[7:-2]


def decode_or_refuse(ci: int, body: bytes, key: bytes | None = None) -> None:
    try:
        check(decode(LongFrame(0x08, 1, ci, body), key))
    except InMetterError:
        return


@fuzz
@given(FRAMES, st.data(), EVERY_CI)
def test_a_truncated_telegram(frame: bytes, data: st.DataObject, ci: int) -> None:
    body = body_of(frame)
    decode_or_refuse(ci, body[: data.draw(st.integers(0, len(body)))])


@fuzz
@given(FRAMES, st.lists(st.tuples(st.integers(0, 255), st.integers(0, 7)), max_size=8), KEYS)
def test_a_telegram_with_flipped_bits(
    frame: bytes, flips: list[tuple[int, int]], key: bytes | None
) -> None:
    body = bytearray(body_of(frame))
    for at, bit in flips:
        if body:
            body[at % len(body)] ^= 1 << bit
    decode_or_refuse(frame[6] if len(frame) > 6 else 0x72, bytes(body), key)


@fuzz
@given(FRAMES, st.integers(0, 255), st.binary(min_size=1, max_size=40), EVERY_CI, KEYS)
def test_a_telegram_with_bytes_put_in(
    frame: bytes, at: int, more: bytes, ci: int, key: bytes | None
) -> None:
    body = body_of(frame)
    decode_or_refuse(ci, body[:at] + more + body[at:], key)


@fuzz
@given(st.binary(max_size=300), st.booleans())
@example(b"\x0d\x7c\x00\xf8" + bytes(8), False)
@example(b"\x05\xfc\x7d\x00" + b"\x7f" * 4, True)
def test_noise_as_records(noise: bytes, high_first: bool) -> None:
    body = decode_body(noise, high_first)
    assert (
        body.errors or body.records or body.manufacturer_data is not None or not noise.strip(b"/")
    )


@fuzz
@given(FRAMES, st.data())
def test_a_damaged_frame_is_refused_or_read(frame: bytes, data: st.DataObject) -> None:
    damaged = bytearray(frame)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                damaged[at] ^= 1 << data.draw(st.integers(0, 7))
            case 1:
                damaged[at:at] = data.draw(st.binary(min_size=1, max_size=8))
            case _:
                del damaged[at + 1 :]
    try:
        check(decode_frame(bytes(damaged)))
    except InMetterError:
        return


@fuzz
@given(st.lists(FRAMES | st.binary(max_size=40), max_size=5).map(b"".join))
def test_the_pieces_of_a_capture_are_the_whole_of_it(capture: bytes) -> None:
    at = 0
    for piece in pieces(capture):
        assert piece.start == at
        at = piece.end
        if isinstance(piece.frame, Ack | ShortFrame | LongFrame):
            assert parse(capture[piece.start : piece.end]) == (piece.frame, piece.end - piece.start)
        else:
            assert piece.error.startswith("byte ")
    assert at == len(capture)


@pytest.mark.skipif(not REAL, reason="../shared/mbus-frames is not here")
def test_every_cut_of_every_real_telegram_keeps_the_records_before_it() -> None:
    for frame in REAL:
        body = body_of(frame)
        try:
            whole = decode(LongFrame(0x08, 1, frame[6], body))
        except InMetterError:
            continue
        for end in range(12, len(body), 5):
            try:
                part = decode(LongFrame(0x08, 1, frame[6], body[:end]))
            except InMetterError:
                continue
            assert part.records == whole.records[: len(part.records)]
