"""Simulated M-Bus meters: the frame count bit, addresses, and bytes that are no frames."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from common.errors import FrameError
from edge_agent.protocols.mbus import encode, link
from edge_agent.protocols.mbus.record import Record
from edge_agent.protocols.mbus.telegram import Telegram, decode_frame
from edge_agent.simulators.mbus import Bus, Receiver
from edge_agent.simulators.mbus_collision import overlay
from edge_agent.simulators.mbus_records import Divided, ElectricityRecords, VolumeRecords
from edge_agent.simulators.mbus_slave import Identity, Slave

NOW_MS = 1_773_758_100_000
NKE = encode.snd_nke(5)
ASK_1 = encode.req_ud2(5, fcb=True)
ASK_0 = encode.req_ud2(5, fcb=False)


class Steady:
    """A meter whose figures do not change."""

    def energy_import_wh(self, at_ms: int) -> int:
        return 1_234_567_891

    def power_w(self, at_ms: int) -> int:
        return 5123

    def voltages_dv(self, at_ms: int) -> tuple[int, int, int]:
        return 2301, 2312, 2298

    def currents_ma(self, at_ms: int) -> tuple[int, int, int]:
        return 7500, 7400, 7450

    def volume_l(self, at_ms: int) -> int:
        return 12_345_678


class ThreeTelegrams:
    """A meter whose data needs three telegrams: they hold 1, 2 and 3 W."""

    def telegrams(self, at_ms: int) -> Sequence[Sequence[bytes]]:
        return [[encode.integer(b"\x2b", watts, 2)] for watts in (1, 2, 3)]


def slave(address: int = 5) -> Slave:
    return Slave(address, Identity("10203040", "INM", 1, 2), ThreeTelegrams())


def watts(answer: bytes) -> object:
    return decode_frame(answer).records[0].value


def access(answer: bytes) -> int:
    header = decode_frame(answer).header
    assert header is not None
    return header.access


def by_name(telegram: Telegram) -> dict[tuple[str, tuple[str, ...], int], Record]:
    return {(r.quantity, r.qualifiers, r.tariff): r for r in telegram.records}


def test_the_same_frame_count_bit_repeats_the_last_telegram() -> None:
    meter = slave()
    assert meter.answer(NKE, NOW_MS) == b"\xe5"
    first = meter.answer(ASK_1, NOW_MS)
    assert meter.answer(ASK_1, NOW_MS) == first
    second = meter.answer(ASK_0, NOW_MS)
    third = meter.answer(ASK_1, NOW_MS)
    assert [watts(first), watts(second), watts(third)] == [1, 2, 3]
    assert [decode_frame(a).more_follows for a in (first, second, third)] == [True, True, False]
    assert [access(a) for a in (first, second, third)] == [1, 2, 3]
    assert watts(meter.answer(ASK_0, NOW_MS)) == 1


def test_a_reset_makes_the_first_telegram_the_next_one() -> None:
    meter = slave()
    meter.answer(ASK_1, NOW_MS)
    meter.answer(NKE, NOW_MS)
    again = meter.answer(ASK_1, NOW_MS)
    assert (watts(again), access(again)) == (1, 2)
    meter.answer(ASK_0, NOW_MS)
    reset = link.LongFrame(link.SND_UD, 5, 0x50)
    assert meter.answer(reset, NOW_MS) == b"\xe5"
    assert watts(meter.answer(ASK_0, NOW_MS)) == 1


def test_a_request_without_a_reset_is_answered_whatever_its_bit() -> None:
    assert watts(slave().answer(ASK_0, NOW_MS)) == 1
    assert watts(slave().answer(ASK_1, NOW_MS)) == 1


def test_without_fcv_the_bit_means_nothing() -> None:
    meter = slave()
    uncounted = link.ShortFrame(0x4B, 5)
    assert [watts(meter.answer(uncounted, NOW_MS)) for _ in range(3)] == [1, 2, 3]


def test_a_meter_left_alone_for_a_minute_starts_again() -> None:
    meter = slave()
    meter.answer(ASK_1, NOW_MS)
    assert watts(meter.answer(ASK_0, NOW_MS + 59_999)) == 2
    assert watts(meter.answer(ASK_0, NOW_MS + 120_000)) == 1


def test_a_request_for_alarms_is_acknowledged() -> None:
    assert slave().answer(link.ShortFrame(0x7A, 5), NOW_MS) == b"\xe5"
    assert slave().answer(link.ShortFrame(0x49, 5), NOW_MS) == b""
    assert slave().answer(link.Ack(), NOW_MS) == b""


def test_only_the_addressed_meter_answers() -> None:
    bus = Bus([slave(5), slave(6)])
    assert decode_frame(bus.answer(ASK_1, NOW_MS)).records
    assert bus.answer(encode.req_ud2(7, fcb=True), NOW_MS) == b""
    assert bus.answer(link.LongFrame(0x08, 5, 0x72), NOW_MS) == b""
    assert bus.answer(link.Ack(), NOW_MS) == b""


def test_at_254_all_answer_and_at_255_none() -> None:
    bus = Bus([slave(5), slave(6)])
    assert bus.answer(encode.snd_nke(254), NOW_MS) == b"\xe5"
    both = bus.answer(encode.req_ud2(254, fcb=True), NOW_MS)
    with pytest.raises(FrameError):
        link.parse_one(both)
    assert bus.answer(encode.snd_nke(255), NOW_MS) == b""
    alone = Bus([slave(5)]).answer(encode.req_ud2(254, fcb=True), NOW_MS)
    frame = link.parse_one(alone)
    assert isinstance(frame, link.LongFrame)
    assert frame.address == 5


def test_the_receiver_finds_frames_among_noise_and_in_pieces() -> None:
    receiver = Receiver()
    noise = bytes.fromhex("00 FF 10 99 68 03 04")
    assert receiver.feed(noise + ASK_1.to_bytes()[:2], NOW_MS) == []
    assert receiver.feed(ASK_1.to_bytes()[2:] + b"\xaa", NOW_MS) == [ASK_1]


def test_the_receiver_drops_a_frame_whose_rest_stays_away() -> None:
    receiver = Receiver()
    assert receiver.feed(bytes.fromhex("68 F0 F0 68 53"), NOW_MS) == []
    assert receiver.feed(ASK_1.to_bytes(), NOW_MS + 1000) == [ASK_1]


def test_an_electricity_meter_says_what_it_measures() -> None:
    source = ElectricityRecords(Steady(), "10203040")
    source.error_flags = 0x8001
    meter = Slave(5, Identity("10203040", "INM", 3, 2), source)
    meter.status = 0x04
    telegram = decode_frame(meter.answer(ASK_1, NOW_MS))
    header = telegram.header
    assert header is not None
    assert (header.identification, header.manufacturer) == ("10203040", "INM")
    assert (header.version, header.medium, header.status) == (3, 2, 4)
    found = by_name(telegram)
    assert found["fabrication number", (), 0].value == 10203040
    assert found["energy", (), 0].value == 1_234_567_891
    assert found["energy", (), 1].value == 1_234_567_890
    assert found["power", (), 0].value == 5123
    assert found["voltage", ("L2",), 0].value == Decimal("231.2")
    assert found["current", ("L3",), 0].value == Decimal("7.450")
    assert found["date and time", (), 0].value == "2026-03-17T14:35:00"
    assert found["error flags", (), 0].value == 0x8001


def test_a_water_meter_says_what_it_measures() -> None:
    meter = Slave(9, Identity("00000007", "INM", 1, 7), VolumeRecords(Steady(), "00000007"))
    found = by_name(decode_frame(meter.answer(encode.req_ud2(9, fcb=True), NOW_MS)))
    assert found["volume", (), 0].value == Decimal("12345.678")


def selection(text: str, ci: int = 0x52) -> link.LongFrame:
    """``12FFFFFF`` or all of ``10203040 259D 01 02`` as hex: digits, maker, version, medium."""
    digits, rest = bytes.fromhex(text[:8]), bytes.fromhex(text[8:].ljust(8, "F"))
    if ci == 0x52:
        return link.LongFrame(0x73, 253, ci, digits[::-1] + bytes((rest[1], rest[0])) + rest[2:])
    return link.LongFrame(0x73, 253, ci, digits + rest)


INM = "25CD"
"""I = 9, N = 14, M = 13, five bits each."""


@pytest.mark.parametrize("ci", [0x52, 0x56])
@pytest.mark.parametrize(
    ("mask", "fits"),
    [
        ("FFFFFFFF", True),
        ("1FFFFFFF", True),
        ("FFFFFFF0", True),
        ("10203040", True),
        ("10203040" + INM + "0102", True),
        ("10203040" + INM + "FF02", True),
        ("FFFFFFFF" + "FFFF" + "01FF", True),
        ("2FFFFFFF", False),
        ("10203040" + INM + "0202", False),
        ("10203040" + INM + "0103", False),
        ("10203040" + "25CE" + "0102", False),
    ],
)
def test_a_selection_with_wildcards_selects_whom_it_fits(mask: str, fits: bool, ci: int) -> None:
    meter = slave()
    assert meter.answer(selection(mask, ci), NOW_MS) == (b"\xe5" if fits else b"")
    assert bool(meter.answer(encode.req_ud2(253, fcb=True), NOW_MS)) is fits


def test_another_selection_or_a_reset_at_253_ends_the_selection() -> None:
    for end, answer in ((selection("2FFFFFFF"), b""), (encode.snd_nke(253), b"\xe5")):
        meter = slave()
        meter.answer(selection("1FFFFFFF"), NOW_MS)
        assert meter.answer(end, NOW_MS) == answer
        assert meter.answer(encode.req_ud2(253, fcb=True), NOW_MS) == b""
        assert meter.answer(encode.snd_nke(253), NOW_MS) == b""


def test_address_253_has_a_frame_count_of_its_own_that_a_selection_clears() -> None:
    meter = slave()
    assert watts(meter.answer(ASK_1, NOW_MS)) == 1
    meter.answer(selection("10203040"), NOW_MS)
    selected_1, selected_0 = encode.req_ud2(253, fcb=True), encode.req_ud2(253, fcb=False)
    assert watts(meter.answer(selected_1, NOW_MS)) == 1
    assert watts(meter.answer(selected_0, NOW_MS)) == 2
    assert watts(meter.answer(ASK_0, NOW_MS)) == 2
    meter.answer(selection("10203040"), NOW_MS)
    assert watts(meter.answer(selected_0, NOW_MS)) == 1


@pytest.mark.parametrize("station", [5, 253, 254, 255])
def test_the_primary_address_is_set_at_every_address_a_meter_has(station: int) -> None:
    meter = slave()
    meter.answer(selection("10203040"), NOW_MS)
    told = link.LongFrame(0x53, station, 0x51, b"\x01\x7a\x09")
    assert meter.answer(told, NOW_MS) == (b"" if station == 255 else b"\xe5")
    assert meter.address == 9
    assert meter.answer(NKE, NOW_MS) == b""
    assert meter.answer(encode.snd_nke(9), NOW_MS) == b"\xe5"


@pytest.mark.parametrize("data", [b"\x01\x7a\xfb", b"\x01\x7a", b"\x01\x7b\x09", b""])
def test_what_is_no_primary_address_is_not_taken(data: bytes) -> None:
    meter = slave()
    assert meter.answer(link.LongFrame(0x53, 5, 0x51, data), NOW_MS) == b"\xe5"
    assert meter.address == 5


def test_a_meter_follows_a_change_of_baud_rate_and_comes_back_when_nobody_else_does() -> None:
    meter = slave()
    bus = Bus([meter])
    assert bus.answer(link.LongFrame(0x53, 5, 0xBD), NOW_MS) == b"\xe5"
    assert meter.baud == 9600
    assert bus.answer(NKE, NOW_MS + 1000) == b""
    assert bus.answer(NKE, NOW_MS + 120_000) == b"\xe5"
    bus.answer(link.LongFrame(0x53, 5, 0xBD), NOW_MS + 130_000)
    bus.baud = 9600
    assert bus.answer(NKE, NOW_MS + 131_000) == b"\xe5"
    assert bus.answer(NKE, NOW_MS + 999_000) == b"\xe5"


def test_meters_that_answer_together_are_heard_as_the_wire_has_them() -> None:
    assert overlay([(11, b"\xe5"), (11, b"\xe5")]) == b"\xe5"
    assert overlay([(11, b"\xe5"), (33, b"\xe5")]) == b"\xe5\xe5"
    assert overlay([(11, b"\xf0\x0f"), (11, b"\x3c")]) == b"\x30\x0f"
    garbled = overlay([(11, b"\xe5"), (14, b"\xe5")])
    assert garbled not in (b"", b"\xe5", b"\xe5\xe5")


def test_records_divided_over_telegrams_are_the_same_records() -> None:
    whole = ElectricityRecords(Steady(), "10203040")
    parts = Divided(whole, 3).telegrams(NOW_MS)
    assert len(parts) == 3
    assert [record for part in parts for record in part] == list(whole.telegrams(NOW_MS)[0])
