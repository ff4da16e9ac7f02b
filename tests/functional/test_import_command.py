"""``inmetter-cloud import``: what is said of a file, and what is there afterwards."""

import json
import re
import shlex
from pathlib import Path

import pytest

from cloud.__main__ import main
from cloud.services import points
from cloud.services.store import Store
from tests.harness.masterdata import MasterData
from tests.harness.tables import rows_of

HEAD = "gateway,device,register,unit,time,value\n"
LINE = "gw-1,water-1,volume,m³,2026-06-01T00:00:00Z,1.5\n"


@pytest.fixture
def config(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "cloud.toml"
    file.write_text(f'[database]\nurl = "{sqlite_url}"\n')
    data = MasterData(sqlite_url)
    data.add_register(data.add_device(data.add_gateway(data.add_site())))
    data.close()
    (tmp_path / "old.csv").write_text(HEAD + LINE)
    monkeypatch.chdir(tmp_path)
    return file


def run(*words: str) -> int:
    return main(["--config", "cloud.toml", "import", *words])


def stored(store: Store) -> int:
    return len(rows_of(store, "SELECT 1 FROM reading"))


def test_a_file_is_only_looked_at_without_apply(
    config: Path, sqlite_store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("readings", "old.csv") == 0
    said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"old\.csv  SHA-256 [0-9a-f]{64}", said[0])
    assert said[1:] == [
        "1 lines (decimal point): 1 new, 0 already there, 0 in conflict, 0 refused",
        "1 of 1 lines are new and can be imported",
    ]
    assert stored(sqlite_store) == 0


def test_a_bad_line_is_named_and_the_exit_code_says_so(
    config: Path, sqlite_store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = "".join(LINE.replace("1.5", f"x{n}") for n in range(102))
    (config.parent / "old.csv").write_text(HEAD + LINE + bad)
    for words in ([], ["--apply"]):
        assert run("readings", "old.csv", *words) == 1
        told = capsys.readouterr()
        said = told.out.splitlines()
        assert said[2].startswith("line 3, value: 'x0' is not a number; write digits")
        assert said[-2:] == [
            "and 2 more bad lines",
            "nothing is imported: 102 of 103 lines cannot be taken",
        ]
        assert told.err.strip() == f"old.csv: {said[-1]}"
    assert stored(sqlite_store) == 0


def test_the_report_is_there_for_programs(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("readings", "old.csv", "--json", "--apply") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["file"], report["new"], report["stored"]) == ("old.csv", 1, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [(["nowhere.csv"], "No such file"), (["."], "Is a directory"), (["cloud.toml"], "columns")],
)
def test_what_is_no_such_file_is_said_without_a_traceback(
    config: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert run("readings", *words) == 1
    assert message in capsys.readouterr().err


def test_an_unknown_zone_is_wrong_usage(config: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        run("readings", "old.csv", "--zone", "Middle/Earth")
    assert ended.value.code == 2


def test_the_examples_of_the_document_work(config: Path, sqlite_store: Store) -> None:
    (config.parent / "points.csv").write_text(
        "key,name,site,medium,kind\nflat-1,Flat 1,mill,cold water,volume\n"
    )
    document = (Path(__file__).parents[2] / "docs" / "operating.md").read_text("utf-8")
    examples = re.findall(r"^inmetter-cloud (.* import .*)$", document, re.MULTILINE)
    assert len(examples) == 3
    assert [main(shlex.split(example)) for example in examples] == [0, 0, 0]
    assert stored(sqlite_store) == 1
    assert [one.key for one in points.points(sqlite_store)] == ["flat-1"]
