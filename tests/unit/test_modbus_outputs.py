"""Outputs of Modbus devices: what is written for on and off, and what reads back as which."""

from decimal import Decimal

import pytest

from common.errors import ConfigError, Undecodable
from common.reading import Quality
from common.registers import Kind
from edge_agent.profiles.modbus import Output, parse_profile
from edge_agent.protocols.modbus import Request, Span, Write

COIL = "coil = 3"
INVERTED = "coil = 3\non = 0\noff = 1"
MOTOR = "coil = 16\ncount = 2\non = 0b01\noff = 0b10"
ALL = "coil = 0\ncount = 10"
REGISTER = "register = 512"
CODES = "register = 512\non = 0xAA\noff = 0x55\nwrite = 16"
MASKED = "register = 512\nmask = 0x0100"
WIDE = 'register = 512\ntype = "u32"\norder = "CDAB"\non = 65537'
FLOAT = 'register = 512\ntype = "f32"\non = 2141'
SIGNED = 'register = 512\ntype = "s16"\non = -1'


def output(text: str) -> Output:
    profile = parse_profile(
        f'name = "Relay"\n[[output]]\nkey = "roof"\n{text}\n'.encode(), "relay.toml"
    )
    return profile.output[0]


SETTINGS = [
    (COIL, Write(5, 3, (1,)), Write(5, 3, (0,))),
    (INVERTED, Write(5, 3, (0,)), Write(5, 3, (1,))),
    (COIL + "\nwrite = 15", Write(15, 3, (1,)), Write(15, 3, (0,))),
    (MOTOR, Write(15, 16, (1, 0)), Write(15, 16, (0, 1))),
    (ALL, Write(15, 0, (1,) * 10), Write(15, 0, (0,) * 10)),
    (REGISTER, Write(6, 512, (1,)), Write(6, 512, (0,))),
    (CODES, Write(16, 512, (0xAA,)), Write(16, 512, (0x55,))),
    (WIDE, Write(16, 512, (1, 1)), Write(16, 512, (0, 0))),
    (FLOAT, Write(16, 512, (0x4505, 0xD000)), Write(16, 512, (0, 0))),
    (SIGNED, Write(6, 512, (0xFFFF,)), Write(6, 512, (0,))),
]


@pytest.mark.parametrize(("text", "on", "off"), SETTINGS)
def test_each_kind_of_output_is_written_as_its_device_wants(
    text: str, on: Write, off: Write
) -> None:
    one = output(text)
    assert (one.setting(1, {}), one.setting(0, {})) == (on, off)


@pytest.mark.parametrize(("text", "on", "off"), SETTINGS)
def test_what_was_written_reads_back_as_that_state(text: str, on: Write, off: Write) -> None:
    one = output(text)
    for write, state in ((on, 1), (off, 0)):
        span = one.request.span
        assert (span.address, span.count) == (write.address, len(write.values))
        cells = {
            (one.request.function, write.address + i): value for i, value in enumerate(write.values)
        }
        assert one.state(cells) == state
        assert one.measured(cells).value == Decimal(state)


def test_the_bits_beside_the_mask_are_kept() -> None:
    one = output(MASKED)
    assert one.request == Request(3, Span(512, 1))
    assert one.setting(1, {(3, 512): 0x8001}) == Write(6, 512, (0x8101,))
    assert one.setting(0, {(3, 512): 0xFFFF}) == Write(6, 512, (0xFEFF,))
    assert one.state({(3, 512): 0x8101}) == 1
    assert one.state({(3, 512): 0xFEFF}) == 0
    with pytest.raises(Undecodable, match="512 was not read"):
        one.setting(1, {})


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        (MOTOR, {(1, 16): 1, (1, 17): 1}),
        (MOTOR, {(1, 16): 0, (1, 17): 0}),
        (CODES, {(3, 512): 1}),
        (FLOAT, {(3, 512): 0x7FC0, (3, 513): 0}),
        (FLOAT, {(3, 512): 0x3F00, (3, 513): 0}),
    ],
)
def test_what_is_neither_on_nor_off_is_said_to_be_that(
    text: str, cells: dict[tuple[int, int], int]
) -> None:
    one = output(text)
    assert one.state(cells) is None
    reading = one.measured(cells)
    assert (reading.value, reading.quality) == (None, Quality.DEVICE_ERROR)


def test_an_output_has_the_order_of_its_profile_unless_it_has_its_own() -> None:
    text = 'name = "R"\norder = "CDAB"\n[[output]]\nkey = "a"\nregister = 0\ntype = "u32"\n'
    assert parse_profile(text.encode(), "r").output[0].setting(1, {}).values == (1, 0)
    text += 'order = "ABCD"\n'
    assert parse_profile(text.encode(), "r").output[0].setting(1, {}).values == (0, 1)


def test_outputs_are_polled_together_with_the_registers() -> None:
    text = """
name = "Two relays"
[[register]]
key = "power"
kind = "power"
address = 511
type = "u16"
[[output]]
key = "fan"
coil = 3
[[output]]
key = "pump"
coil = 4
[[output]]
key = "valve_2"
register = 512
"""
    profile = parse_profile(text.encode(), "relays.toml")
    assert profile.requests == (Request(3, Span(511, 2)), Request(1, Span(3, 2)))
    valve = profile.registers(60)[-1]
    assert (valve.key, valve.name, valve.kind) == ("valve_2", "Valve 2", Kind.OUTPUT)
    assert (valve.states, valve.writable, valve.interval_s) == (("off", "on"), True, 60)
    cells = {(3, 511): 7, (3, 512): 1, (1, 3): 0, (1, 4): 1}
    values = {m.key: m.value for m in profile.decode(cells)}
    assert values == {"power": 7, "fan": 0, "pump": 1, "valve_2": 1}


MISTAKES = [
    ("", r"output\[1\]\.coil: expected either a coil or a register"),
    ("coil = 0\nregister = 0", r"output\[1\]\.coil: expected either a coil or a register"),
    ("coil = -1", r"output\[1\]\.coil: expected 0 to 65535"),
    ("coil = 65535\ncount = 2", r"output\[1\]\.coil: expected 0 to 65535"),
    ("coil = 0\ncount = 0", r"output\[1\]\.count: expected 1 to 1968"),
    ("register = 0\ncount = 2", r"output\[1\]\.count: expected 1 to 1968 coils"),
    ("register = 65536", r"output\[1\]\.register: expected 0 to 65535"),
    ("coil = 0\nwrite = 6", r"output\[1\]\.write: expected 5 or 15"),
    ("coil = 0\ncount = 2\nwrite = 5", r"output\[1\]\.write: expected 15"),
    ("register = 0\nwrite = 5", r"output\[1\]\.write: expected 6 or 16"),
    ('register = 0\ntype = "u32"\nwrite = 6', r"output\[1\]\.write: expected 16"),
    ("coil = 0\nmask = 1", r"output\[1\]\.mask: expected 1 to 65535, and a register"),
    ('register = 0\ntype = "u32"\nmask = 1', r"output\[1\]\.mask: expected"),
    ("register = 0\nmask = 1\non = 2", r"output\[1\]\.on: 2 does not fit"),
    ("register = 0\non = 0", r"output\[1\]\.on: expected another number than off"),
    ("register = 0\non = 65536", r"output\[1\]\.on: 65536 does not fit"),
    ("register = 0\noff = -1", r"output\[1\]\.off: -1 does not fit"),
    ('register = 0\ntype = "f32"\non = 16777217', r"output\[1\]\.on: 16777217 does not fit"),
    ("coil = 0\ncount = 2\non = 4", r"output\[1\]\.on: 4 does not fit"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_mistake_in_an_output_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        output(text)
