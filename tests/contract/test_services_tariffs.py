"""Tariffs: put, replaced, given to metering points; nothing impossible is taken, all is noted."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from cloud.domain.tariffs import PerUnit, Tariff, Version
from cloud.services import points, tariffs
from cloud.services.points import Change, NewPoint
from cloud.services.store import Store
from cloud.services.tariffs import AssignmentView
from common.clock import to_ms
from common.errors import NotFound, Permanent
from common.registers import Kind, Medium
from tests.harness.masterdata import MasterData

NOW = to_ms(datetime(2026, 7, 1, tzinfo=UTC))
BY = Change("ana", NOW, "as agreed")
NEW_YEAR = date(2026, 1, 1)


def version_of(start: date, end: date | None = None, price: str = "2.5") -> Version:
    charge = PerUnit(name="Use", price=Decimal(price))
    return Version(valid_from=start, valid_until=end, charges=(charge,))


def tariff_of(
    *versions: Version, key: str = "water", name: str = "Water", unit: str = "m³"
) -> Tariff:
    versions = versions or (version_of(NEW_YEAR),)
    return Tariff(key=key, name=name, currency="RON", unit=unit, versions=versions)


@pytest.fixture
def point(store: Store, data: MasterData) -> int:
    data.add_site("mill", "UTC")
    wanted = NewPoint("flat-1", "Flat 1", "mill", Medium.COLD_WATER, Kind.VOLUME)
    return points.create(store, wanted, BY).id


def test_every_change_of_a_tariff_counts_up_and_is_noted_with_what_it_was(store: Store) -> None:
    assert tariffs.put(store, tariff_of(), BY).revision == 1
    assert tariffs.put(store, tariff_of(), Change("ion", NOW + 1)).revision == 1
    changed = tariff_of(version_of(NEW_YEAR, price="3"))
    view = tariffs.put(store, changed, Change("eva", NOW + 2, "dearer"))
    assert (view.revision, view.tariff) == (2, changed)
    assert tariffs.tariff(store, "water") == view
    tariffs.put(store, tariff_of(key="a", name="Zero"), BY)
    assert [one.tariff.key for one in tariffs.tariffs(store)] == ["water", "a"]
    found = tariffs.changes(store, "water")
    assert [(one.by, one.action, one.reason, one.detail["revision"]) for one in found] == [
        ("eva", "replaced", "dearer", "2"),
        ("ana", "created", "as agreed", "1"),
    ]
    was = msgspec.json.decode(found[1].detail["definition"], type=Tariff)
    assert was == tariff_of()


def test_versions_that_overlap_are_refused_with_what_to_do(store: Store) -> None:
    tariffs.put(store, tariff_of(), BY)
    july = date(2026, 7, 1)
    with pytest.raises(Permanent, match=r"overlaps the version of 2026-07-01; let it end"):
        tariffs.put(store, tariff_of(version_of(NEW_YEAR), version_of(july)), BY)
    assert tariffs.tariff(store, "water").tariff == tariff_of()
    assert len(tariffs.changes(store, "water")) == 1


def test_a_point_has_the_tariff_that_was_assigned_last_for_a_day(store: Store, point: int) -> None:
    for key in ("cheap", "dear"):
        tariffs.put(store, tariff_of(key=key, name=key.upper()), BY)
    later = NEW_YEAR + timedelta(days=90)
    tariffs.assign(store, point, later, "cheap", BY)
    tariffs.assign(store, point, NEW_YEAR, "cheap", BY)
    tariffs.assign(store, point, NEW_YEAR, "dear", Change("eva", NOW + 1, "wrong one"))
    found = tariffs.assign(store, point, later, None, Change("eva", NOW + 2))
    assert found == [AssignmentView(NEW_YEAR, "dear", "DEAR"), AssignmentView(later, None, None)]
    assert tariffs.assigned(store, point) == found
    newest, before = points.changes(store, point)[:2]
    assert (newest.action, newest.detail) == ("tariff", {"start": "2026-04-01", "tariff": ""})
    assert (before.by, before.reason, before.detail["tariff"]) == ("eva", "wrong one", "dear")


def test_a_tariff_of_another_unit_is_refused_at_the_point(store: Store, point: int) -> None:
    tariffs.put(store, tariff_of(key="power", unit="kWh"), BY)
    with pytest.raises(Permanent, match="power is by kWh, but metering point flat-1 counts m³"):
        tariffs.assign(store, point, NEW_YEAR, "power", BY)
    assert tariffs.assigned(store, point) == []


def test_a_tariff_in_use_does_not_become_one_of_another_unit(store: Store, point: int) -> None:
    tariffs.put(store, tariff_of(), BY)
    tariffs.assign(store, point, NEW_YEAR, "water", BY)
    with pytest.raises(Permanent, match="by MWh, but metering point flat-1 counts m³"):
        tariffs.put(store, tariff_of(unit="MWh"), BY)
    assert tariffs.tariff(store, "water").tariff.unit == "m³"


def test_what_is_not_there_is_named(store: Store, point: int) -> None:
    with pytest.raises(Permanent, match="no tariff 'gold'"):
        tariffs.assign(store, point, NEW_YEAR, "gold", BY)
    for ask in (tariffs.tariff, tariffs.changes):
        with pytest.raises(NotFound, match="no tariff 'gold'"):
            ask(store, "gold")
    with pytest.raises(NotFound, match="no metering point"):
        tariffs.assign(store, point + 1, NEW_YEAR, None, BY)
    with pytest.raises(NotFound, match="no metering point"):
        tariffs.assigned(store, point + 1)


def test_what_is_asked_together_is_of_one_moment(store: Store) -> None:
    tariffs.put(store, tariff_of(), BY)
    with store.snapshot() as uow:
        before = uow.tariffs.all()
        tariffs.put(store, tariff_of(key="later"), BY)
        assert uow.tariffs.all() == before
    assert len(tariffs.tariffs(store)) == 2
