"""What the documents promise is there."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.repo.files import ROOT, repository_files

DOCUMENTS = [name for name in repository_files() if name.endswith(".md")]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)")
FENCE = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
WORD = r"[a-z][a-z0-9-]*"


def _without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def _anchors(text: str) -> set[str]:
    """The anchors that headings get, as the usual forges make them."""
    headings = re.findall(r"^#+ +(.*)$", FENCE.sub("", text), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).strip() for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_somewhere(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    broken = []
    for link in LINK.findall(_without_code(text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        if not target.exists() or (anchor and anchor not in _anchors(target.read_text("utf-8"))):
            broken.append(link)
    assert not broken


def _commands() -> Iterator[tuple[str, str]]:
    """(document, line) of every line in a fenced block that looks like a command of ours."""
    for document in DOCUMENTS:
        for block in FENCE.findall((ROOT / document).read_text("utf-8")):
            for line in block.splitlines():
                if re.search(r"(^|[\s/])(make |inmetter-(edge|cloud)\b|python3? -m )", line):
                    yield document, line.removeprefix("$").strip()


def _make_targets() -> set[str]:
    return set(re.findall(rf"^({WORD}):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def test_every_make_target_in_a_document_exists() -> None:
    targets = _make_targets()
    unknown = [
        f"{document}: {line}"
        for document, line in _commands()
        for target in re.findall(rf"(?:^|\s)make ({WORD})\b", line.partition("#")[0])
        if target not in targets
    ]
    assert not unknown


def test_every_subcommand_in_a_document_exists() -> None:
    wanted: dict[tuple[str, str], str] = {}
    for document, line in _commands():
        for program, sub in re.findall(rf"\b(inmetter-(?:edge|cloud)) ({WORD})\b", line):
            wanted.setdefault((program, sub), document)
    programs = Path(sys.executable).parent
    missing = [
        f"{document}: {program} {sub}"
        for (program, sub), document in wanted.items()
        if subprocess.run(
            [programs / program, sub, "--help"], capture_output=True, cwd=ROOT, check=False
        ).returncode
    ]
    assert not missing


def test_every_module_that_a_document_runs_exists() -> None:
    missing = [
        f"{document}: {line}"
        for document, line in _commands()
        for module in re.findall(r"python3? -m ([\w.]+)", line)
        if importlib.util.find_spec(module) is None
    ]
    assert not missing
