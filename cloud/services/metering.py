"""What is measured: meters, their newest readings, history, consumption."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal

from cloud.domain.consumption import Step, boundaries, tolerance_ms
from cloud.services.boundaries import look_up, periods, zone_of
from cloud.services.gateways import answers, gateway_views
from cloud.services.views import (
    ConsumptionView,
    GatewayView,
    LatestView,
    MeterView,
    ReadingView,
    RegisterView,
)
from cloud.storage.meters import Bucket, DeviceRow, ReadingRow, RegisterRow
from cloud.storage.rollups import Calendar
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime, to_ms
from common.errors import NotFound, Permanent
from common.reading import Quality, from_scaled
from common.registers import Kind

MAX_POINTS = 5_000
STALE_AFTER_MS = 30_000
"""At the least; else three times the promised interval."""

INDEX_KINDS = (Kind.VOLUME, Kind.ENERGY_IMPORT, Kind.ENERGY_EXPORT, Kind.PULSES)
RATE_KINDS = (Kind.FLOW, Kind.POWER)


def meters(store: Store, now_ms: int) -> list[MeterView]:
    """All active devices that have a counting register, by site and name."""
    with store.read() as uow:
        return _meters(uow, None, now_ms)


def meter(store: Store, meter_id: int, now_ms: int) -> MeterView:
    """One meter, active or not; raises NotFound."""
    with store.read() as uow:
        found = _meters(uow, [meter_id], now_ms)
    if not found:
        raise NotFound(f"there is no meter {meter_id}")
    return found[0]


def latest(store: Store, register_ids: Collection[int], now_ms: int) -> dict[int, LatestView]:
    """The newest readings by register id; ids that do not exist are left out."""
    with store.read() as uow:
        rows = uow.meters.registers(register_ids)
    return {row.id: latest_view(row, now_ms) for row in rows}


def readings(  # noqa: PLR0917
    store: Store,
    register_id: int,
    start_ms: int,
    end_ms: int,
    limit: int,
    after: int | None = None,
) -> list[ReadingView]:
    """Readings from ``start_ms`` (inclusive) to ``end_ms``, in order of time.

    At most ``limit``; ``after`` is the time (ms) of the last one that the caller has.
    Raises NotFound.
    """
    start = start_ms if after is None else max(start_ms, after + 1)
    with store.read() as uow:
        register = register_in(uow, register_id)
        rows = uow.meters.readings(register_id, start, end_ms, limit)
    return [reading_view(row, register.definition.decimals) for row in rows]


def series(
    store: Store, register_id: int, start_ms: int, end_ms: int, points: int
) -> list[tuple[datetime, Decimal]]:
    """The curve from ``start_ms`` (inclusive) to ``end_ms`` in at most ``points`` (2..MAX_POINTS).

    All readings that have a value, when they are so few. Else the time that they cover is cut
    into ``points / 2`` slices of which each gives its least and its greatest value, at the times
    of its first and its last reading: exact for an index, and no peak is lost of a rate.
    Raises NotFound.
    """
    points = min(max(points, 2), MAX_POINTS)
    with store.read() as uow:
        definition = register_in(uow, register_id).definition
        found = uow.meters.values(register_id, start_ms, end_ms, points + 1)
        if len(found) > points:
            first, last = uow.indexes.boundaries(register_id, [start_ms, end_ms - 1])
            start = first.after.at if first.after else start_ms
            end = last.before.at + 1 if last.before else end_ms
            width = -((start - end) // (points // 2))
            slices = uow.meters.buckets(register_id, start, end, width)
            found = _curve(slices)
    decimals = definition.decimals
    return [(to_datetime(at), from_scaled(value, decimals)) for at, value in found]


def consumption(
    store: Store, register_id: int, step: Step, start: datetime, end: datetime
) -> list[ConsumptionView]:
    """Consumption of each local period of the site that overlaps start..end.

    ``start`` and ``end`` are aware. Raises NotFound; Permanent when the register does not count,
    or for too many periods at once.
    """
    with store.read() as uow:
        register = register_in(uow, register_id)
        definition = register.definition
        if not definition.counting:
            raise Permanent(f"register {register_id} ({definition.kind.value}) is no index")
        device = uow.meters.devices([register.device_id])[0]
        instants = boundaries(step, start, end, zone_of(device.timezone))
        bounds = [to_ms(instant) for instant in instants]
        calendar = Calendar(device.timezone, definition.interval_s)
        found = look_up(uow, register_id, calendar, bounds, step)
    return periods(bounds, found, tolerance_ms(definition.interval_s), definition.decimals)


def register_view(row: RegisterRow) -> RegisterView:
    """A register as people and programs see it."""
    definition = row.definition
    return RegisterView(
        id=row.id,
        key=definition.key,
        name=definition.name,
        medium=definition.medium,
        kind=definition.kind,
        unit=definition.unit,
        decimals=definition.decimals,
        obis=definition.obis,
        interval_s=definition.interval_s,
        counting=definition.counting,
        states=definition.states,
        writable=definition.writable,
    )


def reading_view(row: ReadingRow, decimals: int) -> ReadingView:
    """A stored reading as people and programs see it."""
    return ReadingView(
        at=to_datetime(row.at),
        value=None if row.value is None else from_scaled(row.value, decimals),
        quality=Quality(row.quality),
        raw=row.raw,
    )


def latest_view(row: RegisterRow, now_ms: int) -> LatestView:
    """A register with its newest reading; stale when it is later than the interval allows."""
    newest, interval_s = row.newest, row.definition.interval_s
    allowed = max(3 * interval_s * 1000, STALE_AFTER_MS)
    late = newest is None or now_ms - newest.at > allowed
    return LatestView(
        register=register_view(row),
        reading=reading_view(newest, row.definition.decimals) if newest else None,
        stale=interval_s > 0 and late,
    )


def register_in(uow: UnitOfWork, register_id: int) -> RegisterRow:
    """One register, active or not; raises NotFound."""
    found = uow.meters.registers([register_id])
    if not found:
        raise NotFound(f"there is no register {register_id}")
    return found[0]


def _curve(slices: Sequence[Bucket]) -> list[tuple[int, int]]:
    """Two points a slice (one, where it has one reading); the nearer value goes first."""
    curve: list[tuple[int, int]] = []
    for one in slices:
        falls = bool(curve) and abs(curve[-1][1] - one.high) < abs(curve[-1][1] - one.low)
        first, last = (one.high, one.low) if falls else (one.low, one.high)
        curve.append((one.first_at, first))
        if one.last_at > one.first_at:
            curve.append((one.last_at, last))
    return curve


def _meters(uow: UnitOfWork, device_ids: Collection[int] | None, now_ms: int) -> list[MeterView]:
    registers = defaultdict(list)
    for row in uow.meters.registers_of(device_ids):
        registers[row.device_id].append(row)
    gateways = {gateway.id: gateway for gateway in gateway_views(uow, now_ms)}
    return [
        _meter(device, registers[device.id], gateways[device.gateway_id], now_ms)
        for device in uow.meters.devices(device_ids)
        if any(row.definition.counting for row in registers[device.id])
    ]


def _meter(
    device: DeviceRow, rows: Sequence[RegisterRow], gateway: GatewayView, now_ms: int
) -> MeterView:
    registers = tuple(sorted((latest_view(row, now_ms) for row in rows), key=_chief))
    index = _first_of(INDEX_KINDS, registers)
    return MeterView(
        id=device.id,
        key=device.key,
        name=device.name,
        driver=device.driver,
        model=device.model,
        gateway=device.gateway,
        site=device.site,
        site_name=device.site_name,
        timezone=device.timezone,
        medium=(index or registers[0]).register.medium,
        online=answers(gateway, device.key),
        index=index,
        rate=_first_of(RATE_KINDS, registers),
        registers=registers,
    )


def _first_of(kinds: Sequence[Kind], registers: Sequence[LatestView]) -> LatestView | None:
    """The first register of the earliest of ``kinds`` that is there."""
    fitting = [one for one in registers if one.register.kind in kinds]
    return min(fitting, key=lambda one: kinds.index(one.register.kind), default=None)


def _chief(one: LatestView) -> tuple[bool, bool]:
    """Sorts an index before the rest, and what has an OBIS code (a total) before a phase."""
    return not one.register.counting, one.register.obis is None
