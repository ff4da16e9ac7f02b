"""Meters under a metering point: put in, exchanged, taken away. Each is one checked action."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from cloud.domain.consumption import Index, tolerance_ms
from cloud.domain.installations import Installation
from cloud.services.boundaries import neighbours
from cloud.services.point_views import PointView
from cloud.services.points import Change, note, view_of
from cloud.storage.meters import RegisterRow
from cloud.storage.points import InstalledRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime
from common.errors import NotFound, Permanent, Undecodable
from common.reading import from_scaled, to_scaled

LARGEST_MULTIPLIER = Decimal(1_000_000)
MULTIPLIER_PLACES = 6


@dataclass(frozen=True, slots=True)
class NewMeter:
    """The meter that begins to count.

    ``start_index`` stands on its face then, in the register's base unit; None: as the readings
    around that time say. ``multiplier``: what it counts times this was consumed.
    ``rollover``: the index in whose place its face shows 0 again, as 100000; None: not known.
    """

    register_id: int
    start_index: Decimal | None = None
    serial: str = ""
    multiplier: Decimal = Decimal(1)
    rollover: Decimal | None = None


def install(store: Store, point_id: int, meter: NewMeter, at: int, change: Change) -> PointView:
    """Have a meter count, from ``at`` (ms) on, for a point that has none.

    Raises NotFound, or Permanent with what is wrong.
    """

    def work(uow: UnitOfWork) -> PointView:
        put_in(uow, point_id, meter, at, change)
        return view_of(uow, point_id)

    return store.run(work)


def put_in(uow: UnitOfWork, point_id: int, meter: NewMeter, at: int, change: Change) -> None:
    """``install`` as a part of something."""
    before = locked(uow, point_id, [meter.register_id], at, change)
    if before and before[-1].installation.end_at is None:
        raise Permanent(f"{_of(before[-1])} is installed already; exchange it")
    _put_in(uow, point_id, before, meter, at)
    note(uow, point_id, "installed", change, at=time_of(at), **_words(meter))


def remove(
    store: Store, point_id: int, final_index: Decimal | None, at: int, change: Change
) -> PointView:
    """Have the point's meter count no more. ``final_index`` as NewMeter's start. Raises as
    ``install``."""

    def work(uow: UnitOfWork) -> PointView:
        before = locked(uow, point_id, [], at, change)
        index = _take_out(uow, before, final_index, at)
        note(uow, point_id, "removed", change, at=time_of(at), final_index=index)
        return view_of(uow, point_id)

    return store.run(work)


def exchange(
    store: Store,
    point_id: int,
    final_index: Decimal | None,
    meter: NewMeter,
    *,
    at: int,
    change: Change,
) -> PointView:
    """Another meter counts from now on, in one step: all of it, or nothing. Raises as
    ``install``."""

    def work(uow: UnitOfWork) -> PointView:
        before = locked(uow, point_id, [meter.register_id], at, change)
        index = _take_out(uow, before, final_index, at)
        _put_in(uow, point_id, uow.points.installed([point_id]), meter, at)
        words = {"final_index": index} | _words(meter)
        note(uow, point_id, "exchanged", change, at=time_of(at), **words)
        return view_of(uow, point_id)

    return store.run(work)


def locked(
    uow: UnitOfWork, point_id: int, register_ids: Sequence[int], at: int, change: Change
) -> list[InstalledRow]:
    """What was and is installed at the point, which nobody else changes meanwhile."""
    if at > change.now_ms:
        raise Permanent("at: is still to come; say it when it is done")
    if uow.points.one(point_id) is None:
        raise NotFound(f"there is no metering point {point_id}")
    uow.points.lock(point_id, register_ids)
    return uow.points.installed([point_id])


def _put_in(
    uow: UnitOfWork, point_id: int, before: Sequence[InstalledRow], meter: NewMeter, at: int
) -> None:
    if uow.points.terms([point_id]):
        raise Permanent("this metering point is virtual: it is made of others and gets no meter")
    register = _register(uow, point_id, meter.register_id)
    _check_multiplier(meter.multiplier)
    for row in before:
        if (row.installation.end_at or 0) > at:
            raise Permanent(f"at: {_of(row)} counted until {time_of(row.installation.end_at)}")
    for row in uow.points.installed_register(register.id):
        end_at = row.installation.end_at
        if end_at is None or end_at > at:
            until = "counts" if end_at is None else f"counted until {time_of(end_at)}"
            raise Permanent(f"register_id: {_of(row)} {until} for metering point {row.point_id}")
    index = _index(uow, register, meter.start_index, at, "start_index")
    mark, _ = neighbours(uow, register.id, at, at)
    if mark.after and mark.after.value < index:
        decimals = register.definition.decimals
        said = from_scaled(mark.after.value, decimals)
        raise Permanent(f"start_index: the meter read less at {time_of(mark.after.at)}: {said}")
    one = Installation(
        0,
        register.id,
        register.definition.decimals,
        at,
        index,
        multiplier=meter.multiplier,
        rollover=_rollover(meter.rollover, index, register.definition.decimals),
    )
    uow.points.install(point_id, one, meter.serial)


def _take_out(
    uow: UnitOfWork, before: Sequence[InstalledRow], final_index: Decimal | None, at: int
) -> str:
    """The final index, in words."""
    if not before or before[-1].installation.end_at is not None:
        raise Permanent("there is no meter at this metering point; install one")
    row = before[-1]
    one = row.installation
    if at <= one.start_at:
        raise Permanent(f"at: {_of(row)} was installed later, at {time_of(one.start_at)}")
    [register] = uow.meters.registers([one.register_id])
    index = _index(uow, register, final_index, at, "final_index")
    mark, _ = neighbours(uow, register.id, at, at)
    last = mark.before if mark.before and mark.before.at >= one.start_at else None
    least = last or Index(one.start_at, one.start_index)
    if index < least.value:
        said = from_scaled(least.value, one.decimals)
        raise Permanent(f"final_index: the meter read more at {time_of(least.at)}: {said}")
    uow.points.remove(one.id, at, index)
    return format(from_scaled(index, one.decimals), "f")


def _register(uow: UnitOfWork, point_id: int, register_id: int) -> RegisterRow:
    found = uow.meters.registers([register_id])
    if not found:
        raise Permanent(f"register_id: there is no register {register_id}")
    point = uow.points.one(point_id)
    assert point is not None  # noqa: S101  (it is locked)
    kind = found[0].definition.kind
    if kind is not point.kind:
        raise Permanent(f"register_id: counts {kind.value}; the metering point {point.kind.value}")
    return found[0]


def _index(uow: UnitOfWork, register: RegisterRow, said: Decimal | None, at: int, what: str) -> int:
    """The index that was said, scaled; or as the readings around ``at`` tell it."""
    definition = register.definition
    if said is not None:
        return scaled(said, definition.decimals, what)
    mark, _ = neighbours(uow, register.id, at, at)
    before, after = mark.before, mark.after
    tolerance = tolerance_ms(definition.interval_s)
    if before and after and after.at - before.at <= tolerance:
        apart = max(1, after.at - before.at)
        return before.value + (after.value - before.value) * (at - before.at) // apart
    if before and at - before.at <= tolerance:
        return before.value
    raise Permanent(f"{what}: no reading around {time_of(at)} tells it; read it from the meter")


def _rollover(said: Decimal | None, index: int, decimals: int) -> int | None:
    if said is None:
        return None
    rollover = scaled(said, decimals, "rollover")
    if rollover <= index:
        raise Permanent("rollover: expected more than the start index")
    return rollover


def scaled(said: Decimal, decimals: int, what: str) -> int:
    """An index that was said, exactly; raises Permanent."""
    try:
        index = to_scaled(said, decimals)
    except Undecodable as error:
        raise Permanent(f"{what}: {error}") from error
    if from_scaled(index, decimals) != said:
        raise Permanent(f"{what}: {said} has more than {decimals} decimals")
    return index


def _check_multiplier(multiplier: Decimal) -> None:
    exponent = multiplier.as_tuple().exponent if multiplier.is_finite() else None
    if (
        not isinstance(exponent, int)
        or exponent < -MULTIPLIER_PLACES
        or not 0 < multiplier <= LARGEST_MULTIPLIER
    ):
        raise Permanent(
            f"multiplier: above 0, up to {LARGEST_MULTIPLIER}, {MULTIPLIER_PLACES} decimals"
        )


def _words(meter: NewMeter) -> dict[str, str]:
    words = {
        "register_id": str(meter.register_id),
        "serial": meter.serial,
        "multiplier": format(meter.multiplier, "f"),
    }
    return words if meter.rollover is None else words | {"rollover": format(meter.rollover, "f")}


def _of(row: InstalledRow) -> str:
    return f"{row.device} (serial {row.serial})" if row.serial else row.device


def time_of(at: int | None) -> str:
    """A time (ms) as it is said."""
    return to_datetime(at or 0).isoformat(timespec="seconds")
