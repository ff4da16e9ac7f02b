"""Statements: a metering point's month as it was issued, and what has changed since."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256

import msgspec

from cloud.domain.consumption import Index, Step, index_at, midnight, tolerance_ms
from cloud.domain.installations import Chain
from cloud.domain.pricing import used
from cloud.domain.statements import (
    Differences,
    MeterUse,
    Statement,
    days_of,
    differences,
)
from cloud.services.boundaries import neighbours, zone_of
from cloud.services.costs import check_days, gas_of, priced, usage
from cloud.services.point_views import PointView
from cloud.services.points import Change, consumption_in, note, view_of
from cloud.storage.points import InstalledRow
from cloud.storage.statements import StatementRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime, to_ms
from common.errors import NotFound, Permanent
from common.reading import INT64_MAX, from_scaled


@dataclass(frozen=True, slots=True)
class IssuedView:
    """A statement, without what it says. ``hash``: SHA-256 of what was frozen."""

    id: int
    point_id: int
    month: str
    issued_at: datetime
    issued_by: str
    hash: str


@dataclass(frozen=True, slots=True)
class StatementView:
    """A statement as it was issued; beside it, what would be another figure now."""

    issued: IssuedView
    content: Statement
    since: Differences


def issue(store: Store, point_id: int, month: str, change: Change) -> StatementView:
    """Freeze a month (``2026-06``) that is over, as it is known now; nothing alters it any more.

    Raises NotFound; Permanent when the month is not over, was issued, or has no tariff.
    """
    with store.snapshot() as uow:
        point = view_of(uow, point_id)
        start, end = _month(month, point, change.now_ms)
        if before := uow.statements.of_month(point_id, month):
            raise _issued_already(before)
        content = _statement(uow, point, start, end)
    if not content.priced.spans:
        raise Permanent(f"month: no tariff is assigned on any day of {month}; assign one")
    for use in content.gas:
        if use.energy is None:
            last = use.end - timedelta(days=1)
            raise Permanent(
                f"month: no z and Hs are in force on {use.start} to {last}, so that there is no "
                "energy to be priced; put them"
            )
    text = msgspec.json.encode(content).decode()
    row = StatementRow(0, point_id, month, change.now_ms, change.by, _hash(text))

    def work(uow: UnitOfWork) -> int:
        uow.points.lock(point_id, [])
        if before := uow.statements.of_month(point_id, month):
            raise _issued_already(before)
        id_ = uow.statements.add(row, text)
        words = {"month": month, "statement": str(id_), "hash": row.hash}
        note(uow, point_id, "statement", change, **words)
        return id_

    return statement(store, store.run(work))


def statements(store: Store, point_id: int) -> list[IssuedView]:
    """What was issued of a metering point, the newest month first; raises NotFound."""
    with store.read() as uow:
        view_of(uow, point_id)
        return [_view(row) for row in uow.statements.of(point_id)]


def statement(store: Store, statement_id: int) -> StatementView:
    """As it was issued, and what has changed since.

    Raises NotFound; Permanent when what is stored is not what was issued.
    """
    with store.snapshot() as uow:
        issued, then = issued_in(uow, statement_id)
        start, end = _days_of(issued.month)
        now = _statement(uow, view_of(uow, issued.point_id), start, end)
    return StatementView(issued, then, differences(then, now))


def issued_in(uow: UnitOfWork, statement_id: int) -> tuple[IssuedView, Statement]:
    """As it was issued, in a transaction that has begun; raises as ``statement``."""
    found = uow.statements.one(statement_id)
    if found is None:
        raise NotFound(f"there is no statement {statement_id}")
    row, text = found
    if _hash(text) != row.hash:
        raise Permanent(
            f"statement {statement_id} was altered in the database: it is not what was issued "
            f"on {_time(row.issued_at)}; take it from a backup"
        )
    return _view(row), msgspec.json.decode(text, type=Statement)


def _month(month: str, point: PointView, now_ms: int) -> tuple[date, date]:
    """Its first day and that of the next, when it is over on the site."""
    start, end = _days_of(month)
    check_days(start, end)
    over = midnight(end, zone_of(point.timezone))
    if to_ms(over) > now_ms:
        raise Permanent(
            f"month: {month} is not over; issue it from {over.isoformat(timespec='seconds')} on"
        )
    return start, end


def _days_of(month: str) -> tuple[date, date]:
    try:
        start = date.fromisoformat(f"{month}-01")
        return start, (start + timedelta(days=31)).replace(day=1)
    except (ValueError, OverflowError) as error:
        raise Permanent(f"month: {month[:20]!r} is none; write it as 2026-06") from error


def _statement(uow: UnitOfWork, point: PointView, start: date, end: date) -> Statement:
    """What is known of the month now."""
    zone = zone_of(point.timezone)
    first, last = midnight(start, zone), midnight(end, zone)
    hours = usage(uow, point, start, end)
    days = days_of(hours, zone)
    [whole] = consumption_in(uow, point.id, Step.MONTH, first, last)
    installed = uow.points.installed([point.id])
    cost = priced(uow, point, hours)
    return Statement(
        point=point.key,
        name=point.name,
        site=point.site,
        timezone=point.timezone,
        medium=point.medium.label,
        kind=point.kind.value,
        unit=point.unit,
        month=f"{start:%Y-%m}",
        start=first,
        end=last,
        meters=tuple(
            _meter(uow, row, max(one.start_at, to_ms(first)), min(_end(row), to_ms(last)))
            for row in installed
            if (one := row.installation).start_at < to_ms(last) and _end(row) > to_ms(first)
        ),
        days=days,
        quantity=used(hours),
        estimated=used([one for one in hours if one.estimated]),
        corrected=used([one for one in hours if one.corrected]),
        missing_s=sum(one.missing_s for one in days),
        measured_percent=whole.measured_percent,
        priced=cost,
        gas=gas_of(uow, point, hours, cost),
    )


def _meter(uow: UnitOfWork, row: InstalledRow, start: int, end: int) -> MeterUse:
    """The meter from ``start`` to ``end``, by the same marks that consumption goes by."""
    one = replace(row.installation, multiplier=Decimal(1))  # what stands on its face
    found = {mark.at: mark for mark in neighbours(uow, one.register_id, start, end)}
    tolerance = tolerance_ms(row.interval_s)
    first, last = (
        index_at(mark, tolerance)
        for mark in Chain([one]).marks([start, end], {one.id: found}, {one.id: tolerance})
    )

    def face(index: Index | None) -> Decimal | None:
        return from_scaled(one.start_index + index.value, one.decimals) if index else None

    return MeterUse(
        device=row.device,
        serial=row.serial,
        register_id=one.register_id,
        multiplier=row.installation.multiplier,
        start=to_datetime(start),
        start_index=face(first),
        start_estimated=not (first and first.sure),
        end=to_datetime(end),
        end_index=face(last),
        end_estimated=not (last and last.sure),
    )


def _end(row: InstalledRow) -> int:
    return row.installation.end_at or INT64_MAX


def _issued_already(row: StatementRow) -> Permanent:
    return Permanent(
        f"month: {row.month} was issued on {_time(row.issued_at)} by {row.issued_by}, as statement "
        f"{row.id}, which stays as it is; its differences say what has changed since"
    )


def _view(row: StatementRow) -> IssuedView:
    return IssuedView(
        row.id, row.point_id, row.month, to_datetime(row.issued_at), row.issued_by, row.hash
    )


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _time(at: int) -> str:
    return to_datetime(at).isoformat(timespec="seconds")
