"""``inmetter-edge decode`` of lines with a time and a frame, as the cloud gives them."""

import io
import json
from pathlib import Path

import pytest

from edge_agent.__main__ import FINDING, GOOD, main
from tests.unit.test_decode_command import FRAME, Captured, decoded


def test_lines_with_a_time_are_decoded_each_by_itself_and_a_bad_one_harms_no_other(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = [f"2026-06-02T11:5{n}:58.500Z" for n in range(5)]
    frames = [FRAME.hex(), FRAME[:-3].hex(), "zz", FRAME.hex(" ").upper(), FRAME.hex()]
    lines = "".join(f"{one} {frame}\n" for one, frame in zip(at, frames, strict=True))
    lines += f"\n{FRAME.hex()}\n"
    file = tmp_path / "telegrams"
    file.write_text(lines)
    assert main(["decode", "mbus", "--json", str(file)]) == FINDING
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert [one.pop("at") for one in found] == [*at, "line 7"]
    sound = decoded(capsys, FRAME.hex())
    assert [one == sound for one in found] == [True, False, False, True, True, True]
    said = f"{at[1]}: byte {len(FRAME) - 3}: the M-Bus frame is cut off (and 1 more)\n"
    assert captured.err == said
    first = lines.splitlines()[0].encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(first)))
    assert main(["decode", "mbus", "--json", "-"]) == GOOD
    assert [one["at"] for one in json.loads(capsys.readouterr().out)] == at[:1]
    assert main(["decode", "mbus", str(file)]) == FINDING
    assert f"\n{at[3]}  ELS 12345678, version 51" in capsys.readouterr().out
