"""The fixture of the system tests, and what they show when they fail."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.harness.processes import Programs
from tests.system import plant as plants


@pytest.fixture
def plant(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[plants.Plant]:
    """A whole inMetter, of which broker and database run already."""
    programs = Programs(tmp_path, forked=True)
    request.node.stash[PROGRAMS] = programs
    with plants.plant(tmp_path, programs) as made:
        yield made


PROGRAMS = pytest.StashKey[Programs]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failing test shows the end of every program's log."""
    report = yield
    if report.failed and PROGRAMS in item.stash:
        report.sections.extend(item.stash[PROGRAMS].report())
    return report
