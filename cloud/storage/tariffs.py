"""Tariffs, and which of them a metering point has from when."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from cloud.storage.billing_tables import point_tariff, tariff
from cloud.storage.tables import metering_point


@dataclass(frozen=True, slots=True)
class TariffRow:
    """``definition`` is a cloud.domain.tariffs.Tariff, as JSON."""

    id: int
    key: str
    definition: str
    revision: int
    changed_at: int


@dataclass(frozen=True, slots=True)
class AssignmentRow:
    """By which tariff a point is priced from a local day on; None: by none."""

    start: date
    tariff: TariffRow | None


_TARIFFS = select(
    tariff.c.id, tariff.c.key, tariff.c.definition, tariff.c.revision, tariff.c.changed_at
)


class Tariffs:
    """Tariffs in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[TariffRow]:
        """By name."""
        rows = self._connection.execute(_TARIFFS.order_by(tariff.c.name, tariff.c.key))
        return [TariffRow(*row) for row in rows]

    def one(self, key: str) -> TariffRow | None:
        return self._one(_TARIFFS.where(tariff.c.key == key))

    def lock(self, key: str) -> TariffRow | None:
        """The same, which nobody else changes or assigns until the transaction ends."""
        return self._one(_TARIFFS.where(tariff.c.key == key).with_for_update())

    def _one(self, query: Select[*tuple[Any, ...]]) -> TariffRow | None:
        row = self._connection.execute(query).first()
        return TariffRow(*row) if row else None

    def add(self, key: str, name: str, definition: str, changed_at: int) -> None:
        """A new tariff, of revision 1."""
        self._connection.execute(
            insert(tariff).values(
                key=key, name=name, definition=definition, revision=1, changed_at=changed_at
            )
        )

    def replace(self, id_: int, name: str, definition: str, changed_at: int) -> None:
        """The tariff is another one from now on, also for the past."""
        self._connection.execute(
            update(tariff)
            .where(tariff.c.id == id_)
            .values(
                name=name,
                definition=definition,
                revision=tariff.c.revision + 1,
                changed_at=changed_at,
            )
        )

    def points(self, tariff_id: int) -> list[int]:
        """The metering points that have the tariff at some time."""
        query = select(point_tariff.c.point_id).where(point_tariff.c.tariff_id == tariff_id)
        return list(self._connection.scalars(query.distinct().order_by(point_tariff.c.point_id)))

    def assign(self, point_id: int, start: date, tariff_id: int | None) -> None:
        """From ``start`` on, until the next assignment; replaces one of the same day."""
        point = select(metering_point.c.id).where(metering_point.c.id == point_id)
        self._connection.execute(point.with_for_update())
        self._connection.execute(
            delete(point_tariff).where(
                point_tariff.c.point_id == point_id, point_tariff.c.start == start
            )
        )
        self._connection.execute(
            insert(point_tariff).values(point_id=point_id, start=start, tariff_id=tariff_id)
        )

    def assigned(self, point_id: int) -> list[AssignmentRow]:
        """The assignments of a metering point, by time."""
        columns = _TARIFFS.selected_columns
        rows = self._connection.execute(
            select(point_tariff.c.start, *columns)
            .join_from(point_tariff, tariff, isouter=True)
            .where(point_tariff.c.point_id == point_id)
            .order_by(point_tariff.c.start)
        )
        return [
            AssignmentRow(start, None if row[0] is None else TariffRow(*row))
            for start, *row in rows
        ]
