"""What is found of metering points, how each is analysed, and when it was looked at last."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    func,
    insert,
    or_,
    select,
    update,
)

from cloud.domain.analyses import Finding, Severity
from cloud.storage.finding_tables import finding, watch
from cloud.storage.tables import installation, metering_point
from cloud.storage.upsert import insert_missing
from common.clock import to_datetime, to_ms

Settings = Mapping[str, Mapping[str, str | int] | None]
"""Of a metering point: by analysis, what differs from the defaults; None is off."""


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding that was told; ``closed_at`` is when it was found to be over."""

    finding: Finding
    told_at: int
    closed_at: int | None


class Findings:
    """Findings in the database. Times are epoch milliseconds."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # Turns

    def due(self, now: int, every: int, limit: int) -> list[int]:
        """The points that nobody has looked at for so long, those that wait longest first: which
        have a meter, or of which something lasts."""
        looked_at = func.coalesce(watch.c.looked_at, 0)
        has_meter = (
            select(installation.c.id)
            .where(installation.c.point_id == metering_point.c.id, installation.c.end_at.is_(None))
            .exists()
        )
        lasts = (
            select(finding.c.code)
            .where(finding.c.point_id == metering_point.c.id, finding.c.until.is_(None))
            .exists()
        )
        query = (
            select(metering_point.c.id)
            .outerjoin(watch, watch.c.point_id == metering_point.c.id)
            .where(_waits(now, every, looked_at), or_(has_meter, lasts))
            .order_by(looked_at, metering_point.c.id)
            .limit(limit)
        )
        return list(self._connection.scalars(query))

    def claim(self, point_id: int, now: int, every: int) -> bool:
        """Whether it is for the caller to look at the point; nobody else will meanwhile."""
        self._ensure(point_id)
        claimed = self._connection.execute(
            update(watch)
            .where(watch.c.point_id == point_id, _waits(now, every, watch.c.looked_at))
            .values(looked_at=now)
        )
        return claimed.rowcount == 1

    def claimed(self, point_id: int, at: int) -> bool:
        """Whether what was claimed then is still the caller's, and is until the transaction ends:
        the settings are the same, and nobody looked later."""
        query = select(watch.c.looked_at).where(watch.c.point_id == point_id).with_for_update()
        return self._connection.scalar(query) == at

    # Settings

    def settings(self, point_id: int) -> Settings:
        """How the point is analysed otherwise than by default."""
        query = select(watch.c.analyses).where(watch.c.point_id == point_id)
        text = self._connection.scalar(query) or "{}"
        return msgspec.json.decode(text, type=dict[str, dict[str, str | int] | None])

    def set_settings(self, point_id: int, settings: Settings) -> None:
        """How the point is analysed from now on; it is looked at next."""
        self._ensure(point_id)
        text = msgspec.json.encode(settings).decode()
        self._connection.execute(
            update(watch).where(watch.c.point_id == point_id).values(analyses=text, looked_at=0)
        )

    def _ensure(self, point_id: int) -> None:
        row = {"point_id": point_id, "analyses": "{}", "looked_at": 0}
        insert_missing(self._connection, watch, [row])

    # Findings

    def known(self, point_id: int, since: int) -> list[Finding]:
        """Of a point what lasts, or was over after ``since``."""
        query = _of(point_id).where(or_(finding.c.until.is_(None), finding.c.until >= since))
        return [_row(row).finding for row in self._connection.execute(query)]

    def of(self, point_id: int, limit: int) -> list[FindingRow]:
        """Of a point: what lasts first, then the newest."""
        query = _of(point_id).order_by(
            finding.c.until.is_not(None), finding.c.since.desc(), finding.c.code
        )
        return [_row(row) for row in self._connection.execute(query.limit(limit))]

    def put(self, point_id: int, one: Finding, now: int) -> None:
        """A finding as it is seen now; a new one is told now."""
        key = {"point_id": point_id, "code": one.code, "since": to_ms(one.since)}
        values = {
            "until": None if one.until is None else to_ms(one.until),
            "severity": one.severity.value,
            "text": one.text,
            "evidence": msgspec.json.encode(one.evidence).decode(),
            "closed_at": None if one.until is None else now,
        }
        its = and_(*(finding.c[name] == value for name, value in key.items()))
        known = self._connection.execute(update(finding).where(its).values(values))
        if not known.rowcount:
            self._connection.execute(insert(finding).values({**key, **values, "told_at": now}))


def _waits(now: int, every: int, looked_at: ColumnElement[int]) -> ColumnElement[bool]:
    """Also when it was looked at far in the future: the clock was wrong then."""
    return or_(looked_at <= now - every, looked_at > now + every)


def _of(point_id: int) -> Select[*tuple[Any, ...]]:
    return select(finding).where(finding.c.point_id == point_id)


def _row(row: Row[*tuple[Any, ...]]) -> FindingRow:
    return FindingRow(
        Finding(
            row.code,
            Severity(row.severity),
            to_datetime(row.since),
            None if row.until is None else to_datetime(row.until),
            row.text,
            msgspec.json.decode(row.evidence, type=dict[str, str | int]),
        ),
        row.told_at,
        row.closed_at,
    )
