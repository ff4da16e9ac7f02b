"""Every M-Bus profile carries a telegram, and gives the readings that it says."""

from decimal import Decimal

import pytest

from common.errors import ConfigError
from common.reading import Measured, Quality
from common.registers import Medium
from edge_agent.profiles.mbus import load_profile, parse_profile, profile_names
from edge_agent.protocols.mbus.encode import Place, bcd, integer, response
from edge_agent.protocols.mbus.header import Header
from edge_agent.protocols.mbus.telegram import decode, decode_frame

GOOD = """
name = "n"
maker = "m"
source = "s"
medium = "water"
[[register]]
key = "volume"
name = "Volume"
kind = "volume"
decimals = 3
record = [{ quantity = "volume" }]
[recorded]
origin = "o"
telegram = "68"
readings = { volume = "1" }
"""


def measure(name: str, *records: bytes, status: int = 0) -> dict[str, Measured]:
    header = Header(1, status, 0, "10203040", "INM", 1, 2)
    measured = load_profile(name).measure([decode(response(1, header, records))])
    return {one.key: one for one in measured}


def test_there_are_profiles_of_electricity_water_and_heat() -> None:
    assert {"mbus_electricity", "mbus_electricity_3phase", "mbus_heat", "mbus_water"} <= set(
        profile_names()
    )


@pytest.mark.parametrize("name", profile_names())
def test_a_profiles_own_telegram_gives_its_readings(name: str) -> None:
    profile = load_profile(name)
    telegram = decode_frame(bytes.fromhex(profile.recorded.telegram))
    assert telegram.errors == ()
    measured = profile.measure([telegram])
    assert [one.quality for one in measured] == [Quality.GOOD] * len(measured)
    values = {one.key: one.value for one in measured}
    assert values == {key: Decimal(v) for key, v in profile.recorded.readings.items()}


def test_registers_carry_medium_kind_and_interval() -> None:
    (volume, flow) = load_profile("mbus_water").registers(900)
    assert (volume.medium, volume.unit, volume.obis) == (Medium.WATER, "m³", "8-0:1.0.0")
    assert (volume.counting, flow.counting, flow.interval_s) == (True, False, 900)


def test_phases_are_found_by_vife_by_subunit_or_by_order() -> None:
    voltage = b"\xfd\x48"
    by_subunit = [integer(voltage, 2300 + n, 2, Place(subunit=n)) for n in (3, 1, 2)]
    by_order = [integer(voltage, 2300 + n, 2) for n in (1, 2, 3)]
    for records in (by_subunit, by_order):
        measured = measure("mbus_electricity_3phase", *records)
        values = [measured[f"voltage_l{n}"].value for n in (1, 2, 3)]
        assert values == [Decimal("230.1"), Decimal("230.2"), Decimal("230.3")]


def test_a_register_without_a_record_is_not_available() -> None:
    measured = measure("mbus_water", integer(b"\x3b", 5, 2))
    assert measured["volume"] == Measured("volume", None, Quality.NOT_AVAILABLE)
    assert measured["flow"].quality is Quality.GOOD


def test_a_register_behind_a_cut_is_a_device_error() -> None:
    measured = measure("mbus_water", integer(b"\x3b", 5, 2), b"\x0c\x13\x01")
    assert measured["volume"].quality is Quality.DEVICE_ERROR
    assert measured["flow"].value == Decimal("0.005")


def test_a_permanent_error_of_the_meter_marks_its_values() -> None:
    measured = measure("mbus_water", bcd(b"\x13", 77, 4), status=0x08)
    assert (measured["volume"].value, measured["volume"].quality) == (
        Decimal("0.077"),
        Quality.DEVICE_ERROR,
    )


def test_an_overflow_has_no_value_but_the_meters_count() -> None:
    measured = measure("mbus_water", b"\x0a\x13\x21\xa3")
    assert measured["volume"] == Measured("volume", None, Quality.OVERFLOW, 10321)


def test_a_value_of_another_storage_tariff_or_function_is_not_the_present_one() -> None:
    others = [Place(storage=1), Place(tariff=1), Place(subunit=1)]
    measured = measure("mbus_water", *(bcd(b"\x13", 77, 4, place) for place in others))
    assert measured["volume"].value is None
    assert measure("mbus_water", b"\x02\x93\x22\x01\x00")["volume"].value is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name = "n"', 'nome = "n"', "unknown key"),
        ('medium = "water"', 'medium = "wine"', "medium"),
        ('quantity = "volume"', 'quantity = "volumes"', "register[1].record[1].quantity"),
        ('quantity = "volume"', 'quantity = "volume", storage = -1', "register[1].record[1]"),
        ("decimals = 3", "decimals = 10", "register[1].decimals"),
        ('key = "volume"', 'key = "Volume"', "register[1].key"),
        ('telegram = "68"', 'telegram = "6x"', "recorded.telegram"),
        ('{ volume = "1" }', '{ flow = "1" }', "recorded.readings"),
        ("decimals = 3", "decimals = ", "file.toml"),
    ],
)
def test_a_wrong_profile_names_file_and_key(old: str, new: str, told: str) -> None:
    assert parse_profile(GOOD.encode(), "file.toml").name == "n"
    with pytest.raises(ConfigError) as caught:
        parse_profile(GOOD.replace(old, new, 1).encode(), "file.toml")
    assert "file.toml" in str(caught.value)
    assert told in str(caught.value)


def test_an_unknown_profile_is_told_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="mbus_water"):
        load_profile("mbus_wine")
