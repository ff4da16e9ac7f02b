"""Simulated M-Bus meters: the frame count bit, addresses, and bytes that are no frames."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from common.errors import FrameError
from edge_agent.protocols.mbus import encode, link
from edge_agent.protocols.mbus.record import Record
from edge_agent.protocols.mbus.telegram import Telegram, decode_frame
from edge_agent.simulators.mbus import Bus, Receiver
from edge_agent.simulators.mbus_slave import (
    ElectricityRecords,
    Identity,
    Slave,
    VolumeRecords,
)

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
    assert slave().answer(link.LongFrame(0x53, 5, 0x51), NOW_MS) == b""
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
