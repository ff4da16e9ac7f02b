"""A simulated site for whoever runs the installer's commands on it."""

from collections.abc import Iterator

import pytest

from tests.harness.mosquitto import Mosquitto
from tests.harness.processes import Programs
from tests.harness.site import SiteFiles


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteFiles]:
    """Five simulated devices, up; a broker; the gateway's files, and no agent."""
    directory = tmp_path_factory.mktemp("site")
    (directory / "broker").mkdir()
    with Mosquitto(directory / "broker") as broker, Programs(directory) as programs:
        files = SiteFiles(directory / "files", broker.port).write()
        simulators = programs.add("simulators", *files.simulator_command()).start()
        simulators.wait_for("simulated site is up")
        yield files
