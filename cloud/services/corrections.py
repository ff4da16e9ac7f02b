"""Corrections of what a register read: each by somebody, for a reason. Readings stay as they came.

What is derived follows by itself: the hours concerned are marked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from cloud.domain.consumption import HOUR_MS, Boundary
from cloud.domain.corrections import Correction
from cloud.services.installing import scaled
from cloud.services.metering import register_in
from cloud.services.points import Change, note_on
from cloud.storage.corrections import CorrectionRow
from cloud.storage.meters import RegisterRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime
from common.errors import NotFound, Permanent
from common.reading import from_scaled

MAX_DAYS = 400
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class NewCorrection:
    """What was read from ``start`` (ms) to before ``end`` is not to count.

    Without ``end``: what was read at ``start``. ``value``: what the register stood at then, in its
    base unit.
    """

    start: int
    end: int | None = None
    value: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CorrectionView:
    """A correction, and whether it still counts: it does while ``withdrawn_at`` is None."""

    id: int
    register_id: int
    start: datetime
    end: datetime
    value: Decimal | None
    made_at: datetime
    made_by: str
    reason: str
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    withdrawn_reason: str | None


def corrections(store: Store, register_id: int) -> Sequence[CorrectionView]:
    """All of a register, also those withdrawn, by what they correct; raises NotFound."""
    with store.read() as uow:
        register = register_in(uow, register_id)
        return [_view(row, register) for row in uow.corrections.of(register_id)]


def correct(
    store: Store, register_id: int, wanted: NewCorrection, change: Change
) -> CorrectionView:
    """Take out what a register read, put a value in, or both.

    Raises NotFound, or Permanent with what is wrong.
    """

    def work(uow: UnitOfWork) -> CorrectionView:
        register = register_in(uow, register_id)
        _check_reason(change)
        uow.corrections.lock(register_id)
        end = wanted.start + 1 if wanted.end is None else wanted.end
        said, decimals = wanted.value, register.definition.decimals
        value = None if said is None else scaled(said, decimals, "value")
        one = Correction(wanted.start, end, value)
        _check_span(uow, one, change)
        if one.value is not None:
            _check_value(uow, register, one)
        row = CorrectionRow(0, register_id, one, change.now_ms, change.by, change.reason)
        id_ = uow.corrections.add(row)
        _follow(uow, register_id, one)
        note_on(uow, f"register:{register_id}", "corrected", change, **_words(id_, one, register))
        return _view(_row(uow, register_id, id_), register)

    return store.run(work)


def withdraw(store: Store, register_id: int, correction_id: int, change: Change) -> CorrectionView:
    """Have a correction count no more; it stays to be seen. Another may come in its place.

    Raises NotFound; Permanent when it was withdrawn before, or what it changed is no longer kept.
    """

    def work(uow: UnitOfWork) -> CorrectionView:
        register = register_in(uow, register_id)
        _check_reason(change)
        uow.corrections.lock(register_id)
        row = _row(uow, register_id, correction_id)
        if row.withdrawn_at is not None:
            raise Permanent(
                f"correction {correction_id} was withdrawn by {row.withdrawn_by} already"
            )
        _check_kept(uow, row.correction)
        uow.corrections.withdraw(correction_id, change.now_ms, change.by, change.reason)
        _follow(uow, register_id, row.correction)
        words = _words(correction_id, row.correction, register)
        note_on(uow, f"register:{register_id}", "correction_withdrawn", change, **words)
        return _view(_row(uow, register_id, correction_id), register)

    return store.run(work)


def _follow(uow: UnitOfWork, register_id: int, one: Correction) -> None:
    """Have what is derived from the readings concerned be derived anew."""
    hours = uow.corrections.hours(register_id, one.start, one.end)
    if one.value is not None:
        hours.add(one.start - one.start % HOUR_MS)
    uow.rollups.add_marks({(register_id, at) for at in hours})


def _check_reason(change: Change) -> None:
    if not change.reason.strip():
        raise Permanent("reason: say why; whoever reads the figure will want to know")


def _check_span(uow: UnitOfWork, one: Correction, change: Change) -> None:
    if one.end <= one.start:
        raise Permanent("end: must be later than start")
    if one.end - one.start > MAX_DAYS * DAY_MS:
        raise Permanent(f"end: more than {MAX_DAYS} days after start; correct less at a time")
    if one.start > change.now_ms or one.end > change.now_ms + 1:
        raise Permanent("start, end: what is still to be read cannot be corrected")
    _check_kept(uow, one)


def _check_kept(uow: UnitOfWork, one: Correction) -> None:
    """What is no longer kept was summed up for good: ``hold`` until this is done."""
    since = uow.kept.hold().readings
    if one.start < since:
        raise Permanent(
            f"start: readings are kept from {_time(since)} on; what was before is summed up for"
            " good ([retention] in the cloud's configuration)"
        )


def _check_value(uow: UnitOfWork, register: RegisterRow, one: Correction) -> None:
    """An index that a person puts in fits what counts beside it."""
    for row in uow.corrections.of(register.id):
        there = row.correction
        if row.withdrawn_at is None and there.value is not None and there.start == one.start:
            raise Permanent(
                f"start: correction {row.id} has a value at {_time(one.start)}; withdraw it first"
            )
    if not register.definition.counting:
        return
    before, after = uow.indexes.boundaries(register.id, [one.start - 1, one.end])
    mark = Boundary(one.start, before.before, after.after)
    # What was put in counts on, also where this takes out what was read.
    for corrected in uow.corrections.by_register([register.id]).values():
        mark = corrected.beside(mark)
    least, most, value = mark.before, mark.after, one.value or 0
    if least and most and most.value < least.value:
        return  # the index fell between them, and belongs to either side
    decimals = register.definition.decimals
    if least and value < least.value:
        said = from_scaled(least.value, decimals)
        raise Permanent(f"value: the register read more at {_time(least.at)}: {said}")
    if most and value > most.value:
        said = from_scaled(most.value, decimals)
        raise Permanent(f"value: the register read less at {_time(most.at)}: {said}")


def _row(uow: UnitOfWork, register_id: int, correction_id: int) -> CorrectionRow:
    for row in uow.corrections.of(register_id):
        if row.id == correction_id:
            return row
    raise NotFound(f"register {register_id} has no correction {correction_id}")


def _view(row: CorrectionRow, register: RegisterRow) -> CorrectionView:
    value = row.correction.value
    return CorrectionView(
        id=row.id,
        register_id=row.register_id,
        start=to_datetime(row.correction.start),
        end=to_datetime(row.correction.end),
        value=None if value is None else from_scaled(value, register.definition.decimals),
        made_at=to_datetime(row.made_at),
        made_by=row.made_by,
        reason=row.reason,
        withdrawn_at=None if row.withdrawn_at is None else to_datetime(row.withdrawn_at),
        withdrawn_by=row.withdrawn_by,
        withdrawn_reason=row.withdrawn_reason,
    )


def _words(id_: int, one: Correction, register: RegisterRow) -> dict[str, str]:
    words = {"correction": str(id_), "start": _time(one.start), "end": _time(one.end)}
    if one.value is not None:
        words["value"] = format(from_scaled(one.value, register.definition.decimals), "f")
    return words


def _time(at: int) -> str:
    return to_datetime(at).isoformat(timespec="milliseconds")
