"""Outputs: their state as read back, and what was last ordered."""

from collections.abc import Collection

from cloud.services import commands
from cloud.services.gateways import answers, gateway_views
from cloud.services.metering import latest_view
from cloud.services.views import CommandView, GatewayView, LatestView, OutputView
from cloud.storage.meters import DeviceRow, RegisterRow
from cloud.storage.unit_of_work import Store
from common.errors import NotFound
from common.registers import Kind


def outputs(store: Store, now_ms: int) -> list[OutputView]:
    """All active outputs, by site and device."""
    with store.read() as uow:
        rows = uow.meters.registers_of_kind(Kind.OUTPUT.value)
    return _views(store, rows, now_ms)


def output(store: Store, register_id: int, now_ms: int) -> OutputView:
    """One output; raises NotFound, also when the register is of another kind."""
    with store.read() as uow:
        rows = uow.meters.registers([register_id])
    if not rows or rows[0].definition.kind is not Kind.OUTPUT:
        raise NotFound(f"there is no output {register_id}")
    return _views(store, rows, now_ms)[0]


def _views(store: Store, rows: Collection[RegisterRow], now_ms: int) -> list[OutputView]:
    with store.read() as uow:
        devices = {one.id: one for one in uow.meters.devices({row.device_id for row in rows})}
        gateways = {gateway.id: gateway for gateway in gateway_views(uow, now_ms)}
        ordered = uow.overview.last_commands({row.id for row in rows})
    places = {device_id: place for place, device_id in enumerate(devices)}
    last = {register_id: commands.get(store, found) for register_id, found in ordered.items()}
    return [
        _view(
            latest_view(row, now_ms),
            devices[row.device_id],
            gateways[devices[row.device_id].gateway_id],
            last.get(row.id),
        )
        for row in sorted(rows, key=lambda row: places[row.device_id])
    ]


def _view(
    newest: LatestView, device: DeviceRow, gateway: GatewayView, last: CommandView | None
) -> OutputView:
    return OutputView(
        register=newest.register,
        device=device.key,
        device_name=device.name,
        gateway=device.gateway,
        site_name=device.site_name,
        timezone=device.timezone,
        online=answers(gateway, device.key),
        reading=newest.reading,
        stale=newest.stale,
        last_command=last,
    )
