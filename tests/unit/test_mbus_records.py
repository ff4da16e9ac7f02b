"""Records: every coding, its exact value, and the states that stand in a value's place."""

from decimal import Decimal

import pytest

from edge_agent.protocols.mbus.dif import Function
from edge_agent.protocols.mbus.record import Record, decode_body
from edge_agent.protocols.mbus.state import State


def only(hexes: str, high_first: bool = False) -> Record:
    body = decode_body(bytes.fromhex(hexes), high_first)
    assert body.errors == ()
    (record,) = body.records
    return record


@pytest.mark.parametrize(
    ("hexes", "value", "unit"),
    [
        ("01 5B 14", "20", "°C"),
        ("02 03 18 FC", "-1000", "Wh"),
        ("03 13 15 31 00", "12.565", "m³"),
        ("04 0E FF FF FF 7F", "2147483647000000", "J"),
        ("06 03 01 00 00 00 00 01", "1099511627777", "Wh"),
        ("07 10 01 00 00 00 00 00 00 00", "0.000001", "m³"),
        ("09 13 99", "0.099", "m³"),
        ("0E 07 12 90 78 56 34 12", "1234567890120000", "Wh"),
        ("05 2B 00 00 C0 3F", "1.5", "W"),
        ("02 20 0A 00", "10", "s"),
        ("02 26 0A 00", "36000", "s"),
        ("02 40 0A 00", "0.000060", "m³/h"),
        ("02 48 0A 00", "0.000036000", "m³/h"),
        ("02 69 F4 01", "5.00", "bar"),
        ("02 FD 47 F4 01", "5.00", "V"),
        ("02 FD 59 F4 01", "0.500", "A"),
        ("02 FB 00 01 00", "100000", "Wh"),
        ("02 FB 1A 0F 02", "52.7", "%"),
        ("02 FB 82 75 0F 02", "52700", "varh"),
        ("01 FD 71 B0", "-80", "dBm"),
        ("02 FB 23 01 00", "0.003785411784", "m³"),
        ("02 FB 2D 84 C3", "-154.84", "Hz"),
        ("02 FF 7B 2A 00", "42", ""),
        ("02 FB 68 00 20", "2.000000000000", ""),
        ("02 FB 69 E8 03", "1000", "W"),
        ("01 FB 0D 07", "7000000", "cal"),
        ("01 FB 05 07", "70000", "VAh"),
        ("02 FD FD 02 0A 00", "10", "months"),
        ("02 83 3B 0A 00", "10", "Wh"),
        ("0B AD 7D 50 42 01", "1425000000", "W"),
        ("0D 03 F8 00 00 00 00 00 00 F8 3F", "1.5", "Wh"),
    ],
)
def test_a_number_is_exact_in_its_base_unit(hexes: str, value: str, unit: str) -> None:
    record = only(hexes)
    assert (record.value, record.unit, record.state) == (Decimal(value), unit, None)


@pytest.mark.parametrize(
    ("hexes", "value"),
    [
        ("02 93 74 01 00", "0.00001"),
        ("02 93 7D 01 00", "1"),
        ("02 93 F4 7D 01 00", "0.01"),
        ("02 DA 7B 01 00", "1.1"),
        ("02 DA F7 F4 7B 0A 00", "1.10"),
        ("02 93 7F 01 00", "0.001"),
        ("02 93 FF 7D 01 00", "0.001"),
        ("02 93 3A 01 00", "0.001"),
        ("02 93 FD FC 01 01 00", "1"),
        ("02 FD C8 F4 FC 01 01 00", "0.001"),
        ("02 FB 80 7D 01 00", "100000000"),
        ("02 DA FA 79 01 00", "0.21"),
        ("02 A1 7B 02 00", "180"),
        ("02 A6 7A 02 00", "7560"),
        ("02 C7 7B 01 00", "120"),
        ("02 93 12 01 00", "0.001"),
        ("02 FD 97 1D 01 00", "1"),
        ("02 93 00 01 00", "0.001"),
    ],
)
def test_a_chain_of_vifes_is_applied_as_a_whole(hexes: str, value: str) -> None:
    assert only(hexes).value == Decimal(value)


@pytest.mark.parametrize(
    ("hexes", "state"),
    [
        ("01 5B 80", State.NOT_AVAILABLE),
        ("02 5B 00 80", State.NOT_AVAILABLE),
        ("04 2B 00 00 00 80", State.NOT_AVAILABLE),
        ("0A 5A BB BB", State.NOT_AVAILABLE),
        ("0C 2A DD B4 EB DD", State.ERROR),
        ("0A 5A A1 01", State.ERROR),
        ("05 2B 00 00 C0 7F", State.NOT_AVAILABLE),
        ("05 2B 00 00 80 FF", State.OVERFLOW),
        ("00 2B", State.NO_DATA),
        ("02 AB 15 01 00", State.NOT_AVAILABLE),
        ("02 AB 16 01 00", State.OVERFLOW),
        ("02 AB 17 01 00", State.UNDERFLOW),
        ("02 AB 18 01 00", State.ERROR),
        ("02 AB 04 01 00", State.ERROR),
        ("02 AB 1C 01 00", State.ERROR),
        ("02 AB F4 15 01 00", State.NOT_AVAILABLE),
        ("0D 2B C4 BB BB BB BB", State.NOT_AVAILABLE),
        ("0D 2B F8 00 00 00 00 00 00 F8 7F", State.NOT_AVAILABLE),
        ("0D 2B E0", State.NO_DATA),
        ("03 6D FF FF FF", State.NOT_AVAILABLE),
        ("06 6D 00 00 00 00 00 00", State.NOT_AVAILABLE),
        ("06 6D 0A 80 08 16 27 00", State.INVALID),
        ("05 6D 00 00 C0 3F", State.INVALID),
        ("02 6C 00 00", State.NOT_AVAILABLE),
        ("02 6C FF FF", State.NOT_AVAILABLE),
        ("02 6C 1E 12", State.INVALID),
        ("02 6C 1F 1D", State.INVALID),
        ("04 6D A1 15 E9 17", State.INVALID),
        ("04 6D 3C 15 E9 17", State.INVALID),
        ("0A 6C 01 01", State.INVALID),
    ],
)
def test_a_state_stands_in_the_values_place(hexes: str, state: State) -> None:
    record = only(hexes)
    assert (record.value, record.state) == (None, state)
    assert record.data == bytes.fromhex(hexes)[-len(record.data) :] or not record.data


def test_bcd_has_a_sign_and_an_overflow_in_its_highest_digit() -> None:
    assert only("0B 61 18 00 F0").value == Decimal("-0.18")
    overflow = only("0A 2B 21 A3")
    assert (overflow.value, overflow.state, overflow.count) == (None, State.OVERFLOW, 10321)


def test_a_number_presented_as_type_c_or_d_is_unsigned() -> None:
    assert only("01 83 FC 11 80").value == Decimal(128)
    assert only("01 83 FC 12 FF").value == Decimal(255)
    assert only("01 83 FC 13 FF").value == Decimal(-1)


def test_flags_use_all_their_bits() -> None:
    assert only("01 FD 17 80").value == Decimal(128)
    assert only("04 78 FF FF FF FF").value == Decimal(0xFFFFFFFF)


@pytest.mark.parametrize(
    ("hexes", "value"),
    [
        ("0D FD 0B 06 35 33 32 44 56 52", "RVD235"),
        ("0D 78 00", ""),
        ("0D 13 C2 34 12", Decimal("1.234")),
        ("0D 13 D2 34 12", Decimal("-1.234")),
        ("0D 13 E3 01 00 01", Decimal("65.537")),
        ("0D 7F E9 01 02 03 04 05 06 07 08 09", bytes(range(1, 10))),
        ("0D 7F F0" + " 07" * 16, b"\x07" * 16),
        ("0D 7F F1" + " 07" * 20, b"\x07" * 20),
        ("0D 7F F6" + " 07" * 64, b"\x07" * 64),
        ("0D 13 C9 99 99 99 99 99 99 99 99 99", Decimal("999999999999999.999")),
        ("0D 13 E8 FF FF FF FF FF FF FF FF", Decimal("18446744073709551.615")),
        ("0D 93 1F E3 21 FF 01", b"\x21\xff\x01"),
        ("8D 04 93 1E E2 01 02", b"\1\2"),
        ("0D FD 3B E2 01 02", b"\1\2"),
        ("0D 6D E2 DF 1C", b"\xdf\x1c"),
        ("0D 6D C2 12 34", b"\x12\x34"),
        ("0D 7F E3 01 02 03", b"\1\2\3"),
        ("0D FF 12 E3 01 02 03", b"\1\2\3"),
    ],
)
def test_data_of_variable_length_is_of_its_class(hexes: str, value: object) -> None:
    assert only(hexes).value == value


@pytest.mark.parametrize(
    ("hexes", "text"),
    [
        ("02 6C DF 1C", "2014-12-31"),
        ("02 6C 7F 1C", "2011-12-31"),
        ("02 6C E1 F1", "XXXX-01-01"),
        ("02 6C 80 1F", "2012-XX-XX"),
        ("02 6C 05 C5", "1996-05-05"),
        ("04 6D 17 2E CC 13", "2014-03-12T14:23:00"),
        ("04 6D 3F 1F CC 13", "2014-03-12TXX:XX:00"),
        ("06 6D 0A 00 08 16 27 00", "2016-07-22T08:00:10"),
        ("03 6D 0A 1E 0C", "12:30:10"),
        ("03 6D 00 00 00", "00:00:00"),
        ("04 6D 00 20 01 11", "2008-01-01T00:00:00"),
        ("04 6D 00 60 E1 F1", "XXXX-01-01T00:00:00"),
        ("03 FD 65 00 00 06", "06:00:00"),
        ("02 BB 6F DF 1C", "2014-12-31"),
    ],
)
def test_a_date_is_iso_text(hexes: str, text: str) -> None:
    record = only(hexes)
    assert (record.value, record.state) == (text, None)


def test_summer_time_is_said() -> None:
    assert only("04 6D 17 8E CC 13").qualifiers == ("summer time",)
    assert only("06 6D 4A 00 08 16 27 00").qualifiers == ("summer time",)


def test_storage_tariff_and_subunit_come_from_all_difes() -> None:
    record = only("DA 02 3B 13 01")
    assert (record.function, record.storage) == (Function.MAXIMUM, 5)
    record = only("84 8F 0F 6D 00 00 E1 11")
    assert record.storage == 510
    record = only("8B 60 04 37 18 02")
    assert (record.tariff, record.subunit) == (2, 1)
    record = only("C1 80 80 80 80 80 80 80 80 80 01 2B 01")
    assert record.storage == 1 + (1 << 37)


@pytest.mark.parametrize(
    ("hexes", "quantity", "unit", "qualifiers"),
    [
        ("02 FD C8 FC 01 01 00", "voltage", "V", ("L1",)),
        ("02 83 3C 01 00", "energy", "Wh", ("negative contributions only",)),
        ("02 93 22 01 00", "volume", "m³", ("per hour",)),
        ("02 93 59 01 00", "volume", "s", ("duration of first upper limit exceeded",)),
        ("02 FC 03 48 52 25 74 01 00", "plain text", "%RH", ()),
        ("02 FC 74 03 48 52 25 01 00", "plain text", "%RH", ()),
        ("02 7C 01 43 01 00", "plain text", "C", ()),
        ("02 FD C8 FF 81 01 01 00", "voltage", "V", ("manufacturer specific", "01 01")),
        ("02 FF 13 01 00", "manufacturer specific", "", ("manufacturer specific", "13")),
        ("02 7F 01 00", "manufacturer specific", "", ("manufacturer specific",)),
        ("02 6F 01 00", "reserved", "", ()),
        ("02 FD FD 01 01 00", "reserved", "", ()),
        ("02 FD 7D 01 00", "reserved", "", ()),
        ("02 EF 16 01 00", "reserved", "", ()),
        ("02 7E 01 00", "any", "", ()),
        ("02 93 3D 01 00", "volume", "", ("non-metric",)),
        ("02 93 14 01 00", "volume", "", ("relative deviation",)),
        ("02 FD 97 1D 01 00", "error flags", "", ("standard conform",)),
        ("02 AB FC 0C 01 00", "power", "W", ("import minus export",)),
        ("02 AB FC 2A 01 00", "power", "W", ("extension 2A",)),
        ("02 FC F4 74 03 48 52 25 01 00", "plain text", "%RH", ()),
    ],
)
def test_a_vib_says_what_is_measured(
    hexes: str, quantity: str, unit: str, qualifiers: tuple[str, ...]
) -> None:
    record = only(hexes)
    assert (record.quantity, record.unit, record.qualifiers) == (quantity, unit, qualifiers)


def test_high_byte_first_data_is_turned_round() -> None:
    assert only("03 13 00 31 15", high_first=True).value == Decimal("12.565")
    assert only("0B 13 01 23 45", high_first=True).value == Decimal("12.345")
    assert only("0D 78 03 41 42 43", high_first=True).value == "ABC"


def test_the_unit_of_plain_text_is_scaled_as_its_vifes_say() -> None:
    assert only("02 FC 03 48 52 25 74 01 00").value == Decimal("0.01")
    assert only("02 FC 74 03 48 52 25 01 00").value == Decimal("0.01")


def test_all_bytes_of_a_record_are_its_raw_bytes() -> None:
    for hexes in ("DA 02 BB 74 13 01", "0D FD 0B 02 35 33", "0D 7F E3 01 02 03", "00 2B"):
        assert only(hexes).raw == bytes.fromhex(hexes)


def test_the_bytes_of_a_record_are_kept() -> None:
    record = only("DA 02 BB 74 13 01")
    kept = (record.dib.hex(), record.vib.hex(), record.data.hex(), record.count)
    assert kept == ("da02", "bb74", "1301", 113)


@pytest.mark.parametrize(
    ("tail", "word"),
    [
        ("02 13 01", "1 of 2 bytes"),
        ("02", "before its VIF"),
        ("82", "DIFEs"),
        ("02 93", "VIFEs"),
        ("0D 78", "before its length"),
        ("0D 78 05 41", "1 of 5 bytes"),
        ("0D 78 F8 41", "1 of 8 bytes"),
        ("0D 78 F7 41", "reserved length"),
        ("0D 78 CA 41", "reserved length"),
        ("02 7C 05 41", "plain-text"),
        ("02 7C 81" + " 41" * 129 + " 01 00", "longer than 128 bytes"),
        ("3F 13 01", "reserved DIF"),
        ("82" + " 80" * 10 + " 01 13 01 00", "more than 10 DIFEs"),
        ("02 93" + " F6" * 10 + " 76 01 00", "more than 10 VIFEs"),
    ],
)
def test_good_records_before_a_fault_are_kept_and_flagged(tail: str, word: str) -> None:
    body = decode_body(bytes.fromhex("2F 01 5B 14 2F" + tail))
    assert not body.more_follows
    assert [record.value for record in body.records] == [Decimal(20)]
    assert len(body.errors) == 1
    assert word in body.errors[0]
    assert body.errors[0].startswith("record 2 at byte 5: ")


def test_ten_difes_and_ten_vifes_are_allowed() -> None:
    assert only("82" + " 80" * 9 + " 00 13 01 00").value == Decimal("0.001")
    assert only("02 93" + " F6" * 9 + " 76 01 00").value == Decimal("0.001")


def test_manufacturer_data_ends_the_records() -> None:
    body = decode_body(bytes.fromhex("01 5B 14 1F 01 02"))
    assert (len(body.records), body.more_follows, body.manufacturer_data) == (1, True, b"\1\2")
    body = decode_body(bytes.fromhex("0F"))
    assert (body.more_follows, body.manufacturer_data, body.errors) == (False, b"", ())
