"""What we build, we read back: every kind of record, anywhere in a meter's data."""

import struct
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Undecodable
from edge_agent.protocols.mbus import encode
from edge_agent.protocols.mbus.dif import Function
from edge_agent.protocols.mbus.encode import Place
from edge_agent.protocols.mbus.header import Header
from edge_agent.protocols.mbus.record import Record
from edge_agent.protocols.mbus.telegram import decode_frame
from edge_agent.protocols.mbus.values import EXACT

PLACES = st.builds(
    Place,
    st.sampled_from(list(Function)),
    st.integers(0, 2**41 - 1),
    st.integers(0, 2**20 - 1),
    st.integers(0, 2**10 - 1),
)
HEADERS = st.builds(
    Header,
    st.integers(0, 255),
    st.integers(0, 255),
    st.just(0),
    st.from_regex(r"[0-9]{8}", fullmatch=True),
    st.from_regex(r"[A-Z]{3}", fullmatch=True),
    st.integers(0, 255),
    st.integers(0, 255),
)
HEADER = Header(1, 0, 0, "10203040", "INM", 1, 2)
POWER = b"\x2b"


def read_back(record: bytes) -> Record:
    telegram = decode_frame(encode.response(1, HEADER, [record]).to_bytes())
    assert telegram.errors == ()
    (only,) = telegram.records
    return only


@given(HEADERS, st.integers(0, 255), st.booleans())
def test_a_header_is_read_back(header: Header, address: int, more_follows: bool) -> None:
    frame = encode.response(address, header, [], more_follows)
    telegram = decode_frame(frame.to_bytes())
    assert (telegram.header, telegram.more_follows) == (header, more_follows)


@given(PLACES, st.sampled_from([1, 2, 3, 4, 6, 8]), st.data())
def test_an_integer_is_read_back(place: Place, length: int, data: st.DataObject) -> None:
    limit = 2 ** (8 * length - 1)
    value = data.draw(st.integers(-limit + 1, limit - 1))
    record = read_back(encode.integer(POWER, value, length, place))
    assert record.value == value
    assert record.count == value
    where = (record.function, record.storage, record.tariff, record.subunit)
    assert where == (place.function, place.storage, place.tariff, place.subunit)


@given(PLACES, st.sampled_from([1, 2, 3, 4, 6]), st.data())
def test_a_bcd_number_is_read_back(place: Place, length: int, data: st.DataObject) -> None:
    highest = 10 ** (2 * length)
    value = data.draw(st.integers(1 - highest // 10, highest - 1))
    assert read_back(encode.bcd(POWER, value, length, place)).value == value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_is_read_back_exactly(value: float) -> None:
    record = read_back(encode.real(b"\x28", value))
    assert isinstance(record.value, Decimal)
    assert EXACT.multiply(record.value, Decimal(1000)) == Decimal(
        struct.unpack("<f", struct.pack("<f", value))[0]
    )


@given(st.text(st.characters(codec="latin-1"), max_size=191))
def test_a_text_is_read_back(text: str) -> None:
    assert read_back(encode.text(b"\x78", text)).value == text


@given(st.datetimes(datetime(1981, 1, 1), datetime(2199, 12, 31)))  # noqa: DTZ001 - as meters
def test_a_date_and_time_is_read_back_to_the_minute(at: datetime) -> None:
    record = read_back(encode.date_and_time(at.year, at.month, at.day, at.hour, at.minute))
    assert record.value == at.replace(second=0, microsecond=0).isoformat()


@pytest.mark.parametrize(("value", "length"), [(128, 1), (-129, 1), (2**31, 4), (1, 5)])
def test_an_integer_that_does_not_fit_is_not_built(value: int, length: int) -> None:
    with pytest.raises(Undecodable):
        encode.integer(POWER, value, length)


@pytest.mark.parametrize(("value", "length"), [(100, 1), (-10, 1), (10**8, 4), (1, 5)])
def test_a_bcd_number_that_does_not_fit_is_not_built(value: int, length: int) -> None:
    with pytest.raises(Undecodable):
        encode.bcd(POWER, value, length)


@pytest.mark.parametrize("letters", ["", "IN", "inm", "INMX", "IN1"])
def test_a_manufacturer_has_three_letters(letters: str) -> None:
    with pytest.raises(Undecodable):
        encode.response(1, Header(1, 0, 0, "10203040", letters, 1, 2), [])
