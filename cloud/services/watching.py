"""Watches metering points: analyses their consumption, and tells what is found as events.

Whoever looks at a point claims it first, for as long as a look counts; so of several processes
one tells. What it has claimed and cannot finish, for whatever reason, is looked at next time, and
holds up no other point.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from cloud.domain.analyses import (
    RECENT,
    SPAN,
    Changes,
    Finding,
    History,
    Hour,
    Readings,
    Severity,
    analyse,
    configure,
    follow,
)
from cloud.domain.consumption import Step
from cloud.domain.installations import Chain, Installation
from cloud.services.boundaries import zone_of
from cloud.services.own_events import tell
from cloud.services.points import consumption
from cloud.services.rollovers import record
from cloud.storage.meters import DeviceRow
from cloud.storage.points import PointRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime, to_ms
from common.errors import Permanent
from common.logs import events
from common.messages.uplink import Event
from common.registers import KINDS

EVERY_MS = 3_600_000
"""A point is looked at so often at most: what is analysed are hours."""

POINTS = 2
"""Looked at in one round: a look takes a tenth of a second or two."""

READINGS = 10_000
"""Of the newest ones so many are looked at for reverse flow: one a minute for ``RECENT``."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """A point that was claimed at ``now_ms``. ``meter`` is the one that it has or had last,
    ``device`` where that is."""

    point: PointRow
    first_at: int
    meter: Installation
    device: DeviceRow
    now_ms: int

    @property
    def now(self) -> datetime:
        return to_datetime(self.now_ms)


def watch(store: Store, now_ms: int) -> int:
    """Look at the metering points whose turn it is, POINTS at most. How many it were.

    Raises Retryable.
    """
    with store.read() as uow:
        due = uow.findings.due(now_ms, EVERY_MS, POINTS)
    looked = 0
    for point_id in due:
        if not store.run(partial(_claim, point_id=point_id, now_ms=now_ms)):
            continue
        looked += 1
        try:
            _look(store, point_id, now_ms)
        except Permanent as error:
            events.warning("metering point %d cannot be analysed: %s", point_id, error)
    return looked


def _claim(uow: UnitOfWork, *, point_id: int, now_ms: int) -> bool:
    return uow.findings.claim(point_id, now_ms, EVERY_MS)


def _look(store: Store, point_id: int, now_ms: int) -> None:
    with store.read() as uow:
        point = uow.points.one(point_id)
        installed = uow.points.installed([point_id])
        known = uow.findings.known(point_id, to_ms(to_datetime(now_ms) - 2 * RECENT))
        if point is None or not installed:
            return
    if any(row.installation.rollover is not None for row in installed):
        store.run(partial(record, point_id=point_id, now_ms=now_ms))
    with store.read() as uow:
        installed = uow.points.installed([point_id])
        first_at = installed[0].installation.start_at
        [device] = uow.meters.devices([installed[-1].device_id])
        watched = _Watched(point, first_at, installed[-1].installation, device, now_ms)
        unit = KINDS[point.kind].unit
        settings = configure(point.medium, unit, uow.findings.settings(point_id))
        readings = _readings(uow, watched) if settings.reverse_flow else None
    zone, hours = zone_of(point.timezone), _hours(store, watched)
    history = History(hours, zone, point.medium, unit, watched.now)
    has_meter = watched.meter.end_at is None
    found = analyse(history, settings, readings) if has_meter else []
    changes = follow(known, found, watched.now)
    store.run(partial(_keep, watched=watched, history=history, changes=changes))


def _hours(store: Store, watched: _Watched) -> list[Hour]:
    """In two parts: there are more than can be asked for at once."""
    start = max(watched.now - SPAN, to_datetime(watched.first_at))
    middle = max(watched.now - SPAN / 2, start)
    ask = partial(consumption, store, watched.point.id, Step.HOUR)
    before = ask(start, middle)
    after = ask(before[-1].end if before else middle, watched.now)
    return [Hour(one.start, one.end, one.value, one.estimated) for one in before + after]


def _readings(uow: UnitOfWork, watched: _Watched) -> Readings:
    """Of the present meter, as it counts for the point; none when none is below another."""
    one = watched.meter
    since = max(one.start_at, to_ms(watched.now - RECENT))
    decimals = Chain([one]).decimals
    if not uow.indexes.fell(one.register_id, since, READINGS):
        return Readings([], decimals)
    factor = int(one.multiplier.scaleb(decimals - one.decimals))
    indices = uow.indexes.newest_indices(one.register_id, since, READINGS)
    return Readings([index._replace(value=index.value * factor) for index in indices], decimals)


def _keep(uow: UnitOfWork, *, watched: _Watched, history: History, changes: Changes) -> None:
    if not uow.findings.claimed(watched.point.id, watched.now_ms):
        return
    told = [_opened(one, watched) for one in changes.opened]
    told += [_closed(one, watched, history) for one in changes.closed]
    if told:
        _tell(uow, watched.device, told)
    for one in (*changes.opened, *changes.lasting, *changes.closed):
        uow.findings.put(watched.point.id, one, watched.now_ms)


def _tell(uow: UnitOfWork, device: DeviceRow, told: list[Event]) -> None:
    """In the newest stream of the meter's gateway."""
    uow.gateways.lock([device.gateway_id])
    stream_id = uow.ledger.newest_stream(device.gateway_id)
    if not stream_id:
        raise Permanent(f"gateway {device.gateway} has no stream to tell in what was found")
    for event in told:
        tell(uow, device.gateway_id, stream_id, event)


def _opened(one: Finding, watched: _Watched) -> Event:
    return _event(one, watched, one.code, one.severity, f"{watched.point.name}: {one.text}")


def _closed(one: Finding, watched: _Watched, history: History) -> Event:
    """For information: nobody has to do anything about what is over."""
    over = history.wall(one.until or watched.now)
    text = f"{watched.point.name}, over since {over}: {one.text}"
    return _event(one, watched, f"{one.code}_over", Severity.INFO, text)


def _event(one: Finding, watched: _Watched, code: str, severity: Severity, text: str) -> Event:
    until = None if one.until is None else one.until.isoformat()
    data = {"point": watched.point.key, "since": one.since.isoformat(), "until": until}
    return Event(
        watched.now_ms, code, severity.value, text, watched.device.key, {**data, **one.evidence}
    )
