"""The cloud's database is set back to a backup: it asks for what it lacks, and gets it."""

from collections.abc import Callable

import pytest

from tests.harness.books import CloudBook, read_journal, read_settled
from tests.harness.eventually import eventually
from tests.system.plant import DATABASE, Plant

RESTORED, OLD = "restored", "old"


def _swap_tables(plant: Plant) -> None:
    """The restored tables take the place of the others; the worker's connections stay."""
    plant.database.create_database(OLD)
    names = _tables(plant)
    away = [f"{DATABASE}.`{name}` TO {OLD}.`{name}`" for name in names]
    _rename(plant, away + [f"{RESTORED}.`{name}` TO {DATABASE}.`{name}`" for name in names])


def _drop_database(plant: Plant) -> None:
    """The database goes and comes again while the worker runs."""
    names = _tables(plant)
    plant.book.rows(f"DROP DATABASE {DATABASE}")
    plant.database.create_database(DATABASE)
    _rename(plant, [f"{RESTORED}.`{name}` TO {DATABASE}.`{name}`" for name in names])


def _restart_ingest(plant: Plant) -> None:
    """As a careful operator does it."""
    plant.programs["ingest"].stop()
    _drop_database(plant)
    plant.programs["ingest"].start()


def _tables(plant: Plant) -> list[str]:
    book = CloudBook(plant.database.port, RESTORED)
    # Views cannot be renamed into another database; no worker asks them.
    found = book.rows("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")
    return [str(name) for name, _ in found]


def _rename(plant: Plant, moves: list[str]) -> None:
    CloudBook(plant.database.port, RESTORED).rows(f"RENAME TABLE {', '.join(moves)}")


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "restore",
    [
        pytest.param(_swap_tables, marks=pytest.mark.long),
        _drop_database,
        pytest.param(_restart_ingest, marks=pytest.mark.long),
    ],
)
def test_a_cloud_that_is_restored_from_a_backup_gets_what_came_after_it(
    plant: Plant, restore: Callable[[Plant], None]
) -> None:
    plant.site.interval_s = 0.05
    plant.site.turns_s = 300
    plant.start_cloud("ingest")
    plant.start_site()
    plant.wait_for_entries(40)
    dump = plant.database.dump(DATABASE)
    plant.wait_for_entries(100)
    lost = plant.committed()
    journal = plant.site.journal
    eventually(lambda: not read_settled(journal).missing(1, lost), 20, "the gateway was told so")
    plant.database.restore(RESTORED, dump)
    restored = CloudBook(plant.database.port, RESTORED).committed(read_journal(journal).stream)
    assert 0 < restored.last() < lost
    restore(plant)
    plant.wait_for_journal(20)
    assert plant.check_books() > lost
