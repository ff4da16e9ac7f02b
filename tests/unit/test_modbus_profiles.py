"""Every Modbus profile reads its own recorded registers as it says."""

from decimal import Decimal
from pathlib import Path

import pytest

from common.errors import ConfigError, Undecodable
from common.reading import Measured, Quality, to_scaled
from common.registers import Kind
from edge_agent.profiles.modbus import Profile, load_profile, parse_profile, profile_names
from edge_agent.protocols import sunspec
from edge_agent.protocols.modbus import Request, Span

EXPECTED_REQUESTS = {
    "abb_b21": 6,
    "abb_b23": 6,
    "abb_b24": 6,
    "carlo_gavazzi_em24": 8,
    "carlo_gavazzi_em24_e1": 5,
    "carlo_gavazzi_em330": 6,
    "carlo_gavazzi_em340": 6,
    "carlo_gavazzi_et330": 6,
    "carlo_gavazzi_et340": 6,
    "eastron_sdm120": 2,
    "eastron_sdm230": 2,
    "eastron_sdm630": 2,
    "finder_7m24": 6,
    "finder_7m38": 6,
    "inepro_pro1": 2,
    "inepro_pro380": 2,
    "janitza_b23": 6,
    "janitza_b24": 6,
    "janitza_umg96pa": 1,
    "janitza_umg96rm": 1,
    "janitza_umg96rm_e": 1,
    "schneider_iem3000": 5,
    "schneider_pm5100": 5,
    "schneider_pm5300": 5,
    "siemens_pac2200": 2,
    "siemens_pac3200": 2,
    "sunspec_meter": 1,
    "sunspec_meter_float": 1,
}
COUNTS = {
    name: tuple(r.span.count for r in load_profile(name).requests) for name in profile_names()
}


def placed(profile: Profile) -> Profile:
    """The profile where its recording has it."""
    if not profile.sunspec:
        return profile
    assert profile.recorded is not None
    words = profile.recorded.words
    search = sunspec.search(profile.sunspec)
    answer: list[int] | None = None
    try:
        while True:
            span = search.send(answer)
            answer = [words.get(span.address, 0), words.get(span.address + 1, 0)]
    except StopIteration as end:
        return profile.placed(end.value.address)


def measured(profile: Profile) -> tuple[Measured, ...]:
    assert profile.recorded is not None
    words = profile.recorded.words.items()
    cells = {(profile.function, address): word for address, word in words}
    return placed(profile).decode(cells)


@pytest.mark.parametrize("name", profile_names())
def test_the_recorded_registers_give_the_expected_readings(name: str) -> None:
    profile = load_profile(name)
    assert profile.recorded is not None
    readings = {reading.key: reading for reading in measured(profile)}
    assert readings.keys() == profile.recorded.readings.keys()
    for key, expected in profile.recorded.readings.items():
        if expected == "none":
            assert readings[key].value is None, key
            assert readings[key].quality is Quality.NOT_AVAILABLE, key
        else:
            assert readings[key].value == Decimal(expected), key
            assert readings[key].quality is Quality.GOOD, key


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_loses_no_digit_of_its_index(name: str) -> None:
    profile = load_profile(name)
    registers = {register.key: register for register in profile.registers(60)}
    assert registers["energy_import"].obis == "1-0:1.8.0"
    assert registers["power"].obis == "1-0:1.7.0"
    for reading in measured(profile):
        register = registers[reading.key]
        if reading.value is not None and register.kind is Kind.ENERGY_IMPORT:
            # What is cut off is less than a watt-hour.
            assert 0 <= reading.value - to_scaled(reading.value, register.decimals) < 1


@pytest.mark.parametrize("name", profile_names())
def test_what_a_profile_encodes_it_decodes(name: str) -> None:
    profile = load_profile(name)
    decoded = measured(profile)
    cells = profile.fill({reading.key: reading.value for reading in decoded})
    again = {reading.key: reading.value for reading in profile.decode(cells)}
    sums = {address for field in profile.register if field.plus for address in field.plus}
    sums |= {field.address for field in profile.register if field.plus}
    alone = {field.key for field in profile.register if field.address not in sums}
    expected = {reading.key: reading.value for reading in decoded if reading.key in alone}
    assert {key: again[key] for key in alone} == expected


def test_registers_are_merged_into_few_requests() -> None:
    assert {name: len(counts) for name, counts in COUNTS.items()} == EXPECTED_REQUESTS


def test_no_request_asks_for_more_than_its_device_gives() -> None:
    for name, counts in COUNTS.items():
        assert max(counts) <= load_profile(name).max_registers, name
    assert max(COUNTS["carlo_gavazzi_em24"]) <= 11
    for name in ("eastron_sdm120", "eastron_sdm230", "eastron_sdm630"):
        assert all(count % 2 == 0 and count <= 50 for count in COUNTS[name]), name


def test_no_request_to_a_pac_begins_or_ends_within_a_value() -> None:
    """Floats begin at odd addresses up to 69, doubles at 801 + 4 n (register maps §7)."""
    short, long = load_profile("siemens_pac2200").requests
    assert (short, long) == (Request(3, Span(1, 70)), Request(3, Span(801, 16)))


def test_both_kinds_of_sunspec_models_give_the_same_registers() -> None:
    one = load_profile("sunspec_meter")
    assert one.registers() == load_profile(one.otherwise).registers()


def test_a_scale_factor_comes_with_its_values_in_one_request() -> None:
    text = GOOD + "exponent_at = 40\n"
    assert parse_profile(text.encode(), "my.toml").requests == (Request(3, Span(10, 31)),)
    with pytest.raises(ConfigError, match=r"register\[1\]\.exponent_at: not within one request"):
        parse_profile(text.replace("= 40", "= 200").encode(), "my.toml")


def test_a_register_that_was_not_read_is_named() -> None:
    with pytest.raises(Undecodable, match="voltage: register 0 was not read"):
        load_profile("eastron_sdm120").decode({})


def test_registers_of_both_kinds_can_stand_in_one_profile() -> None:
    text = GOOD + OTHER_KIND
    profile = parse_profile(text.encode(), "my.toml")
    assert profile.requests == (Request(3, Span(10, 2)), Request(4, Span(10, 2)))
    cells = {(3, 10): 0, (3, 11): 25, (4, 10): 1, (4, 11): 2}
    assert [m.value for m in profile.decode(cells)] == [Decimal("2.5"), 65538]
    assert [r.decimals for r in profile.registers()] == [1, 0]


GOOD = """
name = "A meter"
[[register]]
key = "power"
kind = "power"
address = 10
type = "s32"
scale = "0.1"
"""
OTHER_KIND = """
[[register]]
key = "energy_import"
kind = "energy_import"
address = 10
type = "u32"
function = 4
"""

MISTAKES = [
    ('scale = "0.1"', "decimals = 10", r"register\[1\]\.decimals: expected 0 to 9"),
    ("address = 10", "address = 65535", r"register\[1\]\.address: expected 0 to 65535"),
    ("address = 10", "address = -1", r"register\[1\]\.address: expected 0 to 65535"),
    ("address = 10\n", "", r"register\[1\]: missing key `address`"),
    ('type = "s32"', 'type = "s31"', r"register\[1\]\.type: invalid enum value 's31'"),
    ('scale = "0.1"', 'scale = "x"', r"register\[1\]\.scale: 'x' is not a number"),
    ('scale = "0.1"', 'scale = "0"', r"register\[1\]\.scale: expected a number above 0"),
    ('scale = "0.1"', 'scale = "1e99"', r"register\[1\]\.scale: expected a number above 0, and"),
    ('scale = "0.1"', 'scale = "1e-10"', r"register\[1\]\.scale: expected at most 9 decimals"),
    ('scale = "0.1"', "factor = 1", r"register\[1\]: unknown key `factor`"),
    ('scale = "0.1"', "function = 2", r"register\[1\]\.function: expected 3"),
    ('scale = "0.1"', "modulus = 1", r"register\[1\]\.modulus: expected the number"),
    ('kind = "power"', 'kind = "output"', r"register\[1\]\.kind: an output stands in"),
    ('key = "power"', 'key = "Power!"', r"register\[1\]\.key: 'Power!' is not 1 to 48"),
    ('"A meter"', '"A meter"\nmedium = "el"', r"medium: 'el' is not a medium"),
    ('"A meter"', '"A meter"\nfunction = 6', r"function: expected 3"),
    ('"A meter"', '"A meter"\nmax_registers = 126', r"max_registers: expected 4 to 125"),
    ('"A meter"', '"A meter"\ngap = -1', r"gap: expected 0 to 125"),
    ('"A meter"', '"A meter"\nbase = 65536', r"base: expected 0 to 65535"),
    ('"A meter"', '"A meter"\norder = "ACBD"', r"order: invalid enum value 'ACBD'"),
    ('"A meter"', '"A meter"\notherwise = "abb_b23"', r"otherwise: is for profiles with sunspec"),
    ('"A meter"', '"A meter"\nsunspec = [1]\notherwise = "x"', r"otherwise: 'x' is not one of abb"),
    (
        '"A meter"',
        '"A meter"\nsunspec = [1]\notherwise = "sunspec_meter"',
        r"otherwise: expected SunSpec models of the same registers",
    ),
    ('"A meter"', '"A meter"\nidentify = { address = 1 }', r"identify: expected either texts"),
    ('scale = "0.1"', '[[output]]\nkey = "power"\ncoil = 0', r"two registers .*'power'"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES)
def test_a_mistake_is_named_with_file_and_key(right: str, wrong: str, message: str) -> None:
    assert right in GOOD
    with pytest.raises(ConfigError, match=message) as caught:
        parse_profile(GOOD.replace(right, wrong).encode(), "my.toml")
    assert str(caught.value).startswith("my.toml: ")


def test_an_unknown_profile_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="eastron_sdm630"):
        load_profile("../../etc/passwd")


def test_a_profile_of_ones_own_stands_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "my-meter.toml").write_text(GOOD)
    assert load_profile("./my-meter.toml", tmp_path).registers()[0].name == "Power"
    (tmp_path / "my-meter.toml").write_text(GOOD.replace("s32", "s31"))
    with pytest.raises(ConfigError, match=r"my-meter\.toml: register\[1\]\.type"):
        load_profile("./my-meter.toml", tmp_path)
    with pytest.raises(ConfigError, match=r"No such file .* one of abb_b21, .*sunspec_meter"):
        load_profile("./other.toml", tmp_path)


def test_a_variant_says_only_what_is_different(tmp_path: Path) -> None:
    (tmp_path / "swapped.toml").write_text('same_as = "eastron_sdm630"\norder = "CDAB"\n')
    swapped = load_profile("swapped.toml", tmp_path)
    original = load_profile("eastron_sdm630")
    assert swapped.registers() == original.registers()
    voltage = swapped.fill({"voltage_l1": Decimal("230.5")})
    assert (voltage[4, 0], voltage[4, 1]) == (0x8000, 0x4366)
    assert swapped.recorded is None
    (tmp_path / "wrong.toml").write_text('same_as = "sdm"\n')
    with pytest.raises(ConfigError, match=r"wrong\.toml: same_as: 'sdm' is not one of abb_b21"):
        load_profile("wrong.toml", tmp_path)
    (tmp_path / "wrong.toml").write_text('same_as = "abb_b23"\nregister = []\n')
    with pytest.raises(ConfigError, match=r"wrong\.toml: unknown key `register`"):
        load_profile("wrong.toml", tmp_path)
