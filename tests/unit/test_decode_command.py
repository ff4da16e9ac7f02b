"""``inmetter-edge decode``: what it prints, and how it ends."""

import io
import json
import re
from argparse import ArgumentParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import ConfigError, FrameError
from edge_agent.__main__ import FINDING, GOOD, USAGE, main
from edge_agent.cli import decode
from edge_agent.profiles.mbus import load_profile
from edge_agent.protocols.mbus import answers, encode
from edge_agent.protocols.mbus.encode import Place
from edge_agent.protocols.mbus.header import Header

HEADER = Header(42, 0x0C, 0, "12345678", "ELS", 0x33, 7)
VOLUME = encode.bcd(b"\x13", 12565, 4)
NOT_A_NUMBER = encode.real(b"\x2b", float("nan"))
FRAME = encode.response(
    5, HEADER, [VOLUME, NOT_A_NUMBER, encode.date(2026, 11, 23, Place(storage=1))]
).to_bytes()
KEY = bytes(range(16))
SHARED = Path(__file__).resolve().parents[3] / "shared" / "mbus-frames"

Captured = pytest.CaptureFixture[str]


def decoded(capsys: Captured, *words: str, code: int = GOOD) -> dict[str, object]:
    """The one JSON document, when the exit code is as expected."""
    assert main(["decode", "mbus", "--json", *words]) == code
    captured = capsys.readouterr()
    assert (captured.err == "") == (code == GOOD)
    assert len(captured.err.splitlines()) <= 1
    document = json.loads(captured.out, parse_float=pytest.fail)
    assert isinstance(document, dict)
    return document


def test_json_has_every_key_and_no_float(capsys: Captured) -> None:
    assert decoded(capsys, FRAME.hex()) == {
        "header": {
            "identification": "12345678",
            "manufacturer": "ELS",
            "version": 51,
            "medium": 7,
            "access_number": 42,
            "status": 12,
            "status_words": ["power low", "permanent error"],
            "configuration": 0,
        },
        "records": [
            {
                "function": "instantaneous",
                "storage": 0,
                "tariff": 0,
                "subunit": 0,
                "quantity": "volume",
                "qualifiers": [],
                "unit": "m³",
                "value": "12.565",
                "state": None,
                "raw": "0c1365250100",
                "register": "volume",
                "obis": "8-0:1.0.0",
            },
            {
                "function": "instantaneous",
                "storage": 0,
                "tariff": 0,
                "subunit": 0,
                "quantity": "power",
                "qualifiers": [],
                "unit": "W",
                "value": None,
                "state": "not available",
                "raw": "052b0000c07f",
                "register": "power",
                "obis": None,
            },
            {
                "function": "instantaneous",
                "storage": 1,
                "tariff": 0,
                "subunit": 0,
                "quantity": "date",
                "qualifiers": [],
                "unit": "",
                "value": "2026-11-23",
                "state": None,
                "raw": "426c573b",
                "register": None,
                "obis": None,
            },
        ],
        "more_follows": False,
        "manufacturer_data": None,
        "state": None,
        "errors": [],
    }


@pytest.mark.parametrize(
    "text",
    [
        FRAME.hex(),
        FRAME.hex().upper(),
        FRAME.hex(" "),
        FRAME.hex(":"),
        "0x" + FRAME.hex(),
        " ".join(f"0x{byte:02X}," for byte in FRAME),
        " ".join(f"{byte:x}" for byte in FRAME),
        "\ufeff" + FRAME.hex("\n"),
        FRAME.hex(" ", 16).replace(" ", "\r\n") + "\r\n",
    ],
)
def test_hex_is_understood_however_it_is_written(
    text: str, tmp_path: Path, capsys: Captured
) -> None:
    file = tmp_path / "frame.hex"
    file.write_text(text, "utf-8")
    assert decoded(capsys, str(file)) == decoded(capsys, FRAME.hex())


def test_raw_bytes_standard_input_and_several_words_are_understood(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = decoded(capsys, FRAME.hex())
    file = tmp_path / "frame.bin"
    for content in (FRAME, FRAME + b"\r\n"):
        file.write_bytes(content)
        assert decoded(capsys, str(file)) == expected
    assert decoded(capsys, *FRAME.hex(" ").split()) == expected
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(FRAME)))
    assert decoded(capsys, "-") == expected
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(FRAME.hex().encode())))
    assert decoded(capsys, "-") == expected


@pytest.mark.parametrize(
    ("function", "word"),
    [("05", "instantaneous"), ("15", "maximum"), ("25", "minimum"), ("35", "error")],
)
def test_a_function_has_its_word(function: str, word: str, capsys: Captured) -> None:
    record = bytes.fromhex(function + "2B 00 00 C0 3F")
    shown = decoded(capsys, encode.response(1, HEADER, [record]).to_bytes().hex())["records"]
    assert isinstance(shown, list)
    assert [(one["function"], one["value"]) for one in shown] == [(word, "1.5")]


def test_a_value_has_no_exponent_and_no_minus_zero(capsys: Captured) -> None:
    body = [encode.real(b"\x2b", -0.0), encode.real(b"\x2f", 1e30), encode.bcd(b"\x10", 0, 4)]
    shown = decoded(capsys, encode.response(1, HEADER, body).to_bytes().hex())["records"]
    assert isinstance(shown, list)
    assert [one["value"] for one in shown] == [
        "0",
        "10000000150474662198766888550400000",
        "0.000000",
    ]


def test_a_cut_record_leaves_the_good_ones_and_a_line_that_says_where(capsys: Captured) -> None:
    frame = encode.response(1, HEADER, [VOLUME, b"\x0c\x13\x01"]).to_bytes()
    assert main(["decode", "mbus", "--json", frame.hex()]) == FINDING
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert [one["value"] for one in document["records"]] == ["12.565"]
    assert document["errors"] == ["record 2 at byte 25: cut off: 1 of 4 bytes of data"]
    assert captured.err == "record 2 at byte 25: cut off: 1 of 4 bytes of data\n"


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (FRAME[:-1], f"byte {len(FRAME) - 1}: the M-Bus frame is cut off"),
        (FRAME[:-2] + b"\0\x16", f"byte {len(FRAME) - 2}: wrong checksum 00"),
        (FRAME[:-1] + b"\0", f"byte {len(FRAME) - 1}: 00 is no stop byte"),
        (b"\x68\x05\x06\x68", "byte 1: wrong length"),
        (b"\x68\x05\x05\x69", "byte 3: 69"),
        (b"\x01", "byte 0: no M-Bus frame starts with 01"),
        (b"\x10\x5b\x01\x5d\x16", "byte 3: wrong checksum 5D, not 5C"),
        (b"\x10\x5b\x01\x5c\x16", "byte 0: only requests"),
        (b"\xe5", "no meter's data"),
        (b"", "byte 0: no bytes"),
        (encode.response(1, HEADER, []).to_bytes().replace(b"\x72", b"\x51"), "wrong checksum"),
        (answers.application_error(1, 8).to_bytes(), "application too busy"),
    ],
)
def test_a_malformed_frame_is_told_in_one_line(
    frame: bytes, told: str, capsys: Captured, tmp_path: Path
) -> None:
    file = tmp_path / "frame"
    file.write_bytes(frame)
    for options in ([], ["--json"]):
        assert main(["decode", "mbus", *options, str(file)]) == FINDING
        captured = capsys.readouterr()
        assert told in captured.err
        assert len(captured.err.splitlines()) == 1
        if options:
            document = json.loads(captured.out)
            assert document["records"] == []
            assert told in document["errors"][0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("68 4", "byte 2: the M-Bus frame is cut off"),
        ("68 123", "character 4: an odd number"),
        ("68 zz", "'zz'"),
    ],
)
def test_text_that_is_no_hex_is_told_by_its_place(
    text: str, told: str, tmp_path: Path, capsys: Captured
) -> None:
    file = tmp_path / "text"
    file.write_text(text)
    assert main(["decode", "mbus", str(file)]) == FINDING
    assert told in capsys.readouterr().err


def test_a_capture_is_decoded_frame_by_frame(capsys: Captured) -> None:
    request = encode.req_ud2(5, fcb=True).to_bytes()
    other = encode.response(6, HEADER, [VOLUME]).to_bytes()
    capture = b"\xe5" + request + FRAME + b"\0\0" + request + other
    assert main(["decode", "mbus", "--json", capture.hex()]) == FINDING
    captured = capsys.readouterr()
    first, noise, second = json.loads(captured.out)
    assert [len(one["records"]) for one in (first, noise, second)] == [3, 0, 1]
    where = 6 + len(FRAME)
    assert noise["errors"] == [f"byte {where}: no M-Bus frame starts with 00"]
    assert captured.err.startswith(f"frame 2 at byte {where}: ")
    assert main(["decode", "mbus", capture.hex()]) == FINDING
    assert "primary address 6" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("00 FF", "", ["byte 0: no M-Bus frame starts with 00"]),
        ("", "00", [f"byte {len(FRAME)}: no M-Bus frame starts with 00"]),
        ("68 00", "68", ["byte 1: wrong length", "byte ", "the M-Bus frame is cut off"]),
        ("E5", "E5", []),
    ],
)
def test_noise_around_one_telegram_is_told_with_it(
    before: str, after: str, told: list[str], capsys: Captured
) -> None:
    document = decoded(capsys, before + FRAME.hex() + after, code=FINDING if told else GOOD)
    assert document["records"] == decoded(capsys, FRAME.hex())["records"]
    assert all(words in str(document["errors"]) for words in told)


def test_several_broken_frames_are_one_document_that_says_where_each_is(capsys: Captured) -> None:
    cut = encode.response(1, HEADER, [VOLUME, b"\x0c\x13\x01"]).to_bytes()
    short = bytes.fromhex("68 04 04 68 08 02 72 78 F4 16")
    document = decoded(capsys, (short + cut).hex(), code=FINDING)
    assert len(document["records"]) == 1  # type: ignore[arg-type]
    assert document["errors"] == [
        "byte 7: 1 bytes are too short for an M-Bus header",
        "frame at byte 10: record 2 at byte 25: cut off: 1 of 4 bytes of data",
    ]


def test_the_fixed_structure_has_its_status_as_sent_and_no_configuration(capsys: Captured) -> None:
    frame = answers.fixed_response(5, HEADER, (0x05, 0x3E), (1, 2), binary=True).to_bytes()
    header = decoded(capsys, frame.hex())["header"]
    assert isinstance(header, dict)
    assert (header["status"], header["configuration"], header["manufacturer"]) == (13, None, None)
    assert header["status_words"] == ["power low", "permanent error"]


def test_people_get_a_head_and_a_table(capsys: Captured) -> None:
    frame = encode.response(5, HEADER, [VOLUME, NOT_A_NUMBER], more_follows=True)
    assert main(["decode", "mbus", frame.to_bytes().hex()]) == GOOD
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "ELS 12345678, version 51, water, primary address 5, access number 42, "
        "status 0C: power low, permanent error"
    )
    assert re.fullmatch(
        r"function +storage +tariff +subunit +quantity +value +unit +OBIS", lines[1]
    )
    assert re.fullmatch(r"instantaneous +0 +0 +0 +volume +12\.565 +m³ +8-0:1\.0\.0", lines[2])
    assert re.fullmatch(r"instantaneous +0 +0 +0 +power +\(not available\) +W", lines[3])
    assert lines[4] == "more follows in the next telegram"


def test_a_meters_text_does_not_command_the_terminal(capsys: Captured) -> None:
    frame = encode.response(5, HEADER, [encode.text(b"\xfd\x10", "a\x1b[2Jb\x9bc")])
    assert main(["decode", "mbus", frame.to_bytes().hex()]) == GOOD
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x9b" not in out


def test_an_encrypted_telegram_is_read_with_its_key_only(capsys: Captured, tmp_path: Path) -> None:
    frame = answers.sealed_response(1, HEADER, [VOLUME], KEY).to_bytes().hex()
    without = decoded(capsys, frame)
    assert (without["state"], without["records"], without["errors"]) == ("encrypted", [], [])
    file = tmp_path / "key"
    file.write_text(KEY.hex() + "\n")
    for key in (KEY.hex(), f"@{file}"):
        opened = decoded(capsys, frame, "--key", key)
        assert (opened["state"], len(opened["records"])) == (None, 1)  # type: ignore[arg-type]
    wrong = decoded(capsys, frame, "--key", KEY[::-1].hex(), code=FINDING)
    assert (wrong["state"], wrong["records"]) == ("encrypted", [])
    assert main(["decode", "mbus", frame]) == GOOD
    assert "--key" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["", "12", "zz" * 16, "@/nowhere", KEY.hex() + "00"])
def test_a_key_has_32_hex_digits(key: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["decode", "mbus", FRAME.hex(), "--key", key])
    assert ended.value.code == USAGE
    assert "32 hex digits" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["nowhere.hex"], ["x" * 5000], ["\0"], ["68", "nowhere"]])
def test_what_is_neither_file_nor_hex_is_wrong_usage(words: list[str], capsys: Captured) -> None:
    assert main(["decode", "mbus", "--json", *words]) == USAGE
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"error": captured.err.removesuffix("\n")}
    assert len(captured.err.splitlines()) == 1


def test_a_directory_is_wrong_usage_and_a_huge_file_too(tmp_path: Path, capsys: Captured) -> None:
    for directory in (str(tmp_path), ".", ".."):
        assert main(["decode", "mbus", directory]) == USAGE
    with pytest.raises(ConfigError):
        decode.from_content(bytes(decode.LONGEST_INPUT + 1))


def test_every_profiles_telegram_is_sound(capsys: Captured) -> None:
    document = decoded(capsys, load_profile("mbus_heat").recorded.telegram)
    assert document["errors"] == []


def run(content: bytes, directory: Path, capsys: Captured, *options: str) -> None:
    """It ends with 0 or 1, one line of error for 1, and JSON when asked for."""
    file = directory / "input"
    file.write_bytes(content)
    parser = ArgumentParser()
    decode.add_arguments(parser)
    code = decode.run(parser.parse_args(["mbus", str(file), *options]))
    captured = capsys.readouterr()
    assert code in {GOOD, FINDING}
    assert len(captured.err.splitlines()) == code
    if "--json" in options:
        json.loads(captured.out, parse_float=pytest.fail)


OWN = [FRAME, *(bytes.fromhex(load_profile(name).recorded.telegram) for name in ("mbus_heat",))]
REAL = [bytes.fromhex(path.read_text()) for path in sorted(SHARED.glob("*/*.hex"))]


@settings(
    max_examples=500,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.sampled_from(OWN + REAL), st.data())
def test_the_command_bears_any_damage(
    tmp_path: Path, capsys: Captured, frame: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(frame)
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    # Half of them get a right checksum again, so that the records are read.
    if data.draw(st.booleans()) and len(damaged) > 9:
        damaged[:4] = bytes((0x68, len(damaged) - 6, len(damaged) - 6, 0x68))
        damaged[4] = 0x08
        damaged[-2:] = bytes((sum(damaged[4:-2]) & 0xFF, 0x16))
    cut = data.draw(st.integers(0, len(damaged)))
    tail = data.draw(st.binary(max_size=20))
    content = bytes(damaged) if data.draw(st.booleans()) else bytes(damaged[:cut]) + tail
    options = data.draw(st.sampled_from([[], ["--json"], ["--json", "--key", "00" * 16]]))
    run(content, tmp_path, capsys, *options)


@settings(
    max_examples=300,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.binary(max_size=60))
def test_the_command_bears_any_input(tmp_path: Path, capsys: Captured, noise: str | bytes) -> None:
    run(noise.encode() if isinstance(noise, str) else noise, tmp_path, capsys, "--json")


def test_hex_text_that_is_wrong_raises_a_frame_error() -> None:
    with pytest.raises(FrameError):
        decode.from_hex("68 68 6g")
