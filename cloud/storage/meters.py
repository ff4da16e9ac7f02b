"""Sites, devices, registers and their readings, as they are asked for. Nothing here writes.

Times are epoch milliseconds; values are integers scaled by their register's decimals.
"""

from collections.abc import Collection
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    func,
    null,
    select,
)

from cloud.storage.tables import device, gateway, latest, reading, register, site
from common.registers import Kind, Medium, Register


@dataclass(frozen=True, slots=True)
class SiteRow:
    id: int
    key: str
    name: str
    timezone: str
    meters: int


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device, and where it stands."""

    id: int
    key: str
    name: str
    driver: str
    model: str
    gateway_id: int
    gateway: str
    site: str
    site_name: str
    timezone: str


@dataclass(frozen=True, slots=True)
class ReadingRow:
    at: int
    value: int | None
    quality: int
    raw: int | None


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """A register, its device, and its newest reading."""

    id: int
    device_id: int
    definition: Register
    active: bool
    newest: ReadingRow | None


@dataclass(frozen=True, slots=True)
class PlacedRegister:
    """A register, active or not, and where it stands: keys."""

    id: int
    site: str
    gateway: str
    device: str
    key: str
    kind: str
    decimals: int
    timezone: str
    active: bool


@dataclass(frozen=True, slots=True)
class Bucket:
    """The readings of one slice of time: when the first and the last were, and the extremes."""

    first_at: int
    last_at: int
    low: int
    high: int


_DEVICE_COLUMNS: tuple[ColumnElement[Any], ...] = (
    device.c.id,
    device.c.key,
    device.c.name,
    device.c.driver,
    device.c.model,
    device.c.gateway_id,
    gateway.c.key.label("gateway"),
    site.c.key.label("site"),
    site.c.name.label("site_name"),
    site.c.timezone,
)


class Meters:
    """Questions about what is measured."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sites(self, counting: Collection[str]) -> list[SiteRow]:
        """All sites by name; ``meters`` are their active devices with a register of a kind in
        ``counting``."""
        meters = (
            select(gateway.c.site_id, func.count(device.c.id.distinct()).label("meters"))
            .join(device, device.c.gateway_id == gateway.c.id)
            .join(register, register.c.device_id == device.c.id)
            .where(device.c.active, register.c.active, register.c.kind.in_(counting))
            .group_by(gateway.c.site_id)
            .subquery()
        )
        query = (
            select(site, func.coalesce(meters.c.meters, 0).label("meters"))
            .outerjoin(meters, meters.c.site_id == site.c.id)
            .order_by(site.c.name, site.c.id)
        )
        return [
            SiteRow(row.id, row.key, row.name, row.timezone, row.meters)
            for row in self._connection.execute(query)
        ]

    def devices(self, ids: Collection[int] | None = None) -> list[DeviceRow]:
        """The active devices by site and name; or those with these ids, active or not."""
        query = (
            select(*_DEVICE_COLUMNS)
            .join(gateway, gateway.c.id == device.c.gateway_id)
            .join(site, site.c.id == gateway.c.site_id)
            .order_by(site.c.name, device.c.name, device.c.id)
        )
        query = query.where(device.c.active if ids is None else device.c.id.in_(ids))
        return [DeviceRow(*row) for row in self._connection.execute(query)]

    def registers_of(self, device_ids: Collection[int] | None = None) -> list[RegisterRow]:
        """The active registers of all, or of these, devices, by device and id."""
        query = _registers().where(register.c.active)
        if device_ids is not None:
            query = query.where(register.c.device_id.in_(device_ids))
        return self._registers(query)

    def registers(self, ids: Collection[int]) -> list[RegisterRow]:
        """The registers with these ids, active or not, by device and id."""
        return self._registers(_registers().where(register.c.id.in_(ids)))

    def registers_of_kind(self, kind: str) -> list[RegisterRow]:
        """All active registers of ``kind``, by device and id."""
        return self._registers(_registers().where(register.c.active, register.c.kind == kind))

    def placed(
        self,
        *,
        site_key: str | None = None,
        gateway_key: str | None = None,
        device_key: str | None = None,
        register_key: str | None = None,
        register_id: int | None = None,
    ) -> list[PlacedRegister]:
        """The registers that all of this fits, active or not, in the order of their keys."""
        wanted: dict[ColumnElement[Any], str | int | None] = {
            site.c.key: site_key,
            gateway.c.key: gateway_key,
            device.c.key: device_key,
            register.c.key: register_key,
            register.c.id: register_id,
        }
        query = (
            select(
                register.c.id,
                site.c.key,
                gateway.c.key,
                device.c.key,
                register.c.key,
                register.c.kind,
                register.c.decimals,
                site.c.timezone,
                register.c.active,
            )
            .join(device, device.c.id == register.c.device_id)
            .join(gateway, gateway.c.id == device.c.gateway_id)
            .join(site, site.c.id == gateway.c.site_id)
            .where(*(column == value for column, value in wanted.items() if value is not None))
            .order_by(*wanted)
        )
        return [PlacedRegister(*row) for row in self._connection.execute(query)]

    def _registers(self, query: "_RegisterQuery") -> list[RegisterRow]:
        query = query.order_by(register.c.device_id, register.c.id)
        return [_register_row(row) for row in self._connection.execute(query)]

    def readings(self, register_id: int, start: int, end: int, limit: int) -> list[ReadingRow]:
        """The first ``limit`` readings from ``start`` (inclusive) to ``end``, in order of time."""
        query = (
            select(reading.c.at, reading.c.value, reading.c.quality, reading.c.raw)
            .where(reading.c.register_id == register_id)
            .where(reading.c.at >= start, reading.c.at < end)
            .order_by(reading.c.at)
            .limit(limit)
        )
        return [ReadingRow(*row) for row in self._connection.execute(query)]

    def values(self, register_id: int, start: int, end: int, limit: int) -> list[tuple[int, int]]:
        """As ``readings``, but (at, value) of those that have a value."""
        query = (
            select(reading.c.at, reading.c.value)
            .where(reading.c.register_id == register_id, reading.c.value.is_not(None))
            .where(reading.c.at >= start, reading.c.at < end)
            .order_by(reading.c.at)
            .limit(limit)
        )
        return [(at, value) for at, value in self._connection.execute(query)]

    def buckets(self, register_id: int, start: int, end: int, width: int) -> list[Bucket]:
        """The readings with a value from ``start`` to ``end``, gathered into slices of ``width``
        ms, in order; slices without a reading are left out."""
        at, value = reading.c.at, reading.c.value
        query = (
            select(func.min(at), func.max(at), func.min(value), func.max(value))
            .where(reading.c.register_id == register_id, value.is_not(None))
            .where(at >= start, at < end)
            .group_by((at - start) // width)
            .order_by(null())  # few; MariaDB would sort all that it groups
        )
        rows = self._connection.execute(query)
        return sorted((Bucket(*row) for row in rows), key=attrgetter("first_at"))


_RegisterQuery = Select[*tuple[Any, ...]]


def _registers() -> _RegisterQuery:
    return select(
        register,
        latest.c.at,
        latest.c.value,
        latest.c.quality,
        latest.c.raw,
    ).outerjoin(latest, latest.c.register_id == register.c.id)


def _register_row(row: Row[*tuple[Any, ...]]) -> RegisterRow:
    states = (row.state_0, row.state_1) if row.state_0 and row.state_1 else None
    definition = Register(
        key=row.key,
        name=row.name,
        medium=Medium(row.medium),
        kind=Kind(row.kind),
        decimals=row.decimals,
        interval_s=row.interval_s,
        obis=row.obis,
        states=states,
        writable=row.writable,
    )
    newest = None if row.at is None else ReadingRow(row.at, row.value, row.quality, row.raw)
    return RegisterRow(row.id, row.device_id, definition, row.active, newest)
