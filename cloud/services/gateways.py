"""Gateways: connected or not, complete or not, and their devices' health."""

from collections import defaultdict

from cloud.services.views import DeviceHealthView, GatewayView
from cloud.storage.meters import DeviceRow
from cloud.storage.overview import GatewayRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime
from common.errors import NotFound, Undecodable
from common.messages.envelope import decode
from common.messages.uplink import DeviceStatus, Status

SEEN_WITHIN_MS = 90_000
"""A gateway from which nothing came for this long (three statuses) is not online, whatever it
said last."""


def gateways(store: Store, now_ms: int) -> list[GatewayView]:
    """All gateways, by site and name."""
    with store.read() as uow:
        return gateway_views(uow, now_ms)


def id_of(store: Store, key: str) -> int:
    """The id of the gateway with this key; raises NotFound."""
    with store.read() as uow:
        found = uow.gateways.ids([key])
    if not found:
        raise NotFound(f"there is no gateway {key[:60]}")
    return found[key]


def gateway(store: Store, gateway_id: int, now_ms: int) -> GatewayView:
    """One gateway; raises NotFound."""
    with store.read() as uow:
        found = gateway_views(uow, now_ms, gateway_id)
    if not found:
        raise NotFound(f"there is no gateway {gateway_id}")
    return found[0]


def gateway_views(uow: UnitOfWork, now_ms: int, gateway_id: int | None = None) -> list[GatewayView]:
    """All gateways, or the one (if it exists), in a transaction that is open already."""
    devices = defaultdict(list)
    for device in uow.meters.devices():
        devices[device.gateway_id].append(device)
    rows = uow.overview.gateways(gateway_id)
    return [_view(row, devices[row.id], now_ms) for row in rows]


def answers(gateway: GatewayView, device_key: str) -> bool:
    """Whether the gateway is online and does not report the device as failing."""
    states = {device.key: device.state for device in gateway.devices}
    return gateway.online and states.get(device_key) != "failing"


def _view(row: GatewayRow, devices: list[DeviceRow], now_ms: int) -> GatewayView:
    status = status_of(row)
    health = {device.key: device for device in status.devices} if status else {}
    seen = row.seen_at is not None and now_ms - row.seen_at <= SEEN_WITHIN_MS
    return GatewayView(
        id=row.id,
        key=row.key,
        name=row.name,
        site=row.site,
        site_name=row.site_name,
        agent=row.agent,
        online=row.online and seen,
        seen_at=None if row.seen_at is None else to_datetime(row.seen_at),
        status_at=None if row.status_at is None else to_datetime(row.status_at),
        queued=status.queued if status else 0,
        oldest_at=to_datetime(status.oldest_at) if status and status.oldest_at else None,
        journal_bytes=status.journal_bytes if status else 0,
        committed=row.committed,
        missing=row.missing,
        rejected=row.rejected,
        lost=row.lost,
        devices=tuple(_health(device, health.get(device.key)) for device in devices),
    )


def status_of(row: GatewayRow) -> Status | None:
    """The gateway's last status; None when there is none that can be read."""
    if row.status is None:
        return None
    try:
        return decode(row.status.encode(), Status)
    except Undecodable:
        return None


def _health(device: DeviceRow, status: DeviceStatus | None) -> DeviceHealthView:
    last_ok_at = status.last_ok_at if status else None
    return DeviceHealthView(
        key=device.key,
        name=device.name,
        driver=device.driver,
        state=status.state if status else "unknown",
        last_ok_at=None if last_ok_at is None else to_datetime(last_ok_at),
        failures=status.failures if status else 0,
        error=status.error if status else "",
    )
