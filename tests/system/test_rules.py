"""Rules switch on what is live, after their hold time, and on nothing else."""

import pytest

from tests.harness.books import read_journal
from tests.harness.eventually import eventually
from tests.harness.site import GATEWAY, ROOF
from tests.system.plant import Plant
from tests.system.played_gateway import PlayedGateway, now_ms

HOLD_S = 1
LOW, HIGH = 100, 5000


def test_a_backlog_switches_nothing_and_a_live_reading_does_after_its_hold_time(
    plant: Plant,
) -> None:
    meter = ("played", "meter")
    plant.cloud.add_rule(
        "high power opens", (*meter, "power"), 1000, 500, (*meter, "roof"), hold_s=HOLD_S
    )
    plant.start_cloud("ingest", "dispatch")
    with plant.tap() as tap:
        gateway = PlayedGateway(tap, "played")
        gateway.introduce()
        long_ago_ms = now_ms() - 600_000
        old = [gateway.power(HIGH, long_ago_ms + n * 1000) for n in range(60)]
        gateway.deliver(*old)
        assert plant.book.count("command") == 0

        begun_ms = now_ms()

        def order_after_one_more_reading() -> bool:
            gateway.deliver(gateway.power(HIGH))
            return bool(gateway.commands())

        eventually(order_after_one_more_reading, 20, "the rule fires")
        (command,) = gateway.commands()
        assert (command.device, command.register, command.value) == ("meter", "roof", 1)
        assert command.issued_at - begun_ms >= HOLD_S * 1000

        gateway.deliver(gateway.power(LOW, long_ago_ms - 5000))
        assert plant.book.latest("played", "meter", "power") == HIGH, "late is not live"
    assert plant.book.count("command") == 1


@pytest.mark.timeout(120)
def test_the_roof_opens_and_closes_by_itself(plant: Plant) -> None:
    """The machines run for twelve seconds, then stop: the roof follows, once each way."""
    power = (GATEWAY, "electricity-main", "power")
    plant.cloud.add_rule("heat", power, 1000, 500, (GATEWAY, *ROOF), hold_s=HOLD_S)
    plant.start_cloud("ingest", "dispatch")
    plant.start_site()
    eventually(lambda: _commands(plant) == [(1, "succeeded")], 20, "the roof opens")
    eventually(
        lambda: _commands(plant) == [(1, "succeeded"), (0, "succeeded")], 40, "the roof closes"
    )
    plant.check_books()
    moved = [
        one
        for one in read_journal(plant.site.journal).events().values()
        if one.code == "output_changed"
    ]
    assert len(moved) == 2
    roof = "/".join(ROOF)
    eventually(lambda: plant.site.truth()["outputs"][roof] == 0, 5, "the roof is closed")


def _commands(plant: Plant) -> list[tuple[object, ...]]:
    return list(plant.book.rows("SELECT value, state FROM command ORDER BY issued_at"))
