"""Another second opinion: m-bus-parser's XML (its ``render``) on real frames and on ours.

Its other reading (``parse``) drops the scale of floats, and is not asked.
"""

import xml.etree.ElementTree as ET
from pathlib import Path

import pymbusparser
import pytest

from edge_agent.protocols.mbus import answers, encode
from edge_agent.protocols.mbus.header import Header
from edge_agent.protocols.mbus.record import Record
from edge_agent.protocols.mbus.telegram import Telegram, decode_frame
from edge_agent.protocols.mbus.vif_tables import QUALIFIERS
from tests.contract.test_mbus_reference import (
    BLOBS,
    FRAMES,
    ROOT,
    needs_frames,
    same_header,
    same_record,
)

FRAME_COUNT = 45
AGREEING_FRAMES = 36
RECORD_LOST = "it stops, or leaves a record out, where a value is none (hex digits in BCD, …)"
CENTURY = "years 81 to 99 without a century are of the 20th, as libmbus reads them too"
NO_DATE = "a date of zeros is not specified, one with the invalid bit is invalid"
DATE_QUALIFIER = "VIFE 6F makes the value a date; year 127 is 'every year'"
DIFFERING = {
    "ACW_Itron-BM-plus-m": NO_DATE,
    "REL-Relay-Padpuls2": NO_DATE,
    "THI_cma10": RECORD_LOST,
    "abb_f95": RECORD_LOST,
    "amt_calec_mb": CENTURY,
    "elv_temp_humid": RECORD_LOST,
    "itron_bm_+m": NO_DATE,
    "landis+gyr_ultraheat_t230": DATE_QUALIFIER,
    "siemens_water": NO_DATE,
}

HEADER = Header(1, 0, 0, "10203040", "INM", 1, 2)
# What it renders in a unit of its own (m³/min, m³/s), as dates, or by another name.
ITS_OWN = {*range(0x40, 0x50), 0x6C, 0x6D, 0x6E, 0x6F, 0x79, 0x7B}


def opinion(frame: bytes, key: bytes | None = None) -> ET.Element:
    text: str = pymbusparser.render(frame, "xml", key=key)
    return ET.fromstring(text.split("?>", 1)[1])  # noqa: S314 - of a library of our own choice


def agrees(tree: ET.Element, telegram: Telegram) -> bool:
    every = tree.findall("DataRecord")
    theirs = [node for node in every if node.findtext("Function") not in BLOBS]
    return (
        same_header(tree, telegram)
        and len(theirs) == len(telegram.records)
        and all(map(same_record, theirs, telegram.records))
    )


def both(vib: bytes) -> tuple[ET.Element, Record]:
    frame = encode.response(1, HEADER, [encode.integer(vib, 7, 4)]).to_bytes()
    theirs = opinion(frame).find("DataRecord")
    assert theirs is not None
    return theirs, decode_frame(frame).records[0]


@needs_frames
@pytest.mark.parametrize("name", [path.stem for path in FRAMES])
def test_a_real_meters_frame_reads_the_same(name: str) -> None:
    frame = bytes.fromhex((ROOT / "frames" / f"{name}.hex").read_text())
    assert agrees(opinion(frame), decode_frame(frame)) != (name in DIFFERING)


def test_the_number_of_agreeing_frames_is_known_and_told() -> None:
    assert len(DIFFERING) == FRAME_COUNT - AGREEING_FRAMES
    page = (Path(__file__).parents[2] / "docs" / "devices" / "mbus.md").read_text("utf-8")
    assert f"{AGREEING_FRAMES} of the same {FRAME_COUNT} frames agree" in page


@pytest.mark.parametrize("vif", sorted(set(range(0x7C)) - ITS_OWN), ids="{:02X}".format)
def test_every_primary_vif_means_the_same(vif: int) -> None:
    assert same_record(*both(bytes((vif,))))


@pytest.mark.parametrize(
    "code",
    # Not 79: it takes 10^-3 for 10^-2.
    [0x00, 0x01, 0x10, 0x11, 0x18, 0x19, 0x28, 0x29, *range(0x74, 0x79), *range(0x7A, 0x80)],
    ids="{:02X}".format,
)
def test_codes_of_the_first_extension_scale_the_same(code: int) -> None:
    theirs, ours = both(bytes((0xFB, code)))
    assert (theirs.findtext("Unit") or "").replace("^3", "³") == ours.unit
    assert float(theirs.findtext("Value") or "") == pytest.approx(float(str(ours.value)))


@pytest.mark.parametrize(
    "code", [*range(0x24, 0x28), *range(0x31, 0x38), *range(0x40, 0x60)], ids="{:02X}".format
)
def test_codes_of_the_second_extension_scale_the_same(code: int) -> None:
    theirs, ours = both(bytes((0xFD, code)))
    assert theirs.findtext("Unit") == ours.unit
    # It gives six decimals.
    assert float(theirs.findtext("Value") or "") == pytest.approx(float(str(ours.value)), abs=5e-7)


@pytest.mark.parametrize("code", [*range(0x70, 0x78), 0x7D], ids="{:02X}".format)
def test_multiplying_vifes_scale_the_same(code: int) -> None:
    theirs, ours = both(bytes((0x96, code)))
    assert float(theirs.findtext("Value") or "") == pytest.approx(float(str(ours.value)))


@pytest.mark.parametrize("code", sorted(set(QUALIFIERS) & set(range(0x20, 0x39))))
def test_describing_vifes_leave_the_number_alone(code: int) -> None:
    theirs, ours = both(bytes((0x96, code)))
    assert float(theirs.findtext("Value") or "") == float(str(ours.value))


def test_what_we_encrypt_it_decrypts() -> None:
    key = bytes(range(16))
    frame = answers.sealed_response(1, HEADER, [encode.bcd(b"\x14", 285042, 4)], key).to_bytes()
    theirs = opinion(frame, key).find("DataRecord")
    assert theirs is not None
    assert theirs.findtext("Value") == "2850.420000"
