"""Which register and which OBIS code a record is."""

from decimal import Decimal

import pytest

from common.ids import KEY
from common.reading import from_scaled, to_scaled
from common.registers import Kind, Medium
from edge_agent.profiles.mbus import load_profile, profile_names
from edge_agent.protocols.mbus import encode
from edge_agent.protocols.mbus.dif import Function
from edge_agent.protocols.mbus.encode import Place
from edge_agent.protocols.mbus.fixed import decode_fixed
from edge_agent.protocols.mbus.record import Record, decode_body
from edge_agent.protocols.mbus.registers import obis_of, register_of
from edge_agent.protocols.mbus.telegram import decode_frame

MAXIMUM = Place(Function.MAXIMUM)


def record_of(vib: str, place: Place = encode.NOW) -> Record:
    (record,) = decode_body(encode.integer(bytes.fromhex(vib), 7, 4, place)).records
    return record


@pytest.mark.parametrize(
    ("vib", "place", "medium", "obis"),
    [
        ("03", encode.NOW, 0x02, "1-0:1.8.0"),
        ("03", Place(tariff=1), 0x02, "1-0:1.8.1"),
        ("03", Place(tariff=2), 0x02, "1-0:1.8.2"),
        ("83 3B", encode.NOW, 0x02, "1-0:1.8.0"),
        ("83 3C", encode.NOW, 0x02, "1-0:2.8.0"),
        ("83 3C", Place(tariff=2), 0x02, "1-0:2.8.2"),
        ("2B", encode.NOW, 0x02, "1-0:1.7.0"),
        ("AB FC 02", encode.NOW, 0x02, "1-0:41.7.0"),
        ("FD C8 FC 03", encode.NOW, 0x02, "1-0:72.7.0"),
        ("FD D9 FC 01", encode.NOW, 0x02, "1-0:31.7.0"),
        ("FB 2E", encode.NOW, 0x02, "1-0:14.7.0"),
        ("13", encode.NOW, 0x03, "7-0:3.0.0"),
        ("93 3E", encode.NOW, 0x03, "7-0:3.2.0"),
        ("93 3A", encode.NOW, 0x03, "7-0:3.0.0"),
        ("13", encode.NOW, 0x07, "8-0:1.0.0"),
        ("13", encode.NOW, 0x16, "8-0:1.0.0"),
        ("13", encode.NOW, 0x06, "9-0:1.0.0"),
        ("13", encode.NOW, 0x15, "9-0:1.0.0"),
        ("06", encode.NOW, 0x04, "6-0:1.0.0"),
        ("0E", encode.NOW, 0x0C, "6-0:1.0.0"),
        ("06", Place(tariff=1), 0x0D, "6-0:1.0.1"),
        ("06", encode.NOW, 0x0A, "5-0:1.0.0"),
        ("13", encode.NOW, 0x04, "6-0:2.0.0"),
        ("2B", encode.NOW, 0x04, "6-0:8.0.0"),
        ("3B", encode.NOW, 0x04, "6-0:9.0.0"),
        ("5A", encode.NOW, 0x04, "6-0:10.0.0"),
        ("5E", encode.NOW, 0x04, "6-0:11.0.0"),
        ("62", encode.NOW, 0x04, "6-0:12.0.0"),
        ("03", Place(storage=1), 0x02, None),
        ("03", Place(subunit=1), 0x02, None),
        ("2B", MAXIMUM, 0x02, None),
        ("2B", Place(tariff=1), 0x02, None),
        ("83 22", encode.NOW, 0x02, None),
        ("13", encode.NOW, 0x1B, None),
        ("13", encode.NOW, 0xFF, None),
        ("13", encode.NOW, None, None),
        ("FD 17", encode.NOW, 0x02, None),
    ],
)
def test_a_present_value_has_the_code_of_its_medium(
    vib: str, place: Place, medium: int | None, obis: str | None
) -> None:
    record = record_of(vib, place)
    assert obis_of(record, medium) == obis
    register = register_of(record, medium)
    assert register is None or register.obis == obis


@pytest.mark.parametrize(
    ("vib", "place", "key", "kind", "decimals"),
    [
        ("03", encode.NOW, "energy_import", Kind.ENERGY_IMPORT, 0),
        ("01", encode.NOW, "energy_import", Kind.ENERGY_IMPORT, 2),
        ("03", Place(tariff=2, storage=1), "energy_import_t2_s1", Kind.ENERGY_IMPORT, 0),
        ("83 3C", encode.NOW, "energy_export", Kind.ENERGY_EXPORT, 0),
        ("83 BC FC 01", encode.NOW, "energy_export_l1", Kind.ENERGY_EXPORT, 0),
        ("13", Place(subunit=1), "volume_u1", Kind.VOLUME, 3),
        ("93 3C", encode.NOW, "volume_backward", Kind.VOLUME, 3),
        ("2A", MAXIMUM, "power_max", Kind.POWER, 1),
        ("FD C8 FC 05", encode.NOW, "voltage_l1_l2", Kind.VOLTAGE, 1),
        ("5A", encode.NOW, "flow_temperature", Kind.TEMPERATURE, 1),
        ("65", encode.NOW, "external_temperature", Kind.TEMPERATURE, 2),
        ("48", encode.NOW, "flow", Kind.FLOW, 9),
    ],
)
def test_a_record_is_the_register_of_its_quantity_and_place(
    vib: str, place: Place, key: str, kind: Kind, decimals: int
) -> None:
    register = register_of(record_of(vib, place), 0x07)
    assert register is not None
    assert (register.key, register.kind, register.decimals) == (key, kind, decimals)
    assert register.medium is Medium.WATER
    assert KEY.fullmatch(register.key)


@pytest.mark.parametrize(
    ("vib", "place"),
    [
        ("93 22", encode.NOW),
        ("AB 48", encode.NOW),
        ("DA 6F", encode.NOW),
        ("93 59", encode.NOW),
        ("0E", encode.NOW),
        ("62", encode.NOW),
        ("6D", encode.NOW),
        ("FF 13", encode.NOW),
        ("13", MAXIMUM),
        ("13", Place(Function.ERROR)),
    ],
)
def test_what_is_another_quantity_is_no_register(vib: str, place: Place) -> None:
    assert register_of(record_of(vib, place), 0x07) is None


@pytest.mark.parametrize("name", profile_names())
def test_profiles_and_records_agree_on_codes_and_kinds(name: str) -> None:
    profile = load_profile(name)
    medium = Medium[profile.medium.upper()]
    records = decode_frame(bytes.fromhex(profile.recorded.telegram)).records
    by_key = {one.key: one for one in (register_of(each, medium) for each in records) if one}
    for register in profile.registers():
        found = by_key[register.key]
        assert found.kind is register.kind
        assert register.obis in {None, found.obis}


def test_the_decimals_hold_an_integer_exactly() -> None:
    for vib in ("03", "10", "2A", "FD 48", "59", "AB 71"):
        record = record_of(vib)
        register = register_of(record, 0x02)
        assert register is not None
        assert isinstance(record.value, Decimal)
        scaled = to_scaled(record.value, register.decimals)
        assert from_scaled(scaled, register.decimals) == record.value


def test_a_counter_of_the_fixed_structure_is_a_register() -> None:
    header, (first, second) = decode_fixed(
        bytes.fromhex("78 56 34 12 0A 00 E9 7E 01 00 00 00 35 01 00 00"), False
    )
    register = register_of(first, header.medium)
    assert register is not None
    assert (register.key, register.decimals, register.obis) == ("volume", 3, "8-0:1.0.0")
    historic = register_of(second, header.medium)
    assert historic is not None
    assert (historic.key, historic.obis) == ("volume_s1", None)
