"""Metering points: what is billed. Meters come and go under them, consumption runs on."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import msgspec

from cloud.domain.consumption import Step, boundaries, tolerance_ms
from cloud.domain.corrections import Correction
from cloud.domain.installations import Chain
from cloud.domain.spans import falls
from cloud.services.boundaries import Boundaries, look_up, periods, zone_of
from cloud.services.point_views import ChangeView, InstallationView, PointView
from cloud.services.views import ConsumptionView
from cloud.storage.audit import AuditRow
from cloud.storage.points import InstalledRow, PointRow
from cloud.storage.rollups import Calendar
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime, to_ms
from common.errors import NotFound, Permanent
from common.ids import check_key
from common.reading import INT64_MAX, from_scaled
from common.registers import KINDS, Kind, Medium

MAX_CHANGES = 500


@dataclass(frozen=True, slots=True)
class NewPoint:
    """A metering point that is wanted; ``site`` and ``parent`` are keys."""

    key: str
    name: str
    site: str
    medium: Medium
    kind: Kind
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes something, when (ms), and why."""

    by: str
    now_ms: int
    reason: str = ""


def create(store: Store, wanted: NewPoint, change: Change) -> PointView:
    """A new metering point, without a meter. Raises Permanent, with what is wrong."""
    return store.run(lambda uow: view_of(uow, add(uow, wanted, change)))


def add(uow: UnitOfWork, wanted: NewPoint, change: Change) -> int:
    """``create`` as a part of something; the point's id."""
    check_key(wanted.key, "key")
    if not KINDS[wanted.kind].counting:
        raise Permanent(f"kind: {wanted.kind.value} is no index, and nothing to be billed")
    site_id = uow.points.site_id(wanted.site)
    if site_id is None:
        raise Permanent(f"site: there is no site {wanted.site!r}")
    if uow.points.by_key(wanted.key):
        raise Permanent(f"key: there is a metering point {wanted.key!r} already")
    parent = _parent(uow, wanted) if wanted.parent else None
    id_ = uow.points.add(
        key=wanted.key,
        name=wanted.name,
        site_id=site_id,
        medium=wanted.medium,
        kind=wanted.kind,
        parent_id=parent,
        created_at=change.now_ms,
    )
    note(uow, id_, "created", change, key=wanted.key)
    return id_


def _parent(uow: UnitOfWork, wanted: NewPoint) -> int:
    found = uow.points.by_key(wanted.parent or "")
    if found is None:
        raise Permanent(f"parent: there is no metering point {wanted.parent!r}")
    if found.kind is not wanted.kind:
        raise Permanent(f"parent: {found.key} counts {found.kind.value}, not {wanted.kind.value}")
    return found.id


def points(store: Store, site_id: int | None = None) -> list[PointView]:
    """All metering points, or those of one site, by site and name."""
    with store.read() as uow:
        rows = uow.points.all(site_id)
        installed = defaultdict(list)
        for one in uow.points.installed([row.id for row in rows]):
            installed[one.point_id].append(one)
    return [_view(row, installed[row.id]) for row in rows]


def point(store: Store, point_id: int) -> PointView:
    """One metering point; raises NotFound."""
    with store.read() as uow:
        return view_of(uow, point_id)


def changes(store: Store, point_id: int) -> list[ChangeView]:
    """What was done to a metering point, newest first, MAX_CHANGES at most; raises NotFound."""
    with store.read() as uow:
        row_of(uow, point_id)
        return changes_of(uow, _subject(point_id))


def changes_of(uow: UnitOfWork, subject: str) -> list[ChangeView]:
    """What was done to a subject of the audit trail, newest first, MAX_CHANGES at most."""
    return [
        ChangeView(
            to_datetime(row.at),
            row.by,
            row.action,
            row.reason,
            msgspec.json.decode(row.detail, type=dict[str, str]),
        )
        for row in uow.audit.of(subject, MAX_CHANGES)
    ]


def consumption(
    store: Store, point_id: int, step: Step, start: datetime, end: datetime
) -> list[ConsumptionView]:
    """Consumption of each local period of the site that overlaps start..end, through exchanges.

    ``start`` and ``end`` are aware. Raises NotFound; Permanent for too many periods at once.
    """
    with store.read() as uow:
        return consumption_in(uow, point_id, step, start, end)


def consumption_in(
    uow: UnitOfWork, point_id: int, step: Step, start: datetime, end: datetime
) -> list[ConsumptionView]:
    """The same, in a transaction that has begun."""
    row = row_of(uow, point_id)
    bounds = list(map(to_ms, boundaries(step, start, end, zone_of(row.timezone))))
    installed = uow.points.installed([point_id])
    return _consumption(uow, installed, row.timezone, bounds, step)


def _consumption(
    uow: UnitOfWork,
    installed: Collection[InstalledRow],
    timezone: str,
    bounds: list[int],
    step: Step,
) -> list[ConsumptionView]:
    found, spans, gone_round = {}, [], []
    corrected: list[Correction] = []
    for row in installed:
        one = row.installation
        end_at = one.end_at or INT64_MAX
        # Also the boundaries next to when it came and went: what was measured up to then counts.
        first = max(0, bisect_right(bounds, one.start_at) - 1)
        inside = bounds[first : bisect_left(bounds, end_at) + 1]
        calendar = Calendar(timezone, row.interval_s)
        looked = look_up(uow, one.register_id, calendar, inside, step)
        found[one.id] = {mark.at: mark for mark in looked.marks}
        spans += [
            span for span in looked.spans if span.last_at >= one.start_at and span.first_at < end_at
        ]
        corrected += [by for by in looked.corrected if by.end > one.start_at and by.start < end_at]
        if one.rollover is not None:
            whole = [s for s in looked.spans if s.first_at >= one.start_at and s.last_at < end_at]
            gone_round += list(falls(whole, one.rollover // 2))
    # Twice where a register counts on from another index in the middle of one.
    spans = sorted(dict.fromkeys(spans), key=lambda span: span.first_at)
    chain = Chain([row.installation for row in installed])
    tolerance = max((tolerance_ms(row.interval_s) for row in installed), default=0)
    counted = Boundaries(chain.marks(bounds, found), spans, corrected)
    return [
        replace(view, value=None, estimated=True)
        if any(to_ms(view.start) < last and first < to_ms(view.end) for first, last in gone_round)
        else view
        for view in periods(bounds, counted, tolerance, chain.decimals)
    ]


def view_of(uow: UnitOfWork, point_id: int) -> PointView:
    """One metering point; raises NotFound."""
    return _view(row_of(uow, point_id), uow.points.installed([point_id]))


def note(uow: UnitOfWork, point_id: int, action: str, change: Change, **detail: str) -> None:
    """Write down who did what to a metering point."""
    note_on(uow, _subject(point_id), action, change, **detail)


def note_on(uow: UnitOfWork, subject: str, action: str, change: Change, **detail: str) -> None:
    """Write down who did what to something that is billed, or billed by."""
    text = msgspec.json.encode(detail).decode()
    uow.audit.note(AuditRow(change.now_ms, change.by, action, subject, change.reason, text))


def _subject(point_id: int) -> str:
    return f"point:{point_id}"


def row_of(uow: UnitOfWork, point_id: int) -> PointRow:
    """One metering point as it stands in the database; raises NotFound."""
    found = uow.points.one(point_id)
    if found is None:
        raise NotFound(f"there is no metering point {point_id}")
    return found


def _view(row: PointRow, installed: Collection[InstalledRow]) -> PointView:
    return PointView(
        id=row.id,
        key=row.key,
        name=row.name,
        site=row.site,
        timezone=row.timezone,
        medium=row.medium,
        kind=row.kind,
        unit=KINDS[row.kind].unit,
        parent_id=row.parent_id,
        installations=tuple(_installation(one) for one in installed),
    )


def _installation(row: InstalledRow) -> InstallationView:
    one = row.installation

    def exact(index: int) -> Decimal:
        return from_scaled(index, one.decimals)

    return InstallationView(
        id=one.id,
        register_id=one.register_id,
        device_id=row.device_id,
        device=row.device,
        serial=row.serial,
        multiplier=one.multiplier,
        start=to_datetime(one.start_at),
        start_index=exact(one.start_index),
        end=None if one.end_at is None else to_datetime(one.end_at),
        final_index=None if one.final_index is None else exact(one.final_index),
        rollover=None if one.rollover is None else exact(one.rollover),
    )
