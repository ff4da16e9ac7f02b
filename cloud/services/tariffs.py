"""Tariffs: put, and given to metering points from a local day on. Cost is derived from them."""

from dataclasses import dataclass
from datetime import date, datetime

import msgspec

from cloud.domain.pricing import Assignment, by_energy
from cloud.domain.tariff_check import check
from cloud.domain.tariffs import UNITS, Tariff
from cloud.services.gas_energy import is_gas_volume
from cloud.services.point_views import ChangeView, PointView
from cloud.services.points import Change, changes_of, note, note_on, view_of
from cloud.storage.tariffs import TariffRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime
from common.errors import NotFound, Permanent


@dataclass(frozen=True, slots=True)
class TariffView:
    """``revision`` is 1, and one more with every change."""

    tariff: Tariff
    revision: int
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class AssignmentView:
    """By which tariff a metering point is priced from a local day on; None: by none."""

    start: date
    tariff: str | None
    name: str | None


def put(store: Store, tariff: Tariff, change: Change) -> TariffView:
    """Make the tariff, or replace it, also for the past: what was issued stays as it is.

    The same again changes nothing. Raises Permanent, with what is wrong.
    """
    check(tariff)
    definition = msgspec.json.encode(tariff).decode()

    def work(uow: UnitOfWork) -> TariffView:
        before = uow.tariffs.lock(tariff.key)
        if before and before.definition == definition:
            return _view(before)
        if before:
            for point_id in uow.tariffs.points(before.id):
                _check_unit(tariff, view_of(uow, point_id))
            uow.tariffs.replace(before.id, tariff.name, definition, change.now_ms)
        else:
            uow.tariffs.add(tariff.key, tariff.name, definition, change.now_ms)
        revision = before.revision + 1 if before else 1
        words = {"revision": str(revision), "definition": definition}
        note_on(uow, _subject(tariff.key), "replaced" if before else "created", change, **words)
        return TariffView(tariff, revision, to_datetime(change.now_ms))

    return store.run(work)


def tariffs(store: Store) -> list[TariffView]:
    """All, by name."""
    with store.read() as uow:
        return [_view(row) for row in uow.tariffs.all()]


def tariff(store: Store, key: str) -> TariffView:
    """One tariff; raises NotFound."""
    with store.read() as uow:
        return _view(_existing(uow, key))


def changes(store: Store, key: str) -> list[ChangeView]:
    """What was done to a tariff, newest first, each time with its definition; raises NotFound."""
    with store.read() as uow:
        _existing(uow, key)
        return changes_of(uow, _subject(key))


def assign(
    store: Store, point_id: int, start: date, key: str | None, change: Change
) -> list[AssignmentView]:
    """Price a metering point by a tariff from ``start`` on, until the next assignment.

    None: by no tariff. An assignment of the same day is replaced. Raises NotFound for the point;
    Permanent, with what is wrong.
    """

    def work(uow: UnitOfWork) -> list[AssignmentView]:
        point = view_of(uow, point_id)
        found = uow.tariffs.lock(key) if key is not None else None
        if key is not None:
            if found is None:
                raise Permanent(f"tariff: there is no tariff {key!r}")
            _check_unit(_open(found), point)
        uow.tariffs.assign(point_id, start, found.id if found else None)
        note(uow, point_id, "tariff", change, start=start.isoformat(), tariff=key or "")
        return _assigned(uow, point_id)

    return store.run(work)


def assigned(store: Store, point_id: int) -> list[AssignmentView]:
    """Which tariffs a metering point has from when, in order; raises NotFound."""
    with store.read() as uow:
        view_of(uow, point_id)
        return _assigned(uow, point_id)


def assignments(uow: UnitOfWork, point: PointView) -> list[Assignment]:
    """The same, to be priced by; raises Permanent where a tariff's unit is not the point's."""
    found = []
    for row in uow.tariffs.assigned(point.id):
        if row.tariff is None:
            found.append(Assignment(row.start, None))
            continue
        tariff = _open(row.tariff)
        _check_unit(tariff, point)
        found.append(Assignment(row.start, tariff, row.tariff.revision))
    return found


def _existing(uow: UnitOfWork, key: str) -> TariffRow:
    found = uow.tariffs.one(key)
    if found is None:
        raise NotFound(f"there is no tariff {key[:60]!r}")
    return found


def _subject(key: str) -> str:
    return f"tariff:{key}"


def _assigned(uow: UnitOfWork, point_id: int) -> list[AssignmentView]:
    views = []
    for row in uow.tariffs.assigned(point_id):
        name = _open(row.tariff).name if row.tariff else None
        views.append(AssignmentView(row.start, row.tariff.key if row.tariff else None, name))
    return views


def _check_unit(tariff: Tariff, point: PointView) -> None:
    if is_gas_volume(point) and by_energy(tariff):
        return
    if UNITS[tariff.unit].base != point.unit:
        of = point.unit or "no unit"
        raise Permanent(
            f"tariff {tariff.key} is by {tariff.unit}, but metering point {point.key} counts {of}; "
            "take a tariff of a unit that fits"
        )


def _open(row: TariffRow) -> Tariff:
    return msgspec.json.decode(row.definition, type=Tariff)


def _view(row: TariffRow) -> TariffView:
    return TariffView(_open(row), row.revision, to_datetime(row.changed_at))
