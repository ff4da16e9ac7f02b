"""Our decoder against libmbus's reading of real meters' frames (../shared/mbus-frames).

The reference is not always right. What differs stands in ``ADJUDICATED``, frame by frame and
record by record, with the reason; everything else must agree.
"""

import xml.etree.ElementTree as ET
from decimal import Decimal
from pathlib import Path

import pytest

from common.errors import FrameError, Undecodable
from edge_agent.__main__ import FINDING, GOOD, main
from edge_agent.protocols.mbus.dif import Function
from edge_agent.protocols.mbus.record import Record
from edge_agent.protocols.mbus.telegram import Telegram, decode_frame

ROOT = Path(__file__).resolve().parents[3] / "shared" / "mbus-frames"
FRAMES = sorted((ROOT / "frames").glob("*.hex"))
ERRORS = sorted((ROOT / "errors").glob("*.hex"))

needs_frames = pytest.mark.skipif(not FRAMES, reason="../shared/mbus-frames is not here")

FRAME_COUNT = 45
AGREEING_FRAMES = 39
HEX_BCD = "hex digits in BCD are a state, not a number"
DATE_QUALIFIER = "VIFE 6F makes the value a date; the reference reads a temperature"
EVERY_YEAR = "year 127 is 'every year'; the reference reads 2027"
NOT_SPECIFIED = "a date of zeros is not specified; the reference reads 2000-00-00"
INVALID_DATE = "the date carries the invalid bit; the reference reads 1900-01-00"

ADJUDICATED: dict[str, dict[int, str]] = {
    "ACW_Itron-BM-plus-m": {2: NOT_SPECIFIED},
    "REL-Relay-Padpuls2": {1: INVALID_DATE},
    "abb_f95": {2: HEX_BCD, 3: HEX_BCD},
    "itron_bm_+m": {2: NOT_SPECIFIED},
    "landis+gyr_ultraheat_t230": {
        **dict.fromkeys((19, 20, 21, 22), DATE_QUALIFIER),
        32: EVERY_YEAR,
    },
    "siemens_water": {3: NOT_SPECIFIED},
}

FUNCTIONS = {
    "Instantaneous value": Function.INSTANTANEOUS,
    "Maximum value": Function.MAXIMUM,
    "Minimum value": Function.MINIMUM,
    "Value during error state": Function.ERROR,
}
UNITS = {"m^3": "m³", "m^3/h": "m³/h", "Units for H.C.A.": "HCA", "-": "", "Reserved": ""}
QUANTITIES = {
    "H.C.A.": "heat cost allocation",
    "Fabrication No": "fabrication number",
    "Model / Version": "model version",
    "Time point (date & time)": "date and time",
    "Time point (date)": "date",
}
BLOBS = {"Manufacturer specific", "More records follow"}


def differing_records(name: str) -> set[int]:
    """The records of a frame on which we and the reference disagree; -1 is the header."""
    telegram = decode_frame(bytes.fromhex((ROOT / "frames" / f"{name}.hex").read_text()))
    assert telegram.errors == ()
    text = (ROOT / "frames" / f"{name}.norm.xml").read_text(encoding="utf-8")
    tree = ET.fromstring(text.split("?>", 1)[1])  # noqa: S314 - test data of our own choice
    expected = tree.findall("DataRecord")
    blob = [node for node in expected if node.findtext("Function") in BLOBS]
    values = [node for node in expected if node.findtext("Function") not in BLOBS]
    differing = set() if same_header(tree, telegram) else {-1}
    if len(values) != len(telegram.records) or not same_blob(blob, telegram):
        differing.add(-2)
    pairs = zip(values, telegram.records, strict=False)
    return differing | {n for n, (node, ours) in enumerate(pairs) if not same_record(node, ours)}


def same_header(tree: ET.Element, telegram: Telegram) -> bool:
    header = telegram.header
    assert header is not None
    theirs = tree.find("SlaveInformation")
    assert theirs is not None
    assert header.identification is not None
    return (
        header.identification.lstrip("0") == (theirs.findtext("Id") or "").lstrip("0")
        and header.manufacturer == theirs.findtext("Manufacturer")
        and header.version == int(theirs.findtext("Version") or "")
        and header.access == int(theirs.findtext("AccessNumber") or "")
        and header.status == int(theirs.findtext("Status") or "", 16)
    )


def same_blob(nodes: list[ET.Element], telegram: Telegram) -> bool:
    if not nodes:
        return telegram.manufacturer_data is None
    theirs = bytes.fromhex(nodes[0].findtext("Value") or "")
    follows = nodes[0].findtext("Function") == "More records follow"
    return theirs == telegram.manufacturer_data and follows == telegram.more_follows


def same_record(node: ET.Element, ours: Record) -> bool:
    unit = node.findtext("Unit") or ""
    quantity = node.findtext("Quantity") or ""
    if ours.quantity == "plain text":
        named = ours.unit == quantity
    else:
        named = UNITS.get(unit, unit) == ours.unit
        named = named and QUANTITIES.get(quantity, quantity.lower()) == ours.quantity
    return (
        named
        and FUNCTIONS[node.findtext("Function") or ""] == ours.function
        and int(node.findtext("StorageNumber") or 0) == ours.storage
        and int(node.findtext("Tariff") or 0) == ours.tariff
        and int(node.findtext("Device") or 0) == ours.subunit
        and same_value(node.findtext("Value") or "", ours)
    )


def same_value(theirs: str, ours: Record) -> bool:
    if ours.state is not None or ours.value is None:
        return False
    if isinstance(ours.value, Decimal):
        return abs(Decimal(theirs) - ours.value) <= Decimal("0.000001")
    if isinstance(ours.value, bytes):
        return bytes.fromhex(theirs) in {ours.value, ours.value[::-1]}
    return theirs.rstrip("Z") == ours.value or theirs.strip() == ours.value.strip()


@needs_frames
@pytest.mark.parametrize("name", [path.stem for path in FRAMES])
def test_a_real_meters_frame_reads_as_the_reference_says(name: str) -> None:
    assert differing_records(name) == set(ADJUDICATED.get(name, {}))


@needs_frames
def test_the_number_of_agreeing_frames_is_known() -> None:
    assert len(FRAMES) == FRAME_COUNT
    agreeing = [path.stem for path in FRAMES if not differing_records(path.stem)]
    assert len(agreeing) == AGREEING_FRAMES


def test_the_documentation_tells_the_number_of_agreeing_frames() -> None:
    page = Path(__file__).parents[2] / "docs" / "devices" / "mbus.md"
    assert f"{AGREEING_FRAMES} of {FRAME_COUNT} frames agree" in page.read_text("utf-8")


@needs_frames
@pytest.mark.parametrize("path", ERRORS, ids=[path.stem for path in ERRORS])
def test_a_malformed_frame_is_refused_or_flagged(path: Path) -> None:
    try:
        telegram = decode_frame(bytes.fromhex(path.read_text()))
    except (FrameError, Undecodable):
        return
    assert telegram.errors


@needs_frames
@pytest.mark.parametrize("name", ["premature_end_of_data2", "premature_end_of_dif1"])
def test_good_records_before_a_cut_are_kept(name: str) -> None:
    telegram = decode_frame(bytes.fromhex((ROOT / "errors" / f"{name}.hex").read_text()))
    assert [record.value for record in telegram.records] == [Decimal("12.565"), Decimal("0.113")]
    assert len(telegram.errors) == 1


@needs_frames
@pytest.mark.parametrize("path", FRAMES + ERRORS, ids=[path.stem for path in FRAMES + ERRORS])
def test_the_command_tells_sound_frames_from_malformed_ones(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    malformed = path in ERRORS
    assert main(["decode", "mbus", "--json", str(path)]) == (FINDING if malformed else GOOD)
    assert len(capsys.readouterr().err.splitlines()) == int(malformed)
