"""The configurations wanted of gateways, version by version. What has a ``send_at`` is due."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from cloud.storage.tables import configuration, gateway

TEXT = 2000


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version; without its text."""

    version: int
    set_by: str
    reason: str
    set_at: int
    state: str
    detail: str
    state_at: int
    send_at: int | None
    sent_at: int | None


@dataclass(frozen=True, slots=True)
class DueRow:
    """A version to be published."""

    gateway_id: int
    gateway: str
    version: int
    toml: str
    state: str


_VERSIONS = select(
    configuration.c.version,
    configuration.c.set_by,
    configuration.c.reason,
    configuration.c.set_at,
    configuration.c.state,
    configuration.c.detail,
    configuration.c.state_at,
    configuration.c.send_at,
    configuration.c.sent_at,
)


class Configurations:
    """Configurations in the database. Whoever writes holds the gateway's lock, but to ``sent``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, gateway_id: int, row: VersionRow, toml: str) -> None:
        """A new version; none before it is sent any more."""
        self._connection.execute(
            update(configuration)
            .where(_of(gateway_id), configuration.c.send_at.is_not(None))
            .values(send_at=None)
        )
        self._connection.execute(
            insert(configuration).values(
                gateway_id=gateway_id,
                version=row.version,
                toml=toml,
                set_by=row.set_by,
                reason=row.reason,
                set_at=row.set_at,
                state=row.state,
                detail=row.detail,
                state_at=row.state_at,
                send_at=row.send_at,
            )
        )

    def newest(self, gateway_id: int) -> int:
        """The greatest version; 0 when there is none."""
        query = select(func.max(configuration.c.version)).where(_of(gateway_id))
        return self._connection.scalar(query) or 0

    def versions(self, gateway_id: int, *, only: Collection[int]) -> list[VersionRow]:
        """Those of ``only`` that there are, newest first."""
        query = _VERSIONS.where(_of(gateway_id)).order_by(configuration.c.version.desc())
        query = query.where(configuration.c.version.in_(only))
        return [VersionRow(*row) for row in self._connection.execute(query)]

    def recent(self, gateway_id: int, limit: int, before: int | None = None) -> list[VersionRow]:
        """The newest versions, newest first; only ``before`` a version."""
        query = _VERSIONS.where(_of(gateway_id)).order_by(configuration.c.version.desc())
        if before is not None:
            query = query.where(configuration.c.version < before)
        return [VersionRow(*row) for row in self._connection.execute(query.limit(limit))]

    def toml(self, gateway_id: int, version: int) -> str | None:
        """The text of a version."""
        query = select(configuration.c.toml).where(_of(gateway_id))
        return self._connection.scalar(query.where(configuration.c.version == version))

    def note(self, gateway_id: int, version: int, state: str, detail: str, at: int) -> None:
        """What became of a version; it is not sent any more."""
        self._connection.execute(
            update(configuration)
            .where(_of(gateway_id), configuration.c.version == version)
            .values(state=state, detail=detail[:TEXT], state_at=at, send_at=None)
        )

    def send(self, gateway_id: int, version: int, at: int) -> None:
        """The version is due at ``at``."""
        self._connection.execute(
            update(configuration)
            .where(_of(gateway_id), configuration.c.version == version)
            .values(send_at=at)
        )

    def anything_due(self, now_ms: int) -> bool:
        """Whether ``claim_due`` would find something."""
        query = select(configuration.c.version).where(configuration.c.send_at <= now_ms).limit(1)
        return self._connection.execute(query).first() is not None

    def claim_due(self, now_ms: int, limit: int) -> list[DueRow]:
        """Versions to publish now; locked, leaving out what another worker has."""
        key = select(gateway.c.key).where(gateway.c.id == configuration.c.gateway_id)
        rows = self._connection.execute(
            select(
                configuration.c.gateway_id,
                key.correlate(configuration).scalar_subquery(),
                configuration.c.version,
                configuration.c.toml,
                configuration.c.state,
            )
            .where(configuration.c.send_at <= now_ms)
            .order_by(configuration.c.send_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return [DueRow(*row) for row in rows]

    def sent(self, rows: Sequence[DueRow], state: str, at: int) -> None:
        """They are published, and not again unless the gateway says that it runs something else."""
        for row in rows:
            values: dict[str, object] = {"send_at": None, "sent_at": at}
            if row.state != state:
                values |= {"state": state, "state_at": at}
            self._connection.execute(
                update(configuration)
                .where(_of(row.gateway_id), configuration.c.version == row.version)
                .values(**values)
            )


def _of(gateway_id: int) -> ColumnElement[bool]:
    return configuration.c.gateway_id == gateway_id
