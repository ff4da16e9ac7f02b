"""Whatever is killed in the middle of traffic: no entry is lost, none is stored twice."""

from collections.abc import Callable

import pytest

from tests.system.plant import Plant

KILLS = 3


def _kill_edge(plant: Plant) -> None:
    plant.programs["edge"].kill9()
    plant.programs["edge"].start()


def _kill_ingest(plant: Plant) -> None:
    plant.programs["ingest"].kill9()
    plant.wait_for_journal(15)
    plant.programs["ingest"].start()


def _kill_broker(plant: Plant) -> None:
    plant.broker.kill()
    plant.wait_for_journal(15)
    plant.broker.start()


def _kill_database(plant: Plant) -> None:
    plant.database.kill()
    plant.wait_for_journal(15)
    plant.database.start()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kill", [_kill_edge, _kill_ingest, _kill_broker, _kill_database])
def test_the_books_balance_after_a_kill(plant: Plant, kill: Callable[[Plant], None]) -> None:
    plant.site.interval_s = 0.05
    plant.site.turns_s = 300
    plant.start_cloud("ingest")
    plant.start_site()
    for _ in range(KILLS):
        plant.wait_for_entries(40)
        kill(plant)
    plant.wait_for_entries(40)
    assert plant.check_books() > 40 * KILLS
