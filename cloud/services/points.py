"""Metering points: what is billed. Meters come and go under them, consumption runs on."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

import msgspec
from msgspec import structs

from cloud.domain.billing import Billing, PeriodStep, bounds, check
from cloud.domain.consumption import Step, boundaries, tolerance_ms
from cloud.domain.corrections import Correction
from cloud.domain.installations import Chain, known
from cloud.domain.spans import falls, unmeasured
from cloud.services import formulas
from cloud.services.boundaries import Boundaries, look_up_all, periods, zone_of
from cloud.services.formulas import Term
from cloud.services.point_views import (
    ChangeView,
    InstallationView,
    PointView,
    SiteConsumptionView,
    TermView,
)
from cloud.services.views import ConsumptionView
from cloud.storage.audit import AuditRow
from cloud.storage.points import InstalledRow, PointRow, TermRow
from cloud.storage.rollups import Calendar
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime, to_ms
from common.errors import NotFound, Permanent
from common.ids import check_key
from common.reading import INT64_MAX, from_scaled
from common.registers import KINDS, Kind, Medium

MAX_CHANGES = 500
MAX_AMOUNTS = 20_000


@dataclass(frozen=True, slots=True)
class NewPoint:
    """A metering point that is wanted; ``site`` and ``parent`` are keys. With ``terms`` it is a
    virtual one."""

    key: str
    name: str
    site: str
    medium: Medium
    kind: Kind
    parent: str | None = None
    terms: tuple[Term, ...] = ()


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
    words = {"key": wanted.key}
    if wanted.terms:
        words["terms"] = formulas.put(uow, row_of(uow, id_), wanted.terms)
    note(uow, id_, "created", change, **words)
    return id_


def set_terms(store: Store, point_id: int, terms: Sequence[Term], change: Change) -> PointView:
    """Have a virtual metering point be made of these, for all times, in the place of what it was
    made of; none: it is virtual no more. Raises NotFound; Permanent, with what is wrong."""

    def work(uow: UnitOfWork) -> PointView:
        words = formulas.put(uow, row_of(uow, point_id), terms)
        note(uow, point_id, "terms_set", change, terms=words)
        return view_of(uow, point_id)

    return store.run(work)


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
        ids = [row.id for row in rows]
        installed = _by_point(uow.points.installed(ids))
        terms = defaultdict(list)
        for term in uow.points.terms(ids):
            terms[term.point_id].append(term)
    return [_view(row, installed[row.id], terms[row.id]) for row in rows]


def _by_point(rows: Collection[InstalledRow]) -> defaultdict[int, list[InstalledRow]]:
    found = defaultdict(list)
    for one in rows:
        found[one.point_id].append(one)
    return found


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


def billing(store: Store, point_id: int) -> Billing:
    """A metering point's billing periods; raises NotFound."""
    with store.read() as uow:
        return _billing(uow, row_of(uow, point_id))


def set_billing(store: Store, point_id: int, wanted: Billing, change: Change) -> Billing:
    """Have a metering point be asked by these periods, in the place of what was set before.

    Raises NotFound; Permanent, with what is wrong.
    """
    check(wanted)
    definition = msgspec.json.encode(wanted).decode()

    def work(uow: UnitOfWork) -> Billing:
        row_of(uow, point_id)
        uow.points.lock(point_id, [])
        uow.points.set_billing(point_id, definition)
        note(uow, point_id, "billing_set", change, billing=definition)
        return wanted

    return store.run(work)


def _billing(uow: UnitOfWork, row: PointRow) -> Billing:
    return msgspec.json.decode(uow.points.billing(row.id) or "{}", type=Billing)


def consumption(
    store: Store, point_id: int, step: PeriodStep, start: datetime, end: datetime
) -> list[ConsumptionView]:
    """Consumption of each local period of the site that overlaps start..end, through exchanges;
    of each of its own billing periods, where ``step`` is ``billing``.

    Of a virtual point it is the exact sum of its terms', and may be negative. ``start`` and
    ``end`` are aware. Raises NotFound; Permanent for too many periods at once.
    """
    with store.read() as uow:
        return consumption_in(uow, point_id, step, start, end)


def of_site(
    store: Store, site_id: int, step: Step, start: datetime, end: datetime
) -> list[SiteConsumptionView]:
    """As ``consumption``, of all metering points of a site, by name; in as few questions as of one.

    Raises NotFound; Permanent for more than MAX_AMOUNTS periods of all points together.
    """
    with store.read() as uow:
        rows = uow.points.all(site_id)
        timezone = rows[0].timezone if rows else uow.points.timezone(site_id)
        if timezone is None:
            raise NotFound(f"there is no site {site_id}")
        asked = list(map(to_ms, boundaries(step, start, end, zone_of(timezone))))
        if len(rows) * (len(asked) - 1) > MAX_AMOUNTS:
            raise Permanent(
                f"more than {MAX_AMOUNTS} periods of {len(rows)} points; ask for less at a time"
            )
        consumed = _consumed(uow, rows, timezone, asked, step)
    return [SiteConsumptionView(row.id, row.key, row.name, consumed[row.id]) for row in rows]


def consumption_in(
    uow: UnitOfWork, point_id: int, step: PeriodStep, start: datetime, end: datetime
) -> list[ConsumptionView]:
    """The same, in a transaction that has begun."""
    row = row_of(uow, point_id)
    zone = zone_of(row.timezone)
    if step == "billing":
        its = _billing(uow, row)
        if its == Billing():
            raise Permanent(f"step: {row.key} has no billing periods of its own; set them first")
        # Midnights, as those of days are.
        step, instants = Step.DAY, bounds(its, start, end, zone)
    else:
        instants = boundaries(step, start, end, zone)
    return _consumed(uow, [row], row.timezone, list(map(to_ms, instants)), step)[point_id]


def _consumed(
    uow: UnitOfWork, rows: Sequence[PointRow], timezone: str, bounds: list[int], step: Step
) -> dict[int, list[ConsumptionView]]:
    """By point, what it consumed; virtual ones as what they are made of did."""
    made_of = formulas.parts(uow, rows)
    metered = sorted({id_ for parts in made_of.values() for id_ in parts})
    installed = uow.points.installed(metered)
    looked = _look_up(uow, installed, timezone, bounds, step)
    by_point = _by_point(installed)
    consumed = {id_: _consumption(by_point[id_], looked, bounds) for id_ in metered}
    return {
        id_: consumed[id_] if id_ in parts else formulas.combined(parts, consumed)
        for id_, parts in made_of.items()
    }


def _look_up(
    uow: UnitOfWork,
    installed: Collection[InstalledRow],
    timezone: str,
    bounds: Sequence[int],
    step: Step,
) -> dict[int, Boundaries]:
    """By installation, what is known at the boundaries that have to do with it."""
    alike: dict[tuple[tuple[int, ...], Step], list[InstalledRow]] = defaultdict(list)
    for row in installed:
        one = row.installation
        # Also the boundaries next to when it came and went: what was measured up to then counts.
        first = max(0, bisect_right(bounds, one.start_at) - 1)
        inside = bounds[first : bisect_left(bounds, one.end_at or INT64_MAX) + 1]
        # The days that are summed up are those of the meter's site.
        alike[tuple(inside), step if row.timezone == timezone else Step.HOUR].append(row)
    looked: dict[int, Boundaries] = {}
    for (inside, by), rows in alike.items():
        ids = [row.installation.register_id for row in rows]
        calendars = [Calendar(timezone, row.interval_s) for row in rows]
        found = look_up_all(uow, dict(zip(ids, calendars, strict=True)), inside, by)
        looked |= {row.installation.id: found[id_] for row, id_ in zip(rows, ids, strict=True)}
    return looked


def _consumption(
    installed: Collection[InstalledRow], looked: Mapping[int, Boundaries], bounds: Sequence[int]
) -> list[ConsumptionView]:
    found, gone_round = {}, []
    corrected: list[Correction] = []
    tolerances = {row.installation.id: tolerance_ms(row.interval_s) for row in installed}
    # Each meter is measured in its own time: what is left of the whole is without a measurement.
    without = [(1 - len(installed)) * (end - start) for start, end in pairwise(bounds)]
    for row in installed:
        one = row.installation
        end_at = one.end_at or INT64_MAX
        its = looked[one.id]
        found[one.id] = {mark.at: mark for mark in its.marks}
        its_own = unmeasured(bounds, known(one, its.spans), tolerances[one.id])
        without = [sum(both) for both in zip(without, its_own, strict=True)]
        corrected += [by for by in its.corrected if by.end > one.start_at and by.start < end_at]
        if one.rollover is not None:
            whole = [s for s in its.spans if s.first_at >= one.start_at and s.last_at < end_at]
            gone_round += list(falls(whole, one.rollover // 2))
    chain = Chain([row.installation for row in installed])
    counted = Boundaries(chain.marks(bounds, found, tolerances), [], corrected)
    tolerance = max(tolerances.values(), default=0)
    views = periods(bounds, counted, tolerance, chain.decimals, without)
    if not gone_round:
        return views
    return [
        structs.replace(view, value=None, estimated=True)
        if any(to_ms(view.start) < last and first < to_ms(view.end) for first, last in gone_round)
        else view
        for view in views
    ]


def view_of(uow: UnitOfWork, point_id: int) -> PointView:
    """One metering point; raises NotFound."""
    row = row_of(uow, point_id)
    return _view(row, uow.points.installed([point_id]), uow.points.terms([point_id]))


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


def _view(
    row: PointRow, installed: Collection[InstalledRow], terms: Collection[TermRow]
) -> PointView:
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
        terms=tuple(TermView(one.of_point_id, one.of_key, one.factor) for one in terms),
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
