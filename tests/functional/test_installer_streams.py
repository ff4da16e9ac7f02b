"""The tools where a person puts them: in pipes, in scripts, on small and on old terminals."""

import fcntl
import json
import multiprocessing
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from edge_agent.__main__ import main
from edge_agent.cli import check, doctor, init, read, table
from tests.harness.ports import free_port

CONFIG = """\
[gateway]
id = "hall-1"
name = "Hală"
site = "hall"
site_name = "Hală"
timezone = "Europe/Bucharest"

[[line]]
id = "bus"
url = "tcp://127.0.0.1:{port}"

[[device]]
driver = "mbus"
key = "meter"
name = "Măsură"
line = "bus"
address = 5
profile = "mbus_water"
"""
NOBODY = 65534
TOOLS = (check, doctor, init, read)
"""Loaded here, before ``as_nobody``, who may not read everything that root may."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text(CONFIG.format(port=free_port()))
    return path


def shell(line: str, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    """``line`` of a shell, in which "$@" is the command."""
    command = [sys.executable, "-m", "edge_agent", *map(str, arguments)]
    return subprocess.run(
        ["bash", "-c", line, "-", *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **more},
    )


@pytest.mark.parametrize("arguments", [["--help"], ["read", "--help"], ["doctor"]])
def test_who_reads_only_the_beginning_is_no_error(arguments: Sequence[str]) -> None:
    done = shell('"$@" 2>&1 | head -c 1; exit ${PIPESTATUS[0]}', *arguments)
    assert (done.returncode in {0, 1}, len(done.stdout), done.stderr) == (True, 1, "")


def test_an_output_that_nobody_reads_any_more_is_no_traceback(config: Path) -> None:
    done = shell('"$@" | true; exit ${PIPESTATUS[0]}', "check", config)
    assert done.returncode in {0, 1}
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_streams_that_are_closed_change_nothing(config: Path, streams: str) -> None:
    for command, code in ((["check", config], 0), (["read", config], 1), (["read", "/no"], 2)):
        done = shell(f'"$@" {streams}', *command)
        assert done.returncode == code
        assert "Traceback" not in done.stderr


def test_a_full_disk_is_told(config: Path) -> None:
    done = shell('"$@" > /dev/full', "check", config)
    expected = (1, "the output cannot be written: No space left on device\n")
    assert (done.returncode, done.stderr) == expected


def test_a_terminal_that_knows_ascii_only_gets_question_marks(config: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = shell('"$@"', "check", config, **plain)
    assert (done.returncode, "(Hal?)" in done.stdout) == (0, True)
    done = shell('"$@"', "check", config, "--online", "--json", **plain)
    assert json.loads(done.stdout)
    assert "Traceback" not in done.stderr


def test_what_is_typed_in_another_encoding_is_asked_again(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge_agent", "init", str(tmp_path)]
    said = b"hall-1\nhall\nHal\xe3\nHall\n\nEurope/Bucharest\n\n\n\n\n"
    done = subprocess.run(command, input=said, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert b"cannot be read as text" in done.stderr
    assert 'name = "Hall"' in (tmp_path / "edge.toml").read_text()


def test_a_table_is_folded_to_the_terminal(config: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "edge_agent", "check", str(config), "--online"]
    environment = {key: text for key, text in os.environ.items() if key != "COLUMNS"}
    subprocess.run(command, stdout=theirs, stderr=-3, timeout=60, check=False, env=environment)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    lines = shown.replace("\x1b[31m", "").replace("\x1b[32m", "").replace("\x1b[33m", "")
    folded = lines.replace("\x1b[0m", "").splitlines()
    assert max(map(len, folded)) <= 80
    assert "nothing listens on port" in " ".join(" ".join(folded).split())


def test_a_fold_keeps_its_column_and_a_narrow_one_is_left() -> None:
    rows = [
        ["good", "a subject", "one two three four five six seven eight nine ten"],
        ["x", "", ""],
    ]
    head = ["verdict", "what", "found"]
    folded = table.table(head, rows, 46).splitlines()
    assert folded[1:4] == [
        "good     a subject  one two three four five",
        "                    six seven eight nine ten",
        "x",
    ]
    assert len(table.table(head, rows, 30).splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["read", "/nowhere"], 2, "No such file"),
        (["check", "/"], 2, "Is a directory"),
        (["scan", "modbus", "nowhere"], 2, "expected tcp, rtu+tcp or serial"),
        (["scan", "mbus", "nowhere"], 2, "expected tcp://"),
        (["scan", "mbus", "tcp://127.0.0.1:1"], 1, "nothing listens on port 1"),
        (["scan", "c11do1eth", "/nowhere"], 2, "No such file"),
        (["output", "/nowhere", "a", "on"], 2, "No such file"),
    ],
)
def test_a_failure_is_one_json_document_too(
    arguments: list[str], code: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--json"]) == code
    shown = capsys.readouterr()
    assert reason in json.loads(shown.out)["error"]
    assert reason in shown.err


def test_a_doctor_calls_a_file_that_is_none_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    for path in ("/", "/nowhere"):
        assert main(["doctor", path, "--json"]) == 1
        found = json.loads(capsys.readouterr().out)
        assert [one["found"].partition(":")[0] for one in found if one["verdict"] == "bad"] == [
            path
        ]


def as_nobody(folder: Path, *commands: Sequence[object]) -> Mapping[str, tuple[int, str]]:
    """Exit code and all that each command says, to a user who owns nothing; by its first word."""
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    results = folder / "as-nobody"
    results.mkdir()
    results.chmod(0o777)

    def work() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        for command in commands:
            name = str(command[0])
            with (results / f"{name}.said").open("w") as said:
                sys.stdout = sys.stderr = said
                code = main([str(one) for one in command])
            (results / f"{name}.code").write_text(str(code))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    return {
        one.stem: (int(one.with_suffix(".code").read_text()), one.read_text())
        for one in results.glob("*.said")
    }


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that others may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_another_user_is_told_what_he_may_not_do(public: Path) -> None:
    open_to_all, secret, closed = public / "edge.toml", public / "hidden.toml", public / "closed"
    for path, mode in ((open_to_all, 0o644), (secret, 0o600)):
        path.write_text(CONFIG.format(port=free_port()))
        path.chmod(mode)
    closed.mkdir(mode=0o700)
    (public / "data").mkdir(mode=0o700)
    said = as_nobody(
        public,
        ["read", secret],
        ["check", closed / "edge.toml"],
        ["init", closed],
        ["doctor", open_to_all],
    )
    assert said["read"] == (2, f"{secret}: cannot be read: Permission denied\n")
    assert said["check"] == (2, f"{closed}/edge.toml: cannot be read: Permission denied\n")
    assert said["init"] == (2, f"{closed}: cannot be made or used: Permission denied\n")
    code, findings = said["doctor"]
    assert code == 1
    assert f"{public}/data cannot be written by this user" in findings
    assert f"{public}/data/edge.db: not for this user" in findings
