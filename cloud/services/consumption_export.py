"""Consumption taken out: of metering points, or of registers, a row for each local period."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cloud.domain.consumption import Step, boundaries, check_periods, pieces
from cloud.export.table import Column, Row, Table, Type
from cloud.services import metering, points
from cloud.services.boundaries import zone_of
from cloud.services.exports import PLACE, Selection, days_in_name, placed_in, points_in, zone_of_all
from cloud.services.views import ConsumptionView
from cloud.storage.meters import PlacedRegister
from cloud.storage.points import PointRow
from cloud.storage.unit_of_work import Store
from common.errors import NotFound, Permanent
from common.registers import KINDS, Kind

MOST_PERIODS = 100_000
"""Of one metering point or register: eleven years of hours."""

POINT = (
    Column("site", Type.TEXT),
    Column("point", Type.TEXT),
    Column("name", Type.TEXT),
    Column("unit", Type.TEXT),
)
PERIOD = (
    Column("start", Type.TIME),
    Column("end", Type.TIME),
    Column("value", Type.DECIMAL),
    Column("quality", Type.TEXT),
    Column("measured_percent", Type.DECIMAL),
)

_INSTANT = timedelta(microseconds=1)
_Ask = Callable[[datetime, datetime], list[ConsumptionView]]
_One = tuple[Row, ZoneInfo, _Ask]
"""The cells before a period's, the zone whose periods they are, and what tells them."""


def consumption(  # noqa: PLR0917
    store: Store,
    selection: Selection,
    point: str | None,
    step: Step,
    start: datetime,
    end: datetime,
) -> Table:
    """Consumption of each local period that overlaps start..end, both aware.

    Of the counting registers that are selected; when nothing but a site is, of its metering points
    or the one with the key ``point``. They are asked for in pieces, each in a transaction of its
    own, which share their boundaries: the hours of a year add up to the year.
    Raises NotFound when there is none; Permanent for both kinds at once, or for a span in which
    nothing or too much lies.
    """
    check_periods(step, start, end, MOST_PERIODS)
    if point is not None and selection.of_registers:
        raise Permanent("a metering point or registers, not both")
    of_registers = selection.of_registers
    found = _registers(store, selection) if of_registers else _points(store, selection.site, point)
    zones = {one.timezone for one in found}
    for name in zones:  # said now, and not in the middle of a file
        boundaries(step, start, start + _INSTANT, zone_of(name))
        boundaries(step, end - _INSTANT, end, zone_of(name))
    zone = zone_of_all(zones)
    words = [*selection.words(), *([point] if point else []), step.value]
    return Table(
        name="_".join(["consumption", *words, *days_in_name(start, end, zone)]),
        columns=(*(PLACE if of_registers else POINT), *PERIOD),
        zone=zone,
        rows=_rows((_one(store, one, step) for one in found), step, start, end),
    )


def _rows(ones: Iterator[_One], step: Step, start: datetime, end: datetime) -> Iterator[Row]:
    for head, zone, ask in ones:
        for first, last in pieces(step, start, end, zone):
            for one in ask(first, last):
                yield (*head, one.start, one.end, one.value, one.quality, one.measured_percent)


def _one(store: Store, found: PointRow | PlacedRegister, step: Step) -> _One:
    zone, unit = zone_of(found.timezone), KINDS[Kind(found.kind)].unit
    id_ = found.id
    if isinstance(found, PointRow):
        head: Row = (found.site, found.key, found.name, unit)
        return head, zone, lambda first, last: points.consumption(store, id_, step, first, last)
    head = (found.site, found.gateway, found.device, found.key, unit)
    return head, zone, lambda first, last: metering.consumption(store, id_, step, first, last)


def _points(store: Store, site: str | None, key: str | None) -> Sequence[PointRow]:
    with store.read() as uow:
        return points_in(uow, site, key)


def _registers(store: Store, selection: Selection) -> Sequence[PlacedRegister]:
    with store.read() as uow:
        found = placed_in(uow, selection)
    counting = [one for one in found if KINDS[Kind(one.kind)].counting]
    if not counting:
        raise NotFound("there is no such register that counts")
    return counting
