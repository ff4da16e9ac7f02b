"""The link between gateway and broker fails: the usual way, and without a word."""

import pytest

from tests.system.plant import Plant


@pytest.mark.timeout(180)
def test_the_books_balance_after_a_black_hole(plant: Plant) -> None:
    """Bytes are swallowed both ways, no FIN comes, and the old connections never recover."""
    plant.site.interval_s = 0.05
    plant.site.turns_s = 300
    plant.site.keepalive_s = 2
    plant.start_cloud("ingest")
    plant.start_site()
    plant.wait_for_entries(40)
    before = plant.link.connections
    plant.link.black_hole()
    plant.wait_for_journal(200)
    plant.link.resume()
    plant.wait_for_entries(240, timeout_s=60)
    assert plant.link.connections > before, "the gateway must have come back by itself"
    plant.check_books()


@pytest.mark.timeout(120)
def test_the_books_balance_after_cuts(plant: Plant) -> None:
    plant.site.interval_s = 0.05
    plant.site.turns_s = 300
    plant.start_cloud("ingest")
    plant.start_site()
    for _ in range(5):
        plant.wait_for_entries(30)
        plant.link.cut()
    plant.wait_for_entries(30)
    plant.check_books()
