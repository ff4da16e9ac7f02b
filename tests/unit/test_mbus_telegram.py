"""Whole telegrams: vectors, alarms, encryption, and bytes that mean nothing."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InMetterError, Undecodable
from edge_agent.protocols.mbus.header import Header
from edge_agent.protocols.mbus.link import LongFrame
from edge_agent.protocols.mbus.record import Record
from edge_agent.protocols.mbus.telegram import decode, decode_frame

VECTORS = tomllib.loads((Path(__file__).parents[1] / "vectors" / "mbus.toml").read_text("utf-8"))
LONG = "40 30 20 10 CD 25 01 02 01 00"


def words(record: Record) -> str:
    if record.state is not None:
        return f"{record.quantity}: {record.state}"
    return f"{record.quantity} = {record.value!s} {record.unit}".strip()


@pytest.mark.parametrize("vector", VECTORS["telegram"], ids=lambda vector: vector["name"])
def test_a_vector_means_what_it_says(vector: dict[str, object]) -> None:
    telegram = decode_frame(bytes.fromhex(str(vector["frame"])))
    assert [words(record) for record in telegram.records] == vector["records"]
    assert [record.storage for record in telegram.records] == vector["storages"]
    header = telegram.header
    assert (header.identification if header else None) == vector.get("identification")
    assert (header.medium if header else None) == vector.get("medium")
    assert telegram.errors == ()
    assert not telegram.encrypted


def long_frame(configuration: str, body: str) -> LongFrame:
    return LongFrame(0x08, 1, 0x72, bytes.fromhex(LONG + configuration + body))


def test_an_encrypted_telegram_says_so_and_keeps_what_is_in_clear() -> None:
    telegram = decode(long_frame("10 05", "55" * 16 + "01 5B 14"))
    assert telegram.encrypted
    assert [words(record) for record in telegram.records] == ["flow temperature = 20 °C"]


def test_a_decrypted_telegram_is_read_though_its_mode_is_still_set() -> None:
    telegram = decode(long_frame("10 05", "2F 2F 01 5B 14" + "2F" * 11))
    assert not telegram.encrypted
    assert [words(record) for record in telegram.records] == ["flow temperature = 20 °C"]


def test_a_meters_own_error_is_told_in_words() -> None:
    telegram = decode(LongFrame(0x08, 1, 0x70, b"\x08"))
    assert telegram.errors == ("application error: application too busy for a readout",)
    assert decode(LongFrame(0x08, 1, 0x70)).errors == ("application error: unspecified error",)


def test_an_alarm_is_told_with_its_status() -> None:
    telegram = decode(LongFrame(0x08, 1, 0x71, b"\x04"))
    assert (telegram.alarm, telegram.errors) == (4, ("alarm, status 04",))


@pytest.mark.parametrize(
    ("ci", "head", "identification"),
    [(0x6E, "01 00 00 00", None), (0x6F, LONG + "00 00", "10203040")],
)
def test_a_meters_own_error_may_have_a_header(
    ci: int, head: str, identification: str | None
) -> None:
    telegram = decode(LongFrame(0x08, 1, ci, bytes.fromhex(head) + b"\x08"))
    assert telegram.errors == ("application error: application too busy for a readout",)
    assert telegram.header is not None
    assert telegram.header.identification == identification


@pytest.mark.parametrize(("ci", "head"), [(0x74, "01 00 00 00"), (0x75, LONG + "00 00")])
def test_an_alarm_may_have_a_header(ci: int, head: str) -> None:
    telegram = decode(LongFrame(0x08, 1, ci, bytes.fromhex(head) + b"\x04"))
    assert (telegram.alarm, telegram.header is None) == (4, False)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0x00, ()),
        (0x01, ("application busy",)),
        (0x02, ("application error",)),
        (0x03, ("abnormal condition",)),
        (0x1C, ("power low", "permanent error", "temporary error")),
        (0xA1, ("application busy", "manufacturer's bit 5", "manufacturer's bit 7")),
    ],
)
def test_the_bits_of_a_status_have_names(status: int, words: tuple[str, ...]) -> None:
    assert Header(1, status).status_words == words


@pytest.mark.parametrize(
    "frame",
    [
        LongFrame(0x08, 1, 0x72, bytes(11)),
        LongFrame(0x08, 1, 0x73, bytes(15)),
        LongFrame(0x08, 1, 0x7A, bytes(3)),
        LongFrame(0x08, 1, 0x6F, bytes(11)),
        LongFrame(0x08, 1, 0x51, bytes(20)),
        LongFrame(0x53, 1, 0x72, bytes(20)),
        LongFrame(0x88, 1, 0x72, bytes(20)),
    ],
)
def test_what_is_no_telegram_is_undecodable(frame: LongFrame) -> None:
    with pytest.raises(Undecodable, match=r"^byte [47]: |^byte 6: CI field 51"):
        decode(frame)


@given(st.binary(max_size=300))
def test_noise_is_never_a_telegram_and_never_a_surprise(noise: bytes) -> None:
    with pytest.raises(InMetterError):
        decode_frame(b"\x00" + noise)
    for ci in (0x72, 0x76, 0x78):
        try:
            decode(LongFrame(0x08, 1, ci, noise))
        except InMetterError:
            continue
