"""Readings lie in parts by month, and there is always a part for the next months."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from cloud.domain.retention import DAY_MS, Retention
from cloud.services.retention import Keeper
from cloud.services.upkeep import make_room
from cloud.storage.migrations import migrate
from cloud.storage.partitions import LATER, OLDER, PARTITIONED
from cloud.storage.unit_of_work import Store
from common.clock import to_ms
from tests.harness.mariadb import MariaDb
from tests.harness.masterdata import MasterData
from tests.harness.tables import rows_of


@pytest.fixture
def own(mariadb: MariaDb) -> Store:
    """A database of its own: parts stay when rows are deleted."""
    url = mariadb.create_database(f"parts_{secrets.token_hex(6)}")
    migrate(url)
    return Store(url)


def _parts(store: Store, table: str) -> dict[str, int | None]:
    with store.read() as uow:
        return uow.partitions.of(table)


def test_there_are_parts_for_this_month_and_the_next_three(own: Store) -> None:
    for table in PARTITIONED:
        names = list(_parts(own, table))
        assert (names[0], names[-1]) == (OLDER, LATER)
        assert len(names) == 6
    own.close()


def test_parts_are_made_ahead_of_time_once_and_rows_stay_where_they_were(own: Store) -> None:
    before = list(_parts(own, "reading").items())
    last = before[-2][1]
    assert last is not None
    data = MasterData(str(own._engine.url.render_as_string(hide_password=False)))
    register = data.add_register(data.add_device(data.add_gateway(data.add_site())))
    early = last + 5
    data.add_readings(register, [(to_ms(datetime(2001, 5, 1, tzinfo=UTC)), 1), (early, 2)])
    two_years = last + 730 * 86_400_000
    make_room(own, two_years)
    after = list(_parts(own, "reading").items())
    assert after[: len(before) - 1] == before[:-1]
    assert len(after) - len(before) in {26, 27}
    bounds = [until for _, until in after[:-1] if until is not None]
    assert bounds == sorted(bounds)
    assert rows_of(own, f"SELECT value FROM reading PARTITION ({after[len(before) - 1][0]})") == [
        (2,)
    ]
    assert rows_of(own, f"SELECT value FROM reading PARTITION ({OLDER})") == [(1,)]
    make_room(own, two_years)
    assert list(_parts(own, "reading").items()) == after
    data.close()
    own.close()


def test_parts_begin_with_months_whatever_their_length(own: Store) -> None:
    make_room(own, to_ms(datetime.now(UTC) + timedelta(days=1500)))
    for name, until in _parts(own, "hourly").items():
        if name not in {OLDER, LATER}:
            assert until is not None
            end = datetime.fromtimestamp(until / 1000, UTC)
            assert (end.day, end.hour, end.minute) == (1, 0, 0)
            assert name == f"m{end - timedelta(days=1):%Y%m}"
    own.close()


def test_messages_and_telegrams_lie_in_parts_by_day_that_go_as_a_whole(own: Store) -> None:
    names = list(_parts(own, "message"))
    assert _parts(own, "telegram") == _parts(own, "message")
    assert (names[0], names[-1], len(names)) == (OLDER, LATER, 10)
    first = _parts(own, "message")[names[1]]
    assert first is not None
    data = MasterData(str(own._engine.url.render_as_string(hide_password=False)))
    for day in range(4):
        data.add_message(1, first + day * DAY_MS)
        data.add_telegram(1, "meter", first + day * DAY_MS)
    data.add_telegram(1, "meter", first - 400 * DAY_MS)  # of a gateway that was away for long
    data.close()
    Keeper(own, Retention(messages_days=2, telegrams_days=3)).let_go(first + 4 * DAY_MS)
    assert rows_of(own, "SELECT at FROM telegram ORDER BY at") == [
        (first + day * DAY_MS,) for day in (1, 2, 3)
    ]
    assert rows_of(own, "SELECT at FROM message ORDER BY at") == [
        (first + 2 * DAY_MS,),
        (first + 3 * DAY_MS,),
    ]
    assert not set(names[:4]) & set(_parts(own, "message"))
    make_room(own, first + 30 * DAY_MS)
    last = list(_parts(own, "message").items())[-2]
    assert last[1] == first + 38 * DAY_MS
    own.close()


def test_sqlite_has_no_parts_and_needs_none(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    make_room(store, 0)
    assert _parts(store, "reading") == {}
    store.close()
