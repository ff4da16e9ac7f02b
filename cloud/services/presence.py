"""Gateways: who they are, where they stand, and whether they are there."""

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

from cloud.services import configuration
from cloud.services.parcels import BadParcel, BatchParcel, HelloParcel, Parcel, StatusParcel
from cloud.services.rollups import forget_days
from cloud.storage.engine import StorageAway
from cloud.storage.gateways import GatewayRow
from cloud.storage.ledger import StreamRow
from cloud.storage.unit_of_work import UnitOfWork
from common.logs import events
from common.messages.envelope import encode
from common.messages.uplink import Hello, Status

UNKNOWN_SITE = ("unknown", "Unknown site", "UTC")
"""Where a gateway stands that has not said hello since the database was new."""

SEEN_EVERY_MS = 10_000
"""A gateway's ``seen_at`` is written no more often than this."""

Known = BatchParcel | HelloParcel | StatusParcel


class Presence:
    """The gateways of one transaction. ``ids`` is what is remembered of gateways' ids."""

    def __init__(
        self, uow: UnitOfWork, now_ms: int, ids: dict[str, int], *, register: bool
    ) -> None:
        self._uow = uow
        self._now_ms = now_ms
        self._ids = ids
        self._register = register

    def admit(self, parcels: Sequence[Parcel]) -> tuple[list[Known], list[BadParcel]]:
        """The parcels of gateways that are known now, and those that are to be kept aside.

        The status of an unknown gateway that is not there is dropped: it may be gone for long.
        """
        known = [p for p in parcels if not isinstance(p, BadParcel)]
        aside = [p for p in parcels if isinstance(p, BadParcel)]
        self._look_up({p.gateway for p in known})
        strangers = {p.gateway: p for p in known if p.gateway not in self._ids and _speaks(p)}
        if strangers and self._register:
            hellos = {p.gateway: p.hello for p in known if isinstance(p, HelloParcel)}
            for key in sorted(strangers):
                self._add(key, hellos.get(key))
            self._look_up(set(strangers))
        else:
            aside += [
                BadParcel(p.source, f"gateway {p.gateway} is not registered")
                for p in known
                if p.gateway in strangers
            ]
        return [p for p in known if p.gateway in self._ids], aside

    def _look_up(self, keys: set[str]) -> None:
        unknown = sorted(keys - self._ids.keys())
        if unknown:
            self._ids.update(self._uow.gateways.ids(unknown))

    def _add(self, key: str, hello: Hello | None) -> None:
        site = _site(hello) if hello else UNKNOWN_SITE
        site_id = self._uow.gateways.ensure_site(*site)
        self._uow.gateways.add(key, site_id, hello.name if hello and hello.name else key)
        events.info("gateway %s is new", key)

    def lock(self, parcels: Iterable[Known]) -> dict[str, GatewayRow]:
        """The gateways of ``parcels`` by key, locked until the transaction ends."""
        wanted = {parcel.gateway for parcel in parcels}
        rows = {row.key: row for row in self._uow.gateways.lock([self._ids[k] for k in wanted])}
        if rows.keys() != wanted:
            self._ids.clear()
            raise StorageAway("gateways are not where they were in the database")
        return rows

    def greet(self, gateway: GatewayRow, hello: Hello, stream: StreamRow | None) -> StreamRow:
        """Note what a gateway said of itself; returns its stream, made if it is new."""
        gateways, timezone = self._uow.gateways, self._uow.books.timezone
        before = timezone(gateway.id)
        _, site_name, zone = site = _site(hello)
        site_id = gateways.ensure_site(*site)
        gateways.greeted(
            gateway.id,
            site_id=site_id,
            name=hello.name or gateway.key,
            agent=hello.agent,
            seen_at=self._now_ms,
        )
        gateways.rename_site_of_one(site_id, site_name, zone)
        if (now := timezone(gateway.id)) != before:
            forget_days(self._uow, gateway.id, now)
        if stream is None:
            stream = self._uow.ledger.add_stream(gateway.id, hello.stream, self._now_ms)
        # A stream's first hello may count its boots from one again: the journal is a new one.
        if self._is_newest(gateway, stream.id):
            session = (hello.boot, hello.session)
            if stream.first_kept > 0 and session < self._session(gateway):
                return stream
            gateways.set_session(gateway.id, *session, online=True)
        said = (hello.first_kept, hello.next_seq, self._now_ms)
        return self._uow.ledger.greeted(stream, *said)

    def note_status(self, gateway: GatewayRow, status: Status, stream: StreamRow | None) -> None:
        """Take the gateway's status, unless a later connection or stream of it is known."""
        if stream is None or not self._is_newest(gateway, stream.id):
            return
        session = (status.boot, status.session)
        if session < self._session(gateway):
            return
        gateways = self._uow.gateways
        gateways.set_session(gateway.id, *session, online=status.online)
        if status.online:
            gateways.set_status(gateway.id, encode(status).decode(), status.at)
            if status.config:
                configuration.note(self._uow, gateway.id, status.config, self._now_ms)
            # A retained one may be old, and tells nothing about now.
            said_at = min(status.at, self._now_ms)
            if gateway.seen_at is None or gateway.seen_at < said_at:
                gateways.seen([gateway.id], said_at)

    def _is_newest(self, gateway: GatewayRow, stream_id: int) -> bool:
        return self._uow.ledger.newest_stream(gateway.id) == stream_id

    def _session(self, gateway: GatewayRow) -> tuple[int, int]:
        """The newest connection known, which may be one of this transaction."""
        [current] = self._uow.gateways.lock([gateway.id])
        return (current.boot, current.session)

    def note_seen(self, parcels: Iterable[Known], gateways: dict[str, GatewayRow]) -> None:
        """The gateways were heard of just now; their statuses, and wills, may have been kept."""
        late = self._now_ms - SEEN_EVERY_MS
        heard = {p.gateway for p in parcels if not isinstance(p, StatusParcel)}
        rows = [gateways[key] for key in sorted(heard)]
        ids = [row.id for row in rows if row.seen_at is None or row.seen_at < late]
        self._uow.gateways.seen(ids, self._now_ms)


def _speaks(parcel: Known) -> bool:
    return not isinstance(parcel, StatusParcel) or parcel.status.online


def _site(hello: Hello) -> tuple[str, str, str]:
    return hello.site, hello.site_name or hello.site, _zone(hello)


def _zone(hello: Hello) -> str:
    """The zone that hello names, or UTC when there is no such."""
    try:
        return ZoneInfo(hello.timezone).key
    except (OSError, ValueError, KeyError):
        events.warning("site %s: no time zone %r; UTC is used", hello.site, hello.timezone)
        return "UTC"
