"""Commands and rules, from the order to the module that switches."""

import time
from collections.abc import Iterator

import pytest

from common import topics
from common.ids import new_command_id
from common.messages.downlink import Command
from common.messages.envelope import encode
from common.messages.uplink import CommandReport
from tests.harness.books import read_journal
from tests.harness.eventually import eventually
from tests.harness.site import GATEWAY, ROOF
from tests.harness.tap import Tap
from tests.system.plant import Plant

OPEN, CLOSED = 1, 0


@pytest.fixture
def tap(plant: Plant) -> Iterator[Tap]:
    """Hears everything from the beginning."""
    with plant.tap() as listening:
        yield listening


def _start(plant: Plant) -> int:
    """The whole plant runs; the register of the roof's output."""
    plant.start_cloud()
    plant.start_site()
    output = plant.cloud.output_id(GATEWAY, *ROOF)
    log = plant.programs["edge"]
    log.wait_for(f"device {ROOF[0]}: session")
    return output


def _check_roof(plant: Plant, state: int, *, switches: int) -> None:
    """Where the simulated roof is, how often its module said that it had moved; the books."""
    plant.wait_for_entries(5)
    plant.check_books()
    events = read_journal(plant.site.journal).events().values()
    moved = [one for one in events if one.code == "output_changed" and one.device == ROOF[0]]
    assert len(moved) == switches
    eventually(lambda: plant.site.truth()["outputs"]["/".join(ROOF)] == state, 5, "the roof")


def test_a_command_goes_its_way_and_is_read_back(plant: Plant) -> None:
    output = _start(plant)
    command = plant.cloud.order(output, OPEN)
    done = plant.cloud.wait_for_state(command, "succeeded")
    assert [step["state"] for step in done["steps"]] == ["pending", "sent", "accepted", "succeeded"]
    assert (done["readback"], done["final"]) == (OPEN, True)
    _check_roof(plant, OPEN, switches=1)


def test_a_command_that_comes_again_does_not_act_again(plant: Plant, tap: Tap) -> None:
    """Open, close, and then the first message once more: the roof stays closed."""
    output = _start(plant)
    for value in (OPEN, CLOSED):
        plant.cloud.wait_for_state(plant.cloud.order(output, value), "succeeded")
    (first, *_) = tap.heard(GATEWAY, "command")
    steps = plant.book.count("command_step")
    before = read_journal(plant.site.journal).last
    tap.say_often(first.topic, first.payload, 3)
    said = eventually(lambda: _reports_after(plant, before), 10, "it is reported again")
    assert {report.state for report in said} == {"succeeded"}
    _check_roof(plant, CLOSED, switches=2)
    assert plant.book.count("command_step") == steps, "the same report again is no news"


def test_a_command_that_comes_too_late_switches_nothing(plant: Plant, tap: Tap) -> None:
    _start(plant)
    now = time.time_ns() // 1_000_000
    late = Command(new_command_id(), *ROOF, OPEN, now - 60_000, now - 1)
    tap.say(topics.down(GATEWAY, "command"), encode(late))
    (report,) = eventually(lambda: _reports_after(plant, 0), 10, "a report")
    assert (report.id, report.state) == (late.id, "expired")
    _check_roof(plant, CLOSED, switches=0)


@pytest.mark.timeout(120)
def test_a_command_whose_time_passes_in_an_outage_switches_nothing(plant: Plant) -> None:
    output = _start(plant)
    plant.programs["edge"].stop()
    command = plant.cloud.order(output, OPEN, ttl_s=1)
    expired_ms = time.time_ns() // 1_000_000 + 1000
    eventually(lambda: time.time_ns() // 1_000_000 > expired_ms, 5, "its expiry")
    plant.programs["edge"].start()
    plant.wait_for_entries(20)
    assert plant.cloud.get(f"commands/{command}")["state"] in {"sent", "expired", "unconfirmed"}
    _check_roof(plant, CLOSED, switches=0)


def _reports_after(plant: Plant, seq: int) -> list[CommandReport]:
    entries = read_journal(plant.site.journal).entries.items()
    return [body for n, body in entries if n > seq and isinstance(body, CommandReport)]
