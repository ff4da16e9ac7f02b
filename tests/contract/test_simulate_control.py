"""Faults by hand: what somebody types, and what is answered."""

from pathlib import Path

import pytest

from edge_agent.__main__ import main
from tests.contract.playing import TWO_OF_EACH, Peer, playing, talking


async def say(peer: Peer, line: str) -> list[str]:
    """The lines of the answer."""
    peer.writer.write(line.encode() + b"\n")
    lines: list[str] = []
    while not lines or not lines[-1].startswith(("ok", "error: ")):
        lines.append((await peer.reader.readline()).decode().rstrip("\n"))
        assert lines[-1], lines
    return lines


async def test_a_person_lists_makes_sees_and_clears_faults(tmp_path: Path) -> None:
    async with (
        playing(tmp_path, TWO_OF_EACH, control="127.0.0.1:0") as (_, said),
        talking(said, "control") as hand,
        talking(said, "mbus-1") as bus,
    ):
        places = await say(hand, "list")
        assert len(places) == 5
        assert places[0].startswith("mbus mbus-1 listens on 127.0.0.1:")
        assert places[0].endswith("address 1, line mbus1")
        assert await say(hand, "status") == ["ok"]
        assert await say(hand, "fault drop mbus-1") == ["ok"]
        assert await say(hand, "fault delay modbus1 1h ms=200") == ["ok"]
        status = await say(hand, "status")
        assert status[1] == "drop mbus-1"
        assert status[0].startswith("delay modbus1 for 3")
        assert status[0].endswith("s ms=200")
        assert await bus.hears_nothing(bytes.fromhex("107b017c16"))
        assert await say(hand, "clear mbus-1") == ["ok"]
        assert (await bus.read_mbus(1))[5] == 1
        assert len(await say(hand, "status")) == 2


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("", "expected list, status, fault …, clear … or quit; see help"),
        ("fault drop", "expected list, status, fault …, clear … or quit; see help"),
        ("fault drop nobody", "there is no device or line 'nobody': see list"),
        ("clear nobody", "there is no device or line 'nobody': see list"),
        ("fault drop mbus1 10 s", "'s': expected a time before it, or NAME=NUMBER"),
        ("fault drop mbus1 10", "'10': expected a duration such as 10s, 250ms, 5min, 2h or 1d"),
        ("fault delay mbus1 10s ms=x", "'ms=x': expected a time before it, or NAME=NUMBER"),
    ],
)
async def test_what_is_not_understood_is_answered_with_what_was_expected(
    tmp_path: Path, line: str, answer: str
) -> None:
    async with (
        playing(tmp_path, TWO_OF_EACH, control="127.0.0.1:0") as (_, said),
        talking(said, "control") as hand,
    ):
        assert await say(hand, line) == [f"error: {answer}"]
        assert (await say(hand, "help"))[-1] == "ok"
        hand.writer.write(b"x" * 2000 + b"\n")
        assert await hand.is_hung_up()


def test_control_from_the_network_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(TWO_OF_EACH)
    for address in ("0.0.0.0:7000", "192.0.2.1:7000", "7000", "example.org:7000"):
        assert main(["simulate", str(path), "--control", address]) == 2
        assert "on loopback" in capsys.readouterr().err


def test_a_scenario_or_a_folder_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate"]) == 2
    assert capsys.readouterr().err == "expected a scenario file, or --generate DIR\n"
