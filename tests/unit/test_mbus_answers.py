"""The answers that meters give seldom: what we build we read back, and published examples."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from common.errors import ConfigError, Undecodable
from edge_agent.protocols.mbus import answers, encode
from edge_agent.protocols.mbus.encode import Place
from edge_agent.protocols.mbus.header import Header
from edge_agent.protocols.mbus.link import LongFrame
from edge_agent.protocols.mbus.record import Record
from edge_agent.protocols.mbus.state import State
from edge_agent.protocols.mbus.telegram import decode, decode_frame

HEADER = Header(42, 0, 0, "12345678", "ELS", 0x33, 3)
VOLUME = b"\x14"
KEY = bytes(range(16))
PLACES = st.builds(
    Place, storage=st.integers(0, 2**41 - 1), tariff=st.integers(0, 7), subunit=st.integers(0, 3)
)
RECORDS = st.one_of(
    st.builds(encode.integer, st.just(VOLUME), st.integers(-127, 127), st.just(4), PLACES),
    st.builds(encode.bcd, st.just(b"\xfd\x48"), st.integers(0, 10**8 - 1), st.just(4), PLACES),
    st.builds(encode.real, st.just(b"\x2b"), st.floats(width=32), PLACES),
    st.builds(encode.double, st.just(b"\x2b"), st.floats(), PLACES),
    st.builds(encode.text, st.just(b"\xfd\x10"), st.text(st.characters(codec="latin-1")), PLACES),
    st.builds(encode.variable_bcd, st.just(VOLUME), st.integers(1 - 10**18, 10**18 - 1), PLACES),
    st.builds(encode.binary, st.just(b"\x7f"), st.binary(min_size=1, max_size=15), PLACES),
    st.builds(encode.nothing, st.just(VOLUME), PLACES),
    st.builds(
        lambda unit, vifes, n: encode.integer(encode.unit(unit, vifes), n, 2),
        st.text(st.characters(codec="latin-1", min_codepoint=0x20), min_size=1, max_size=20),
        st.sampled_from([b"", b"\x74", b"\xf4\x3b"]),
        st.integers(-99, 99),
    ),
)

# EN 13757-3:2013, table P.1 (mode 5) and OMS volume 2, annex N, security profile B (mode 7): the
# published telegrams of one gas meter, in a wired frame.
PUBLISHED = [
    (
        "0102030405060708090A0B0C0D0E0F11",
        "68 2F 2F 68 08 01 72 78 56 34 12 93 15 33 03 2A 00 20 05 59 23 C9 5A AA 26 D1 B2 E7 49 3B"
        "01 3E C4 A6 F6 D3 52 9B 52 0E DF F0 EA 6D EF C9 9D 6D 69 EB F3 07 16",
    ),
    (
        "000102030405060708090A0B0C0D0E0F",
        "68 41 41 68 08 01 90 0F 00 2C 25 B3 0A 00 00 21 92 4D 4F 2F B6 6E 01 72 78 56 34 12 93 15"
        "33 03 75 00 20 07 10 90 58 47 5F 4B C9 1D F8 78 B8 0A 1B 0F 98 B6 29 02 4A AC 72 79 42 BF"
        "C5 49 23 3C 01 40 82 9B 93 3D 16",
    ),
]


def meaning(record: Record) -> tuple[object, ...]:
    place = (record.function, record.storage, record.tariff, record.subunit)
    return (*place, record.quantity, record.unit, record.value, record.state, record.qualifiers)


@given(st.lists(RECORDS, max_size=3))
def test_the_high_byte_first_says_the_same_as_the_low_byte_first(records: list[bytes]) -> None:
    low = decode(encode.response(1, HEADER, records))
    high = decode(answers.high_first_response(1, HEADER, records))
    assert low.errors == high.errors == ()
    assert high.header == low.header
    assert len(low.records) == len(records)
    for one, other, record in zip(low.records, high.records, records, strict=True):
        assert one.raw == record
        if isinstance(one.value, bytes):
            assert isinstance(other.value, bytes)
            assert other.value in {one.value, one.value[::-1]}
        else:
            assert meaning(one) == meaning(other)


@given(st.lists(RECORDS, max_size=4))
def test_short_headers_and_none_are_read_back(records: list[bytes]) -> None:
    short = decode(answers.short_response(1, Header(7, 4, 0), records))
    bare = decode(answers.bare_response(1, records))
    assert short.header == Header(7, 4, 0)
    assert bare.header is None
    for telegram in (short, bare):
        assert [record.raw for record in telegram.records] == records


@given(
    st.tuples(st.integers(0, 10**8 - 1), st.integers(0, 10**8 - 1)),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 2, 3, 4, 6, 7]),
)
def test_the_fixed_structure_is_read_back(
    counters: tuple[int, int], binary: bool, stored: bool, medium: int
) -> None:
    header = Header(9, 0x08, 0, "12345678", medium=medium)
    frame = answers.fixed_response(1, header, (0x05, 0x3E), counters, binary=binary, stored=stored)
    telegram = decode(frame)
    assert telegram.header is not None
    assert telegram.header == replace(header, status=0x08 + binary + 2 * stored, fixed=True)
    assert telegram.header.status_words == ("permanent error",)
    assert telegram.header.permanent_error
    first, second = telegram.records
    assert [first.value, second.value] == [Decimal(1000 * one) for one in counters]
    assert (first.quantity, first.unit, second.unit) == ("energy", "Wh", "Wh")
    assert (first.storage, second.storage) == (int(stored), 1)


@pytest.mark.parametrize("counters", [(-1, 0), (10**8, 0)])
def test_a_counter_that_does_not_fit_is_not_built(counters: tuple[int, int]) -> None:
    with pytest.raises(Undecodable):
        answers.fixed_response(1, HEADER, (5, 5), counters)


def test_what_a_meter_complains_of_is_read_back() -> None:
    assert decode(answers.application_error(1, 8)).errors == (
        "application error: application too busy for a readout",
    )
    assert decode(answers.alarm(1, 4)).alarm == 4


def test_manufacturers_data_end_a_telegram() -> None:
    body = [encode.integer(VOLUME, 1, 4), answers.manufacturer_data(b"\x0f\x01")]
    telegram = decode(encode.response(1, HEADER, body))
    assert (len(telegram.records), telegram.manufacturer_data) == (1, b"\x0f\x01")


@pytest.mark.parametrize("record", [b"", b"\x02\x14\x01", b"\x01\x14\x01\x01\x14\x01", b"\x2f"])
def test_only_one_whole_record_can_be_turned_round(record: bytes) -> None:
    with pytest.raises(Undecodable):
        answers.high_byte_first(record)


@pytest.mark.parametrize(("key", "frame"), PUBLISHED, ids=["mode 5", "mode 7"])
def test_a_published_encrypted_telegram_is_read_with_its_key(key: str, frame: str) -> None:
    telegram = decode_frame(bytes.fromhex(frame), bytes.fromhex(key))
    assert not telegram.encrypted
    assert telegram.errors == ()
    assert [record.value for record in telegram.records] == [
        Decimal("28504.27"),
        "2008-05-31T23:50:00",
        Decimal(0),
    ]


@pytest.mark.parametrize(("key", "frame"), PUBLISHED, ids=["mode 5", "mode 7"])
def test_with_a_wrong_key_or_none_nothing_is_decoded(key: str, frame: str) -> None:
    without = decode_frame(bytes.fromhex(frame))
    assert (without.encrypted, without.records, without.errors) == (True, (), ())
    wrong = decode_frame(bytes.fromhex(frame), bytes.fromhex(key)[::-1])
    assert (wrong.encrypted, wrong.records) == (True, ())
    assert "the key does not fit" in wrong.errors[0]


@given(st.lists(RECORDS, max_size=2), st.none() | st.integers(0, 2**32 - 1))
def test_a_sealed_telegram_is_read_back(records: list[bytes], counter: int | None) -> None:
    frame = answers.sealed_response(1, HEADER, records, KEY, counter)
    telegram = decode_frame(frame.to_bytes(), KEY)
    assert [record.raw for record in telegram.records] == records
    assert telegram.errors == ()
    assert decode(frame).encrypted


def test_what_is_in_clear_behind_the_encrypted_blocks_is_read_with_and_without_the_key() -> None:
    sealed = answers.sealed_response(1, HEADER, [encode.integer(VOLUME, 5, 4)], KEY)
    tail = encode.integer(b"\x2b", 7, 2)
    frame = LongFrame(sealed.control, 1, sealed.ci, sealed.data + tail)
    assert [record.value for record in decode(frame).records] == [Decimal(7)]
    assert [record.value for record in decode(frame, KEY).records] == [Decimal("0.05"), Decimal(7)]


def test_a_fault_in_decrypted_records_is_told_by_its_place_in_the_frame() -> None:
    frame = answers.sealed_response(1, HEADER, [b"\x3f"], KEY)
    assert decode(frame, KEY).errors == ("record 1 at byte 21: reserved DIF 3F",)


def test_a_mode_7_telegram_in_clear_is_read_behind_its_longer_configuration() -> None:
    head = encode.long_header(Header(1, 0, 0x0710, "12345678", "ELS", 1, 7))
    clear = b"\x00\x2f\x2f" + encode.integer(VOLUME, 5, 4) + b"\x2f" * 8
    telegram = decode(LongFrame(8, 1, 0x72, head + clear))
    assert (telegram.encrypted, [one.value for one in telegram.records]) == (
        False,
        [Decimal("0.05")],
    )


def test_a_short_header_does_not_name_the_meter_as_decryption_needs() -> None:
    frame = answers.short_response(1, Header(1, 0, 0x0510), [bytes(16)])
    telegram = decode(frame, KEY)
    assert telegram.encrypted
    assert "does not name the meter" in telegram.errors[0]


def test_mode_7_needs_a_message_counter() -> None:
    head = encode.long_header(Header(1, 0, 0x0710, "12345678", "ELS", 1, 7))
    telegram = decode(LongFrame(8, 1, 0x72, head + bytes(17)), KEY)
    assert "message counter" in telegram.errors[0]


def test_a_key_has_16_bytes() -> None:
    with pytest.raises(ConfigError, match="16 bytes"):
        answers.sealed_response(1, HEADER, [], b"short")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ("", "fragmentation layer"),
        ("02 00", "fragmentation layer"),
        ("02 00 40 72", "several fragments"),
        ("03 00 28 00 72", "message counter"),
        ("02 00 00 51", "CI field 51"),
        ("02 00 00 72", "too short"),
    ],
)
def test_a_broken_fragmentation_layer_is_undecodable(data: str, word: str) -> None:
    frame = LongFrame(8, 1, 0x90, bytes.fromhex(data))
    with pytest.raises(Undecodable, match=word):
        decode(frame)


@pytest.mark.parametrize(
    ("record", "state"),
    [
        (encode.digits(VOLUME, "BBBBBBBB"), State.NOT_AVAILABLE),
        (encode.digits(VOLUME, "DDDDDDDD"), State.ERROR),
        (encode.digits(VOLUME, "E0000000"), State.OVERFLOW),
        (encode.nothing(VOLUME), State.NO_DATA),
    ],
)
def test_what_is_no_number_can_be_built(record: bytes, state: State) -> None:
    assert decode(encode.response(1, HEADER, [record])).records[0].state is state


@pytest.mark.parametrize("text", ["", "1", "xx", "1234567890"])
def test_digits_that_no_record_has_are_not_built(text: str) -> None:
    with pytest.raises(Undecodable):
        encode.digits(VOLUME, text)


def test_a_number_of_more_than_18_digits_is_not_built() -> None:
    with pytest.raises(Undecodable):
        encode.variable_bcd(VOLUME, 10**18)
    with pytest.raises(Undecodable):
        encode.binary(VOLUME, bytes(17))


def test_every_kind_of_date_is_read_back() -> None:
    records = [
        encode.date(2026, 11, 23),
        encode.time_of_day(0, 0, 0),
        encode.date_and_time(2126, 11, 23, 18, 5, place=Place(storage=1)),
        encode.instant((2026, 7, 23), (18, 5, 59), summer=True),
    ]
    telegram = decode(encode.response(1, HEADER, records))
    assert [(record.value, record.qualifiers) for record in telegram.records] == [
        ("2026-11-23", ()),
        ("00:00:00", ()),
        ("2126-11-23T18:05:00", ()),
        ("2026-07-23T18:05:59", ("summer time",)),
    ]


@pytest.mark.parametrize("identification", ["1234567", "123456789", "1234567x", ""])
def test_an_identification_has_8_digits(identification: str) -> None:
    with pytest.raises(Undecodable):
        encode.response(1, Header(1, 0, 0, identification, "INM", 1, 2), [])
