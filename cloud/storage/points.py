"""Metering points, and the installations of meters under them."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, exists, insert, select, update

from cloud.domain.installations import Installation
from cloud.storage.tables import (
    billing,
    device,
    gateway,
    installation,
    metering_point,
    point_term,
    register,
    site,
    turn,
)
from cloud.storage.upsert import insert_missing
from common.registers import Kind, Medium

FORMULAS = "formulas"


@dataclass(frozen=True, slots=True)
class PointRow:
    """A metering point, and where it is; ``virtual``: it is made of others."""

    id: int
    key: str
    name: str
    site: str
    timezone: str
    medium: Medium
    kind: Kind
    parent_id: int | None
    virtual: bool


@dataclass(frozen=True, slots=True)
class InstalledRow:
    """An installation, and the meter that it is of; ``timezone`` of the site where that is."""

    point_id: int
    installation: Installation
    serial: str
    device_id: int
    device: str
    interval_s: int
    timezone: str


@dataclass(frozen=True, slots=True)
class TermRow:
    """``point_id`` is made of another point, and others, each times a factor."""

    point_id: int
    of_point_id: int
    of_key: str
    factor: Decimal


class Points:
    """Metering points in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        *,
        key: str,
        name: str,
        site_id: int,
        medium: Medium,
        kind: Kind,
        parent_id: int | None,
        created_at: int,
    ) -> int:
        """A new metering point; its id."""
        row = {
            "key": key,
            "name": name,
            "site_id": site_id,
            "medium": int(medium),
            "kind": kind.value,
            "parent_id": parent_id,
            "created_at": created_at,
        }
        return int(self._connection.execute(insert(metering_point).values(row)).lastrowid)

    def all(self, site_id: int | None = None) -> list[PointRow]:
        """By site and name."""
        query = _points().order_by(site.c.name, metering_point.c.name, metering_point.c.id)
        if site_id is not None:
            query = query.where(metering_point.c.site_id == site_id)
        return [_point(row) for row in self._connection.execute(query)]

    def one(self, id_: int) -> PointRow | None:
        row = self._connection.execute(_points().where(metering_point.c.id == id_)).first()
        return _point(row) if row else None

    def by_key(self, key: str) -> PointRow | None:
        row = self._connection.execute(_points().where(metering_point.c.key == key)).first()
        return _point(row) if row else None

    def site_id(self, key: str) -> int | None:
        """Of the site with this key."""
        return self._connection.scalar(select(site.c.id).where(site.c.key == key))

    def timezone(self, site_id: int) -> str | None:
        """Of the site with this id."""
        return self._connection.scalar(select(site.c.timezone).where(site.c.id == site_id))

    def lock(self, point_id: int, register_ids: Collection[int]) -> None:
        """Nobody else changes what is installed at the point, or what the registers count for."""
        points = select(metering_point.c.id).where(metering_point.c.id == point_id)
        self._connection.execute(points.with_for_update())
        registers = select(register.c.id).where(register.c.id.in_(sorted(register_ids)))
        self._connection.execute(registers.order_by(register.c.id).with_for_update())

    def installed(self, point_ids: Collection[int]) -> list[InstalledRow]:
        """The installations of these points, by point and time."""
        query = _installed().where(installation.c.point_id.in_(point_ids))
        return self._installed(query)

    def installed_register(self, register_id: int) -> list[InstalledRow]:
        """The installations of a register, by point and time."""
        return self._installed(_installed().where(installation.c.register_id == register_id))

    def _installed(self, query: Select[*tuple[Any, ...]]) -> list[InstalledRow]:
        query = query.order_by(installation.c.point_id, installation.c.start_at)
        return [
            InstalledRow(
                row.point_id,
                Installation(
                    row.id,
                    row.register_id,
                    row.decimals,
                    row.start_at,
                    row.start_index,
                    row.end_at,
                    row.final_index,
                    Decimal(row.multiplier),
                    row.rollover,
                ),
                row.serial,
                row.device_id,
                row.device,
                row.interval_s,
                row.timezone,
            )
            for row in self._connection.execute(query)
        ]

    def install(self, point_id: int, one: Installation, serial: str) -> None:
        """A meter begins to count; the installation's id is not looked at."""
        self._connection.execute(
            insert(installation).values(
                point_id=point_id,
                register_id=one.register_id,
                serial=serial,
                multiplier=format(one.multiplier, "f"),
                start_at=one.start_at,
                start_index=one.start_index,
                end_at=one.end_at,
                final_index=one.final_index,
                rollover=one.rollover,
            )
        )

    def split(self, row: InstalledRow, at: int, final_index: int, start_index: int) -> None:
        """The same meter counts on from another index since ``at``."""
        self.remove(row.installation.id, at, final_index)
        rest = replace(row.installation, start_at=at, start_index=start_index)
        self.install(row.point_id, rest, row.serial)

    def join(self, row: InstalledRow, following_id: int) -> None:
        """``split`` undone: the one that follows is a part of it again."""
        its = installation.c.id == following_id
        [(end_at, final_index)] = self._connection.execute(
            select(installation.c.end_at, installation.c.final_index).where(its)
        )
        self._connection.execute(
            update(installation)
            .where(installation.c.id == row.installation.id)
            .values(end_at=end_at, final_index=final_index)
        )
        self._connection.execute(delete(installation).where(its))

    def remove(self, installation_id: int, end_at: int, final_index: int) -> None:
        """A meter has counted for the point."""
        self._connection.execute(
            update(installation)
            .where(installation.c.id == installation_id)
            .values(end_at=end_at, final_index=final_index)
        )

    def billing(self, point_id: int) -> str | None:
        """The point's billing periods, as they were set."""
        query = select(billing.c.definition).where(billing.c.point_id == point_id)
        return self._connection.scalar(query)

    def set_billing(self, point_id: int, definition: str) -> None:
        """In the place of what was set before."""
        self._connection.execute(delete(billing).where(billing.c.point_id == point_id))
        row = {"point_id": point_id, "definition": definition}
        self._connection.execute(insert(billing).values(row))

    # Formulas

    def take_turn(self) -> None:
        """Nobody else changes a formula until the end of this transaction."""
        took = self._connection.execute(
            update(turn).where(turn.c.work == FORMULAS).values(n=turn.c.n + 1)
        )
        if not took.rowcount:
            insert_missing(self._connection, turn, [{"work": FORMULAS, "n": 1}])

    def terms(self, point_ids: Collection[int]) -> list[TermRow]:
        """What these points are made of, by point and key."""
        query = (
            select(point_term, metering_point.c.key)
            .join(metering_point, metering_point.c.id == point_term.c.of_point_id)
            .where(point_term.c.point_id.in_(point_ids))
            .order_by(point_term.c.point_id, metering_point.c.key)
        )
        return [
            TermRow(row.point_id, row.of_point_id, row.key, Decimal(row.factor))
            for row in self._connection.execute(query)
        ]

    def formulas(self) -> dict[int, dict[int, Decimal]]:
        """Of all virtual points, by the ids of what they are made of."""
        found: dict[int, dict[int, Decimal]] = defaultdict(dict)
        for point_id, of, factor in self._connection.execute(select(point_term)):
            found[point_id][of] = Decimal(factor)
        return dict(found)

    def set_formula(self, point_id: int, formula: Mapping[int, Decimal]) -> None:
        """In the place of what the point was made of."""
        self._connection.execute(delete(point_term).where(point_term.c.point_id == point_id))
        rows = [
            {"point_id": point_id, "of_point_id": of, "factor": format(factor, "f")}
            for of, factor in formula.items()
        ]
        if rows:
            self._connection.execute(insert(point_term), rows)

    def keys(self, point_ids: Collection[int]) -> dict[int, str]:
        """By id."""
        query = select(metering_point.c.id, metering_point.c.key)
        found = self._connection.execute(query.where(metering_point.c.id.in_(point_ids)))
        return {row.id: row.key for row in found}


def _points() -> Select[*tuple[Any, ...]]:
    terms = exists().where(point_term.c.point_id == metering_point.c.id)
    return select(
        metering_point, site.c.key.label("site"), site.c.timezone, terms.label("virtual")
    ).join(site, site.c.id == metering_point.c.site_id)


def _point(row: Row[*tuple[Any, ...]]) -> PointRow:
    return PointRow(
        row.id,
        row.key,
        row.name,
        row.site,
        row.timezone,
        Medium(row.medium),
        Kind(row.kind),
        row.parent_id,
        bool(row.virtual),
    )


def _installed() -> Select[*tuple[Any, ...]]:
    return (
        select(
            installation,
            register.c.decimals,
            register.c.interval_s,
            register.c.device_id,
            device.c.name.label("device"),
            site.c.timezone,
        )
        .join(register, register.c.id == installation.c.register_id)
        .join(device, device.c.id == register.c.device_id)
        .join(gateway, gateway.c.id == device.c.gateway_id)
        .join(site, site.c.id == gateway.c.site_id)
    )
