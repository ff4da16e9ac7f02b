"""Sites and gateways."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from cloud.storage.tables import gateway, site
from cloud.storage.upsert import insert_missing


@dataclass(frozen=True, slots=True)
class GatewayRow:
    id: int
    key: str
    site_id: int
    online: bool
    boot: int
    session: int
    seen_at: int | None
    machine: str
    claimed_by: str
    claimed_at: int | None


class Gateways:
    """Sites and gateways in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ids(self, keys: Sequence[str]) -> dict[str, int]:
        """The ids of those of the gateways that are known."""
        rows = self._connection.execute(
            select(gateway.c.key, gateway.c.id).where(gateway.c.key.in_(keys))
        )
        return {key: id_ for key, id_ in rows}  # noqa: C416

    def lock(self, ids: Sequence[int]) -> list[GatewayRow]:
        """The gateways, locked until the transaction ends, in the order of their ids.

        Whoever changes streams, ledgers or the inventory of a gateway holds this lock; since all
        take locks in the same order, nobody waits in a circle.
        """
        rows = self._connection.execute(
            select(
                gateway.c.id,
                gateway.c.key,
                gateway.c.site_id,
                gateway.c.online,
                gateway.c.boot,
                gateway.c.session,
                gateway.c.seen_at,
                gateway.c.machine,
                gateway.c.claimed_by,
                gateway.c.claimed_at,
            )
            .where(gateway.c.id.in_(sorted(ids)))
            .order_by(gateway.c.id)
            .with_for_update()
        )
        return [GatewayRow(*tuple(row)) for row in rows]

    def ensure_site(self, key: str, name: str, timezone: str) -> int:
        """The id of the site, which is made when it is not there."""
        found = select(site.c.id).where(site.c.key == key)
        id_: int | None = self._connection.scalar(found)
        if id_ is None:
            row = {"key": key, "name": name, "timezone": timezone}
            insert_missing(self._connection, site, [row])
            id_ = self._connection.scalar(found)
        assert id_ is not None  # noqa: S101
        return id_

    def rename_site_of_one(self, site_id: int, name: str, timezone: str) -> None:
        """Give the site this name and zone, if no more than one gateway is there to say so."""
        gateways = self._connection.scalar(
            select(func.count()).select_from(gateway).where(gateway.c.site_id == site_id)
        )
        same = (site.c.id == site_id) & (site.c.name == name) & (site.c.timezone == timezone)
        if gateways == 1 and not self._connection.scalar(select(site.c.id).where(same)):
            self._connection.execute(
                update(site).where(site.c.id == site_id).values(name=name, timezone=timezone)
            )

    def add(self, key: str, site_id: int, name: str) -> None:
        """A new gateway; nothing happens when it is there."""
        row = {"key": key, "site_id": site_id, "name": name}
        insert_missing(self._connection, gateway, [row])

    def greeted(self, id_: int, *, site_id: int, name: str, agent: str, seen_at: int) -> None:
        """What a hello said of the gateway."""
        self._connection.execute(
            update(gateway)
            .where(gateway.c.id == id_)
            .values(site_id=site_id, name=name, agent=agent, seen_at=seen_at)
        )

    def set_session(self, id_: int, boot: int, session: int, *, online: bool) -> None:
        """Which connection of the gateway is the newest known, and whether it stands."""
        self._connection.execute(
            update(gateway)
            .where(gateway.c.id == id_)
            .values(boot=boot, session=session, online=online)
        )

    def set_machine(self, id_: int, machine: str) -> None:
        """Which computer the gateway is; no other one claims it now."""
        self._connection.execute(
            update(gateway)
            .where(gateway.c.id == id_)
            .values(machine=machine, claimed_by="", claimed_at=None)
        )

    def set_claim(self, id_: int, machine: str, at: int) -> None:
        """Another computer claims to be the gateway, and an alarm has said so."""
        self._connection.execute(
            update(gateway).where(gateway.c.id == id_).values(claimed_by=machine, claimed_at=at)
        )

    def set_status(self, id_: int, status: str, status_at: int) -> None:
        """The gateway's last status message, JSON."""
        self._connection.execute(
            update(gateway).where(gateway.c.id == id_).values(status=status, status_at=status_at)
        )

    def seen(self, ids: Sequence[int], at: int) -> None:
        """The gateways were heard of."""
        if ids:
            self._connection.execute(
                update(gateway).where(gateway.c.id.in_(ids)).values(seen_at=at)
            )
