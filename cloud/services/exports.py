"""What can be taken out, as tables whose rows are read while they are written."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cloud.export.table import Column, Row, Table, Type
from cloud.services.boundaries import zone_of
from cloud.services.metering import reading_view
from cloud.storage.meters import PlacedRegister
from cloud.storage.unit_of_work import Store
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
        places = uow.meters.placed(
            site_key=selection.site,
            gateway_key=selection.gateway,
            device_key=selection.device,
            register_key=selection.register,
            register_id=selection.register_id,
        )
    if not places:
        raise NotFound("there is no such register")
    zones = {place.timezone for place in places}
    zone = zone_of(zones.pop() if len(zones) == 1 else "UTC")
    days = [f"{at.astimezone(zone):%Y-%m-%d}" for at in (start, end)]
    return Table(
        name="_".join(["readings", *selection.words(), *days]),
        columns=READINGS,
        zone=zone,
        rows=_readings(store, places, to_ms(start), to_ms(end)),
    )


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
