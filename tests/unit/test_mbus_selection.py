"""Secondary addresses as text, as bytes, and as masks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Undecodable
from edge_agent.protocols.mbus import encode, link
from edge_agent.protocols.mbus.header import Header
from edge_agent.protocols.mbus.selection import (
    Secondary,
    parse_mask,
    parse_secondary,
    parse_selection,
    secondary_of,
    select,
)

BYTE = st.integers(0, 254)
ADDRESSES = st.builds(
    Secondary, st.text("0123456789", min_size=8, max_size=8), st.tuples(BYTE, BYTE, BYTE, BYTE)
)


def test_a_selection_is_sent_low_byte_first() -> None:
    """INM = 9, 14, 13 in five bits each = 25CD (EN 13757-3, 5.6)."""
    frame = select(parse_secondary("12345678-INM-05-07"))
    assert frame.to_bytes().hex(" ") == "68 0b 0b 68 73 fd 52 78 56 34 12 cd 25 05 07 d4 16"
    open_frame = select(parse_secondary("12345678"))
    assert open_frame.data.hex() == "78563412ffffffff"


@given(ADDRESSES)
def test_an_address_survives_text_and_bytes(address: Secondary) -> None:
    assert parse_secondary(str(address)) == address
    assert parse_selection(select(address)) == address
    assert address.fits(address)
    assert Secondary().fits(address)
    assert parse_mask(f"{address.digits[:3]}FFFFF").fits(address)


@given(ADDRESSES, ADDRESSES)
def test_an_address_fits_no_other(one: Secondary, other: Secondary) -> None:
    assert one.fits(other) is (one == other)


@pytest.mark.parametrize("ci", [0x72, 0x76])
def test_a_telegram_tells_the_address_in_either_byte_order(ci: int) -> None:
    header = Header(1, 0, 0, "12345678", "INM", 5, 7)
    frame = encode.response(1, header, [])
    if ci == 0x76:
        head = frame.data
        turned = head[3::-1] + head[5:3:-1] + head[6:]
        frame = link.LongFrame(frame.control, frame.address, ci, turned)
    assert str(secondary_of(frame)) == "12345678-INM-05-07"


def test_a_fixed_structure_tells_the_identification_alone() -> None:
    frame = link.LongFrame(8, 1, 0x73, bytes.fromhex("78563412 0A 00 E9 7E 01000000 35010000"))
    assert str(secondary_of(frame)) == "12345678"
    assert secondary_of(link.LongFrame(8, 1, 0x7A, bytes(12))) is None
    assert secondary_of(link.LongFrame(8, 1, 0x72, bytes(7))) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1234567",
        "123456789",
        "1234567F",
        "12345678-INM",
        "12345678-INM-5-7",
        "１２３４５６７８",
    ],
)
def test_what_is_no_secondary_address_is_refused(text: str) -> None:
    with pytest.raises(Undecodable, match="expected 8 digits"):
        parse_secondary(text)


def test_a_maker_that_is_no_three_letters_is_written_in_hex() -> None:
    address = Secondary("12345678", (0x00, 0x80, 1, 2))
    assert str(address) == "12345678-8000-01-02"
    assert parse_secondary(str(address)) == address
    assert str(parse_mask("12ffffff")) == "12FFFFFF"
