"""How gateways are doing, what they report, and who was ordered what: questions of people."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Select, func, select, union_all, update

from cloud.storage.keyset import behind
from cloud.storage.tables import command, event, gateway, ledger, loss, rejected, site, stream


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """A gateway; ``status`` is its last status message (JSON), where there was one.

    ``committed`` counts the entries in its ledgers but for the ``lost`` ones, ``missing`` those
    that are known to exist and not in them, ``rejected`` those that can never be stored.
    """

    id: int
    key: str
    name: str
    site_id: int
    site: str
    site_name: str
    agent: str
    online: bool
    seen_at: int | None
    status_at: int | None
    status: str | None
    committed: int
    missing: int
    rejected: int
    lost: int


@dataclass(frozen=True, slots=True)
class EventRow:
    stream_id: int
    seq: int
    gateway: str
    device: str
    at: int
    appended_at: int | None
    received_at: int
    code: str
    severity: str
    text: str
    acknowledged_at: int | None
    acknowledged_by: str | None


class Overview:
    """Questions about gateways, events and commands."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def gateways(self, gateway_id: int | None = None) -> list[GatewayRow]:
        """All gateways (or the one) by site and name."""
        query = (
            select(gateway, site.c.key.label("site"), site.c.name.label("site_name"))
            .join(site, site.c.id == gateway.c.site_id)
            .order_by(site.c.name, gateway.c.name, gateway.c.id)
        )
        if gateway_id is not None:
            query = query.where(gateway.c.id == gateway_id)
        kept = self._ledgers()
        refused = self._rejected()
        lost = self._lost()
        return [
            GatewayRow(
                id=row.id,
                key=row.key,
                name=row.name,
                site_id=row.site_id,
                site=row.site,
                site_name=row.site_name,
                agent=row.agent,
                online=row.online,
                seen_at=row.seen_at,
                status_at=row.status_at,
                status=row.status,
                committed=kept.get(row.id, (0, 0))[0] - lost.get(row.id, 0),
                missing=kept.get(row.id, (0, 0))[1],
                rejected=refused.get(row.id, 0),
                lost=lost.get(row.id, 0),
            )
            for row in self._connection.execute(query)
        ]

    def _ledgers(self) -> dict[int, tuple[int, int]]:
        """By gateway: entries in the ledgers of its streams, and those that they lack."""
        size = func.coalesce(func.sum(ledger.c.last - ledger.c.first + 1), 0)
        greatest = func.coalesce(func.max(ledger.c.last), 0)
        query = (
            select(stream.c.gateway_id, size, greatest, stream.c.next_seq - 1)
            .outerjoin(ledger, ledger.c.stream_id == stream.c.id)
            .group_by(stream.c.gateway_id, stream.c.id, stream.c.next_seq)
        )
        found: dict[int, tuple[int, int]] = {}
        for gateway_id, count, last, told in self._connection.execute(query):
            committed, missing = found.get(gateway_id, (0, 0))
            lacking = max(last, told) - int(count)
            found[gateway_id] = (committed + int(count), missing + lacking)
        return found

    def _lost(self) -> dict[int, int]:
        query = (
            select(stream.c.gateway_id, func.sum(loss.c.last - loss.c.first + 1))
            .join(loss, loss.c.stream_id == stream.c.id)
            .where(stream.c.lossy, loss.c.last.is_not(None))
            .group_by(stream.c.gateway_id)
        )
        return {id_: int(count) for id_, count in self._connection.execute(query)}

    def _rejected(self) -> dict[int, int]:
        query = (
            select(stream.c.gateway_id, func.count())
            .join(rejected, rejected.c.stream_id == stream.c.id)
            .group_by(stream.c.gateway_id)
        )
        return {id_: int(count) for id_, count in self._connection.execute(query)}

    def events(
        self,
        limit: int,
        *,
        after: tuple[int, int, int] | None = None,
        open_alarms: bool = False,
    ) -> list[EventRow]:
        """The newest events, newest first; with ``open_alarms`` only alarms nobody has seen to.

        ``after``: time, stream and number of one; only those that come after it.
        """
        keys = select(event.c.stream_id, event.c.seq)
        at: ColumnElement[int] = event.c.at  # all are found in the key on the time alone
        if open_alarms:  # few: found by the key on the severity; "+ 0" keeps it from that on time
            keys = keys.where(event.c.severity == "alarm", event.c.acknowledged_at.is_(None))
            at = event.c.at + 0
        columns = (at, event.c.stream_id, event.c.seq)
        keys = keys.order_by(*(column.desc() for column in columns))
        return behind(
            after, columns, limit, lambda which, most: self._events(keys.where(which).limit(most))
        )

    def _events(self, keys: Select[int, int]) -> list[EventRow]:
        found = keys.subquery()
        query = (
            select(
                event.c.stream_id,
                event.c.seq,
                gateway.c.key,
                event.c.device,
                event.c.at,
                event.c.appended_at,
                event.c.received_at,
                event.c.code,
                event.c.severity,
                event.c.text,
                event.c.acknowledged_at,
                event.c.acknowledged_by,
            )
            .join(found, (found.c.stream_id == event.c.stream_id) & (found.c.seq == event.c.seq))
            .join(gateway, gateway.c.id == event.c.gateway_id)
            .order_by(event.c.at.desc(), event.c.stream_id.desc(), event.c.seq.desc())
        )
        return [EventRow(*tuple(row)) for row in self._connection.execute(query)]

    def gateway_exists(self, gateway_id: int) -> bool:
        query = select(gateway.c.id).where(gateway.c.id == gateway_id)
        return self._connection.execute(query).first() is not None

    def event_exists(self, stream_id: int, seq: int) -> bool:
        query = select(event.c.seq).where(event.c.stream_id == stream_id, event.c.seq == seq)
        return self._connection.execute(query).first() is not None

    def acknowledge(self, stream_id: int, seq: int, by: str, at: int) -> None:
        """Note who has seen to an event, unless somebody was before."""
        self._connection.execute(
            update(event)
            .where(event.c.stream_id == stream_id, event.c.seq == seq)
            .where(event.c.acknowledged_at.is_(None))
            .values(acknowledged_at=at, acknowledged_by=by)
        )

    def last_commands(self, register_ids: Collection[int]) -> dict[int, str]:
        """By register: the id of the newest command to it."""
        if not register_ids:
            return {}
        newest = [
            select(command.c.register_id, command.c.id)
            .where(command.c.register_id == register_id)
            .order_by(command.c.issued_at.desc(), command.c.id.desc())
            .limit(1)
            .subquery()
            for register_id in register_ids
        ]
        query = union_all(*(select(one) for one in newest))
        return {id_: str(found) for id_, found in self._connection.execute(query)}
