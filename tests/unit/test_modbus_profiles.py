"""Every Modbus profile reads its own recorded registers as it says."""

from decimal import Decimal

import pytest

from common.errors import ConfigError, Undecodable
from common.reading import Quality, to_scaled
from common.registers import Kind
from edge_agent.profiles.modbus import Profile, load_profile, parse_profile, profile_names

EXPECTED_REQUESTS = {
    "abb_b23": 6,
    "carlo_gavazzi_em340": 6,
    "eastron_sdm120": 2,
    "eastron_sdm630": 2,
    "finder_7m38": 7,
    "inepro_pro380": 4,
    "schneider_iem3000": 5,
    "schneider_pm5100": 5,
}


def recorded_words(profile: Profile) -> dict[int, int]:
    assert profile.recorded is not None
    return {
        block.address + offset: int(word, 16)
        for block in profile.recorded.block
        for offset, word in enumerate(block.words.split())
    }


@pytest.mark.parametrize("name", profile_names())
def test_the_recorded_registers_give_the_expected_readings(name: str) -> None:
    profile = load_profile(name)
    assert profile.recorded is not None
    measured = {reading.key: reading for reading in profile.decode(recorded_words(profile))}
    assert measured.keys() == profile.recorded.readings.keys()
    for key, expected in profile.recorded.readings.items():
        if expected == "none":
            assert measured[key].value is None, key
            assert measured[key].quality is Quality.NOT_AVAILABLE, key
        else:
            assert measured[key].value == Decimal(expected), key
            assert measured[key].quality is Quality.GOOD, key


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_loses_no_digit_of_its_index(name: str) -> None:
    profile = load_profile(name)
    registers = {register.key: register for register in profile.registers(60)}
    index = next(r for r in registers.values() if r.kind is Kind.ENERGY_IMPORT)
    assert index.obis == "1-0:1.8.0"
    for reading in profile.decode(recorded_words(profile)):
        if reading.value is not None and registers[reading.key].counting:
            to_scaled(reading.value, registers[reading.key].decimals)


@pytest.mark.parametrize("name", profile_names())
def test_what_a_profile_encodes_it_decodes(name: str) -> None:
    profile = load_profile(name)
    decoded = profile.decode(recorded_words(profile))
    words: dict[int, int] = {}
    for field, reading in zip(profile.register, decoded, strict=True):
        words |= profile.encode(field, reading.value)
    assert profile.decode(words) == decoded


def test_registers_are_merged_into_few_requests() -> None:
    assert {name: len(load_profile(name).requests) for name in profile_names()} == EXPECTED_REQUESTS


def test_a_register_that_was_not_read_is_named() -> None:
    with pytest.raises(Undecodable, match="voltage: register 0 was not read"):
        load_profile("eastron_sdm120").decode({})


GOOD = """
name = "A meter"
maker = "M"
source = "S"
medium = "electricity"
[[register]]
key = "power"
name = "Power"
kind = "power"
address = 10
type = "s32"
decimals = 1
scale = "0.1"
"""

MISTAKES = [
    ("decimals = 1", "decimals = 10", r"register\[1\]\.decimals: expected 0 to 9"),
    ("address = 10", "address = 65535", r"register\[1\]\.address: expected 0 to 65535"),
    ('type = "s32"', 'type = "s31"', r"register\[1\]\.type: invalid enum value 's31'"),
    ('scale = "0.1"', 'scale = "x"', r"register\[1\]\.scale: 'x' is not a number"),
    ('scale = "0.1"', 'scale = "0"', r"register\[1\]\.scale: expected a number above 0"),
    ('scale = "0.1"', "factor = 1", r"register\[1\]: unknown key `factor`"),
    ('key = "power"', 'key = "Power!"', r"register\[1\]\.key: 'Power!' is not 1 to 48"),
    ('medium = "electricity"', 'medium = "el"', r"medium: 'el' is not a medium"),
    ('source = "S"', 'source = "S"\nfunction = 6', r"function: expected 3"),
    ('source = "S"', 'source = "S"\nmax_registers = 126', r"max_registers: expected 4 to 125"),
    ('source = "S"', 'source = "S"\norder = "ACBD"', r"order: invalid enum value 'ACBD'"),
    (
        'scale = "0.1"',
        '[[output]]\nkey = "power"\nname = "P"\ncoil = 0',
        r"two registers .*'power'",
    ),
    ('scale = "0.1"', '[[output]]\nkey = "o"\nname = "O"\ncoil = -1', r"output\[1\]\.coil"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES)
def test_a_mistake_is_named_with_file_and_key(right: str, wrong: str, message: str) -> None:
    assert right in GOOD
    with pytest.raises(ConfigError, match=message) as caught:
        parse_profile(GOOD.replace(right, wrong).encode(), "my.toml")
    assert str(caught.value).startswith("my.toml: ")


def test_a_good_profile_is_taken() -> None:
    assert parse_profile(GOOD.encode(), "my.toml").requests[0].count == 2


def test_an_unknown_profile_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="eastron_sdm630"):
        load_profile("../../etc/passwd")
