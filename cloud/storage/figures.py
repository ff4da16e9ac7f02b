"""How full and how fresh the database is: few questions, each answered from keys."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, and_, case, func, select, text

from cloud.storage.tables import (
    command,
    device,
    event,
    gap,
    latest,
    mark,
    quarantine,
    register,
)

TABLES = text(
    "SELECT table_name, data_length + index_length FROM information_schema.tables"
    " WHERE table_schema = database() AND table_type = 'BASE TABLE'"
)


@dataclass(frozen=True, slots=True)
class RegisterFigures:
    """Of one gateway's active registers: how many there are, how many are stale, and when the
    newest reading of them was."""

    count: int
    stale: int
    newest_at: int | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for something: gaps (``told``: with an alarm), alarms, quarantined messages,
    hours to be summed up."""

    gaps: int
    gaps_told: int
    alarms: int
    quarantined: int
    marks: int


class Figures:
    """Questions of those who run the program. Nothing here writes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def registers(self, now_ms: int, stale_after_ms: int) -> dict[int, RegisterFigures]:
        """By gateway. Stale is what has an interval, and no reading for three of it, nor for
        ``stale_after_ms``."""
        at = func.coalesce(latest.c.at, 0)
        stale = and_(
            register.c.interval_s > 0,
            now_ms - at > 3000 * register.c.interval_s,
            now_ms - at > stale_after_ms,
        )
        query = (
            select(
                device.c.gateway_id,
                func.count(),
                func.sum(case((stale, 1), else_=0)),
                func.max(latest.c.at),
            )
            .join(register, register.c.device_id == device.c.id)
            .outerjoin(latest, latest.c.register_id == register.c.id)
            .where(device.c.active, register.c.active)
            .group_by(device.c.gateway_id)
        )
        return {
            id_: RegisterFigures(count, int(stale), newest_at)
            for id_, count, stale, newest_at in self._connection.execute(query)
        }

    def waiting(self) -> Waiting:
        """How much waits for somebody or something."""
        is_open = (event.c.severity == "alarm", event.c.acknowledged_at.is_(None))
        query = select(
            select(func.count()).select_from(gap).scalar_subquery(),
            select(func.count()).select_from(gap).where(gap.c.told).scalar_subquery(),
            select(func.count()).select_from(event).where(*is_open).scalar_subquery(),
            select(func.count()).select_from(quarantine).scalar_subquery(),
            select(func.count()).select_from(mark).scalar_subquery(),
        )
        return Waiting(*self._connection.execute(query).one())

    def commands(self, states: Collection[str]) -> dict[str, int]:
        """How many commands are in each of ``states``; those in which there is none left out."""
        query = (
            select(command.c.state, func.count())
            .where(command.c.state.in_(states))
            .group_by(command.c.state)
        )
        return {state: count for state, count in self._connection.execute(query)}  # noqa: C416

    def table_bytes(self) -> dict[str, int]:
        """By table what it takes with its keys, as far as the server knows; on SQLite nothing."""
        if self._connection.dialect.name == "sqlite":
            return {}
        return {name: int(size or 0) for name, size in self._connection.execute(TABLES)}
