"""What must not stand in the repository, and what must be in the package."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.repo.files import ROOT, repository_files

PACKAGES = ("common", "edge_agent", "cloud")

# In pieces, so that this file does not find itself.
REGISTRY_HOSTS = [
    "pypi" + ".org",
    "python" + "hosted",
    "npm" + "js",
    "crates" + ".io",
    "artifact" + "ory",
]
MACHINE_PATHS = ["/" + "work/", "/" + "root/", "/" + "tmp/", "bash" + "_jobs"]


@pytest.mark.parametrize("name", [*REGISTRY_HOSTS, *MACHINE_PATHS])
def test_no_registry_and_no_path_of_a_machine_is_mentioned(name: str) -> None:
    pattern = re.compile(rf"(?<![\w.]){re.escape(name)}".encode())
    found = [file for file in repository_files() if pattern.search((ROOT / file).read_bytes())]
    assert not found


def test_no_test_sleeps() -> None:
    pattern = re.compile("(time|asyncio)" + r"\.sleep" + r"\(")
    found = [
        file
        for file in repository_files()
        if file.startswith("tests/") and file.endswith(".py")
        if pattern.search((ROOT / file).read_text("utf-8"))
    ]
    assert not found


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    sources = [
        file
        for file in repository_files()
        if file.endswith(".py") and "/migrations/versions/" not in file  # generated
    ]
    found = [file for file in sources if len((ROOT / file).read_text("utf-8").splitlines()) > 400]
    assert not found


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        file for file in repository_files() if file.startswith(tuple(f"{p}/" for p in PACKAGES))
    }
    assert inside == expected


MODULES = sorted(
    file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    for file in repository_files()
    if file.startswith(tuple(f"{package}/" for package in PACKAGES))
    and file.endswith(".py")
    and "/migrations/" not in file
    and not file.endswith("__main__.py")
)


PARTS = 4
"""They are tried at the same time."""


@pytest.mark.parametrize("part", range(PARTS))
def test_every_module_can_be_imported_alone(part: int) -> None:
    """Each in a fork of its own, so that none leans on what another module of ours has done."""
    script = f"""
import importlib, os, sys, traceback
import alembic, fastapi, fpdf, msgspec, nicegui, openpyxl, prometheus_client, pwdlib
import pymodbus.client
import pymysql, sqlalchemy, uvicorn, xlsxwriter
failed = []
for name in {MODULES[part::PARTS]!r}:
    if (child := os.fork()) == 0:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(name)
sys.exit(", ".join(failed) or 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_edge_agent_loads_nothing_of_the_cloud_and_no_simulator() -> None:
    script = "import sys, edge_agent.app; print(*sys.modules)"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.split()
    )
    heavy = {"sqlalchemy", "nicegui", "fastapi", "pydantic", "pymysql", "cloud", "sqlite_utils"}
    assert not loaded & (heavy | {"edge_agent.simulators"})
