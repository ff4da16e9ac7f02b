"""The short form of ``make prove``: a storm over a small fleet, and books that balance.

The books are then falsified, one entry after the other: each breach must be found.
"""

from pathlib import Path

import pymysql
import pytest

from tests.prove.books import HEARD, close_books
from tests.prove.fleet import DATABASE, Fleet
from tests.prove.run import storm
from tests.system.conftest import PROGRAMS

SEED, STORM_S, GATEWAYS = "305", 18, 2
"""A seed whose first faults are all but "database dropped": a worker gives up such a session after
60 s, which is for the long form."""

FALSE = (
    ("lost", "DELETE FROM reading LIMIT 1"),
    ("doubled", "UPDATE reading SET value = 1 - value WHERE value IS NOT NULL LIMIT 1"),
    (
        "doubled",
        "INSERT INTO reading SELECT register_id, at + 7, value, quality, raw"
        " FROM reading ORDER BY register_id, at LIMIT 1",
    ),
    ("lost", "DELETE FROM event LIMIT 1"),
    ("doubled", "UPDATE event SET seq = seq + 1000000 LIMIT 1"),
    ("lost", "UPDATE ledger SET last = last - 1 ORDER BY last DESC LIMIT 1"),
    ("wrong", "UPDATE command SET state = 'sent' WHERE state = 'succeeded' LIMIT 1"),
)
"""What a broken cloud could have done to the database, and where the books must find it."""


@pytest.mark.timeout(400)
def test_the_books_balance_after_a_storm_and_show_every_breach(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with storm(tmp_path / "storm", SEED, STORM_S, GATEWAYS, forked=True) as calm:
        request.node.stash[PROGRAMS] = calm.fleet.programs
        books = close_books(calm.fleet)
        assert books.balance, f"{(tmp_path / 'storm' / 'storm.log').read_text()}\n{books.text()}"
        assert books.line().startswith(f"entries {books.entries}, lost 0, doubled 0, explained")
        assert books.entries > 300
        assert books.readings > 1000
        assert books.commands >= 3
        assert books.states["succeeded"] >= 1
        assert books.by_rules.total() >= GATEWAYS
        assert books.by_rules["succeeded"] >= 1
        assert books.commands > books.by_rules.total(), "people have ordered as well"
        assert len(calm.blows) >= 10
        _falsify_database(calm.fleet)
        _falsify_devices(calm.fleet)


def _falsify_database(fleet: Fleet) -> None:
    for breach, statement in FALSE:
        before = _breaches(fleet)
        with pymysql.connect(
            host="127.0.0.1",
            port=fleet.database.port,
            user="root",
            database=DATABASE,
            autocommit=True,
        ) as connection:
            assert connection.cursor().execute(statement) == 1, statement
        found = _breaches(fleet)
        assert found[breach] == before[breach] + 1, f"{statement}: {found}"


def _falsify_devices(fleet: Fleet) -> None:
    """An order that reached its module once more, and a meter that has turned on unseen."""
    before = _breaches(fleet)
    for gateway in fleet.gateways.values():
        heard = HEARD.search(gateway.devices.log_text())
        if heard is not None:
            with gateway.devices.log.open("a") as log:
                log.write(f"{heard[0]}\n")
            break
    truth = gateway.site.truth_file
    pulses = gateway.site.truth()["pulses"]["gas"]
    text = truth.read_text()
    truth.write_text(text.replace(f'"gas": {pulses}', f'"gas": {pulses + 1}'))
    found = _breaches(fleet)
    assert (found["twice"], found["wrong"]) == (before["twice"] + 1, before["wrong"] + 1)


def _breaches(fleet: Fleet) -> dict[str, int]:
    books = close_books(fleet)
    return {name: len(getattr(books, name)) for name in ("lost", "doubled", "twice", "wrong")}
