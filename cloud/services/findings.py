"""What was found of metering points, and how each is analysed: asked and set by people."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from cloud.domain.analyses import configure
from cloud.services.points import Change, note, row_of
from cloud.storage.findings import Settings
from cloud.storage.points import PointRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime
from common.registers import KINDS

MAX_FINDINGS = 500


@dataclass(frozen=True, slots=True)
class FindingView:
    """What was found and told of a metering point; without ``until`` it lasts.

    ``told_at`` is when it was told, ``closed_at`` when it was found to be over.
    """

    code: str
    severity: str
    since: datetime
    until: datetime | None
    text: str
    evidence: dict[str, str | int]
    told_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class AnalysesView:
    """The analyses of a metering point: what was set of it, and what is done."""

    own: Settings
    effective: Settings


def findings(store: Store, point_id: int) -> list[FindingView]:
    """What lasts first, then the newest, MAX_FINDINGS at most; raises NotFound."""
    with store.read() as uow:
        row_of(uow, point_id)
        rows = uow.findings.of(point_id, MAX_FINDINGS)
    return [
        FindingView(
            row.finding.code,
            row.finding.severity.value,
            row.finding.since,
            row.finding.until,
            row.finding.text,
            dict(row.finding.evidence),
            to_datetime(row.told_at),
            None if row.closed_at is None else to_datetime(row.closed_at),
        )
        for row in rows
    ]


def analyses(store: Store, point_id: int) -> AnalysesView:
    """How a metering point is analysed; raises NotFound."""
    with store.read() as uow:
        return _view(row_of(uow, point_id), uow.findings.settings(point_id))


def set_analyses(store: Store, point_id: int, own: Settings, change: Change) -> AnalysesView:
    """Analyse a metering point by the defaults and ``own``, in the place of what was set before.

    Raises NotFound; ConfigError that names the analysis and the setting.
    """

    def work(uow: UnitOfWork) -> AnalysesView:
        view = _view(row_of(uow, point_id), own)
        uow.findings.set_settings(point_id, own)
        note(uow, point_id, "analyses_set", change, analyses=msgspec.json.encode(own).decode())
        return view

    return store.run(work)


def _view(point: PointRow, own: Settings) -> AnalysesView:
    found = configure(point.medium, KINDS[point.kind].unit, own)
    return AnalysesView(own, msgspec.convert(msgspec.to_builtins(found), Settings))
