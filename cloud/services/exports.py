"""What can be taken out, as tables whose rows are read while they are written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from cloud.export.table import Column, Row, Table, Type
from cloud.services.boundaries import zone_of
from cloud.services.metering import reading_view
from cloud.storage.meters import PlacedRegister
from cloud.storage.points import PointRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_ms
from common.errors import NotFound, Permanent
from common.registers import KINDS, Kind

ROWS_AT_ONCE = 5_000
"""Read in a transaction of their own: however slow the reader is, none stays open meanwhile."""

PLACE = (
    Column("site", Type.TEXT),
    Column("gateway", Type.TEXT),
    Column("device", Type.TEXT),
    Column("register", Type.TEXT),
    Column("unit", Type.TEXT),
)
READINGS = (
    *PLACE,
    Column("time", Type.TIME),
    Column("value", Type.DECIMAL),
    Column("quality", Type.TEXT),
    Column("raw", Type.INTEGER),
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Registers: those with all of these keys, and this id; None is any."""

    site: str | None = None
    gateway: str | None = None
    device: str | None = None
    register: str | None = None
    register_id: int | None = None

    @property
    def of_registers(self) -> bool:
        """Whether it says more than the site."""
        return any((self.gateway, self.device, self.register, self.register_id))

    def words(self) -> list[str]:
        """What was asked for, as part of a file's name."""
        keys = [self.site, self.gateway, self.device, self.register]
        number = [] if self.register_id is None else [str(self.register_id)]
        return [key for key in keys if key is not None] + number


def readings(store: Store, selection: Selection, start: datetime, end: datetime) -> Table:
    """The readings of the selected registers from ``start`` (inclusive) to ``end``, both aware.

    By site, gateway, device and register, and in order of time. A reading that comes while they
    are read may be left out; none comes twice. Registers that are out of use are among them.
    Raises NotFound when there is no such register, Permanent when nothing lies between.
    """
    if start >= end:
        raise Permanent("end must be later than start")
    with store.read() as uow:
        places = placed_in(uow, selection)
    zone = zone_of_all(place.timezone for place in places)
    return Table(
        name="_".join(["readings", *selection.words(), *days_in_name(start, end, zone)]),
        columns=READINGS,
        zone=zone,
        rows=_readings(store, places, to_ms(start), to_ms(end)),
    )


def placed_in(uow: UnitOfWork, selection: Selection) -> list[PlacedRegister]:
    """The registers that are selected; raises NotFound when there is none."""
    found = uow.meters.placed(
        site_key=selection.site,
        gateway_key=selection.gateway,
        device_key=selection.device,
        register_key=selection.register,
        register_id=selection.register_id,
    )
    if not found:
        raise NotFound("there is no such register")
    return found


def points_in(uow: UnitOfWork, site: str | None, key: str | None) -> list[PointRow]:
    """The metering points with these keys, None is any; raises NotFound when there is none."""
    found = [one for one in uow.points.all() if site in {None, one.site} and key in {None, one.key}]
    if not found:
        raise NotFound("there is no such metering point")
    return found


def zone_of_all(names: Iterable[str]) -> ZoneInfo:
    """The one time zone that all of these are; UTC when they differ."""
    zones = set(names)
    return zone_of(zones.pop() if len(zones) == 1 else "UTC")


def days_in_name(start: datetime, end: datetime, zone: ZoneInfo) -> list[str]:
    """The local days of a span, as parts of a file's name."""
    return [f"{at.astimezone(zone):%Y-%m-%d}" for at in (start, end)]


def _readings(
    store: Store, places: list[PlacedRegister], start_ms: int, end_ms: int
) -> Iterator[Row]:
    for place in places:
        head = (place.site, place.gateway, place.device, place.key, KINDS[Kind(place.kind)].unit)
        next_ms: int | None = start_ms
        while next_ms is not None:
            with store.read() as uow:
                found = uow.meters.readings(place.id, next_ms, end_ms, ROWS_AT_ONCE)
            for row in found:
                view = reading_view(row, place.decimals)
                yield (*head, view.at, view.value, view.quality.name.lower(), view.raw)
            next_ms = found[-1].at + 1 if len(found) == ROWS_AT_ONCE else None
