"""``inmetter-cloud export``: what is written where, and what is left when it fails."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from cloud.__main__ import main
from cloud.domain.tariffs import Fixed, Tariff, Version
from cloud.services import points, statements, tariffs
from cloud.services.points import Change, NewPoint
from cloud.services.store import Store
from common.registers import Kind, Medium
from tests.harness.masterdata import MasterData
from tests.harness.xlsx import sheets

AT = 1_780_000_000_000
SPAN = ["--from", "2026-05-01T00:00:00+03:00", "--to", "2026-07-01T00:00:00+03:00"]


@pytest.fixture
def config(sqlite_url: str, tmp_path: Path) -> Iterator[Path]:
    """A cloud with 5,000 readings of one register."""
    file = tmp_path / "cloud.toml"
    file.write_text(f'[database]\nurl = "{sqlite_url}"\n')
    data = MasterData(sqlite_url)
    register = data.add_register(data.add_device(data.add_gateway(data.add_site())))
    data.add_readings(register, [(AT + n, 12_000 + n) for n in range(5000)])
    data.close()
    yield file


def export(config: Path, *words: str) -> int:
    return main(["--config", str(config), "export", "readings", *SPAN, *words])


def command(config: Path) -> list[str]:
    """For a process of its own: CSV to standard output."""
    return [sys.executable, "-m", "cloud", "--config", str(config), "export", "readings", *SPAN]


def test_csv_goes_to_standard_output_and_nothing_else_does(
    config: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert export(config, "--site", "mill", "--device", "water-1") == 0
    lines = capfdbinary.readouterr().out.decode().split("\r\n")
    assert lines[0].startswith("site,gateway,")
    assert lines[1] == ("mill,gw-1,water-1,volume,m³,2026-05-28T23:26:40.000+03:00,12.000,good,7")
    assert len(lines) == 5002


def test_a_file_is_there_when_it_is_whole(config: Path, tmp_path: Path) -> None:
    output = tmp_path / "readings.json"
    assert export(config, "--format", "json", "--output", str(output)) == 0
    assert len(json.loads(output.read_text())["rows"]) == 5000
    output = tmp_path / "readings.xlsx"
    second = ["--to", "2026-05-28T20:26:41Z"]
    assert export(config, "--format", "xlsx", "--output", str(output), *second) == 0
    assert len(sheets(output.read_bytes())[0]) == 1001
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--site", "nowhere"], "no such register"),
        (["--format", "json", "--decimal", "comma"], "csv"),
        (["--to", "2026-05-01T00:00:00+03:00"], "later than start"),
    ],
)
def test_a_file_that_cannot_be_made_leaves_the_old_one_as_it_was(
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    output = tmp_path / "readings.csv"
    output.write_text("the old one")
    assert export(config, "--output", str(output), *words) == 1
    assert message in capsys.readouterr().err
    assert output.read_text() == "the old one"
    assert not list(tmp_path.glob("*.part"))


def test_the_examples_of_the_document_work(
    config: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = MasterData(sqlite_url)
    device = data.add_device(data.add_gateway(data.add_site("hall"), "gw-2"))
    assert [data.add_register(device, f"r{n}") for n in range(11)][-1] == 12
    data.close()
    store = Store(sqlite_url)
    by = Change("ana", AT + 10 * 86_400_000)
    point = points.create(
        store, NewPoint("flat-1", "Flat 1", "mill", Medium.COLD_WATER, Kind.VOLUME), by
    ).id
    fixed = Version(valid_from=date(2026, 1, 1), charges=(Fixed(name="Letter", amount=Decimal(2)),))
    tariff = Tariff(key="water", name="Water", currency="RON", unit="m³", versions=(fixed,))
    tariffs.put(store, tariff, by)
    tariffs.assign(store, point, date(2026, 1, 1), "water", by)
    assert statements.issue(store, point, "2026-05", by).issued.id == 1
    store.close()
    document = (Path(__file__).parents[2] / "docs" / "operating.md").read_text("utf-8")
    examples = re.findall(r"^inmetter-cloud (.* export [^|\n]*)", document, re.MULTILINE)
    assert len(examples) == 7
    monkeypatch.chdir(config.parent)
    assert [main(shlex.split(example)) for example in examples] == [0] * 7
    made = {"june.csv", "june.xlsx", "hours.csv", "months.xlsx", "lines.csv", "statement.pdf"}
    assert all((config.parent / name).stat().st_size for name in made)
    assert (config.parent / "statement.pdf").read_bytes().startswith(b"%PDF-")
    (line,) = (config.parent / "lines.csv").read_text().splitlines()[1:]
    assert line.startswith("mill,flat-1,Flat 1,2026-05,1,")
    (line,) = (config.parent / "hours.csv").read_text().splitlines()[1:2]
    assert line.startswith("mill,flat-1,Flat 1,m³,2026-01-01T00:00:00.000+02:00,")
    assert line.endswith(",,missing,0.0")


def test_a_statement_that_is_not_there_leaves_the_old_file(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "statement.pdf"
    output.write_text("the old one")
    words = ["--config", str(config), "export", "statement", "7", "--output", str(output)]
    assert main(words) == 1
    assert "no statement 7" in capsys.readouterr().err
    assert output.read_text() == "the old one"


@pytest.mark.parametrize("month", ["2026-13", "2026", "June"])
def test_what_is_no_month_is_said(
    config: Path, capsys: pytest.CaptureFixture[str], month: str
) -> None:
    with pytest.raises(SystemExit):
        main(["--config", str(config), "export", "statements", "--from", month])
    assert "is no month" in capsys.readouterr().err


def test_a_pipe_is_written_to_and_not_replaced(config: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = tmp_path / "read"
    with read.open("wb") as file, subprocess.Popen(["cat", pipe], stdout=file):
        assert export(config, "--output", str(pipe)) == 0
        assert pipe.is_fifo()
    assert read.read_bytes().count(b"\r\n") == 5001


def test_a_link_stays_a_link(config: Path, tmp_path: Path) -> None:
    there, link = tmp_path / "there.csv", tmp_path / "link.csv"
    there.write_text("the old one")
    link.symlink_to(there)
    assert export(config, "--output", str(link)) == 0
    assert link.is_symlink()
    assert there.read_text().startswith("site,")


@pytest.mark.parametrize("output", ["nowhere/readings.csv", "."])
def test_where_nothing_can_be_written_is_said(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    assert export(config, "--output", str(tmp_path / output)) == 1
    assert str(tmp_path / output) in capsys.readouterr().err


def test_a_full_disk_is_said_without_a_traceback(config: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            command(config), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == ["-: No space left on device"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "yesterday"], "no time"),
        (["--from", "2026-05-01T00:00:00"], "Z or an offset"),
        (["--site", "The Mill"], "not a key"),
        (["--format", "pdf"], "invalid"),
    ],
)
def test_wrong_usage_is_said(
    config: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        export(config, *words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_reader_who_has_enough_gets_no_traceback(config: Path) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(command(config), stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(5) == b"site,"
        process.stdout.close()
        said = process.stderr.read().decode()
    assert process.returncode == 1
    assert said.splitlines() == ["-: Broken pipe"]
