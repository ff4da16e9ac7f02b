"""What must not stand in the repository, and what must be in the package."""

import re
import subprocess
import sys
import zipfile
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
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


WHEN_NEEDED = {("edge_agent.drivers.mbus_url", "edge_agent.drivers.mbus_serial")}
"""Imported in a function: a gateway without serial lines does without."""


def test_no_modules_import_each_other_in_a_circle() -> None:
    """So each can be imported first, and none leans on what another has done before."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True)
    imports = {
        one: graph.find_modules_directly_imported_by(one)
        - {other for lazy, other in WHEN_NEEDED if lazy == one}
        for one in graph.modules
    }
    TopologicalSorter(imports).prepare()


def test_every_module_can_be_imported() -> None:
    script = f"import importlib\nfor name in {MODULES!r}: importlib.import_module(name)"
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
