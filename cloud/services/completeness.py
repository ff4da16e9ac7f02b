"""How many of the readings that were due are there: per gateway, device, register and local day."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from cloud.domain.completeness import (
    Cause,
    Count,
    Span,
    counts,
    failing_spans,
    merged,
    over_by,
    slots_of,
)
from cloud.domain.consumption import Step, boundaries
from cloud.services.book_views import (
    CompletenessView,
    DeviceCompletenessView,
    GatewayCompletenessView,
    RegisterCompletenessView,
)
from cloud.services.boundaries import zone_of
from cloud.services.gateways import gateway_views
from cloud.services.metering import register_in
from cloud.services.views import GatewayView
from cloud.storage.meters import DeviceRow, RegisterRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime, to_ms
from common.errors import NotFound, Permanent

MAX_DAYS = 400
"""The most days of one question about a register."""

MAX_SLOTS = 5_000_000
"""The most readings that are looked at for one answer."""


def of_gateway(
    store: Store, gateway_id: int, start: datetime, end: datetime, now_ms: int
) -> GatewayCompletenessView:
    """All active registers of a gateway's active devices that promise readings.

    Each local day of the site that overlaps start..end (aware), whole. Raises NotFound; Permanent
    when that are too many days or readings at once.
    """
    with store.read() as uow:
        found = gateway_views(uow, now_ms, gateway_id)
        if not found:
            raise NotFound(f"there is no gateway {gateway_id}")
        ids = uow.coverage.devices_of(gateway_id)
        devices = uow.meters.devices(ids)
        timezone = uow.books.timezone(gateway_id)
        question = _Question(uow, found[0], timezone, (start, end), now_ms)
        registers = [row for row in uow.meters.registers_of(ids) if row.definition.interval_s > 0]
        question.check_size(registers)
        views = [
            question.device(device, [row for row in registers if row.device_id == device.id])
            for device in devices
        ]
        views = [view for view in views if view.registers]
        return GatewayCompletenessView(
            gateway=found[0].key,
            timezone=timezone,
            days=question.sums([view.days for view in views]),
            devices=tuple(views),
        )


def of_register(
    store: Store, register_id: int, start: datetime, end: datetime, now_ms: int
) -> RegisterCompletenessView:
    """As ``of_gateway``, but for one register, which may be out of use."""
    with store.read() as uow:
        register = register_in(uow, register_id)
        [device] = uow.meters.devices([register.device_id])
        [gateway] = gateway_views(uow, now_ms, device.gateway_id)
        question = _Question(uow, gateway, device.timezone, (start, end), now_ms)
        question.check_size([register])
        return question.register(register, device.key)


class _Question:
    """Days of one gateway, and what is known about why readings of them may be missing."""

    def __init__(
        self,
        uow: UnitOfWork,
        gateway: GatewayView,
        timezone: str,
        span: tuple[datetime, datetime],
        now_ms: int,
    ) -> None:
        self._uow = uow
        self._now_ms = now_ms
        instants = boundaries(Step.DAY, *span, zone_of(timezone))
        if len(instants) > MAX_DAYS + 1:
            raise Permanent(f"more than {MAX_DAYS} days; ask for less at a time")
        self._days = [to_ms(instant) for instant in instants]
        start, end = (self._days[0], self._days[-1]) if self._days else (0, 0)
        losses = uow.books.loss_spans(gateway.id, start, end)
        causes = [Span(first, last, Cause.LOST) for first, last in losses]
        waiting = _waiting_since(gateway)
        if waiting is not None and waiting < now_ms:
            causes.append(Span(waiting, now_ms, Cause.WAITING))
        self._causes = causes
        self._told = uow.coverage.failures(gateway.id, start, end)

    def check_size(self, registers: Sequence[RegisterRow]) -> None:
        """Raises Permanent when there is too much to look at."""
        if not self._days:
            return
        seconds = (self._days[-1] - self._days[0]) // 1000
        due = sum(seconds // max(1, row.definition.interval_s) for row in registers)
        if due > MAX_SLOTS:
            raise Permanent(f"these are {due} readings; ask for fewer days at a time")

    def device(self, row: DeviceRow, registers: Sequence[RegisterRow]) -> DeviceCompletenessView:
        """A device with these registers."""
        views = tuple(self.register(one, row.key) for one in registers)
        days = self.sums([view.days for view in views])
        return DeviceCompletenessView(row.key, row.name, days, views)

    def register(self, row: RegisterRow, device: str) -> RegisterCompletenessView:
        """A register of this device."""
        interval_s = row.definition.interval_s
        return RegisterCompletenessView(
            row.id, row.definition.key, row.definition.name, interval_s, self._view(row, device)
        )

    def _view(self, row: RegisterRow, device: str) -> tuple[CompletenessView, ...]:
        interval_s = row.definition.interval_s
        if interval_s == 0 or not self._days:
            return self._said([Count()] * (len(self._days) - 1))
        newest_at = row.newest.at if row.newest else None
        over = over_by(self._now_ms, interval_s)
        if not row.active:
            over = min(over, newest_at + 1 if newest_at is not None else 0)
        kept = self._uow.kept.since().readings
        start = max(self._days[0], self._uow.coverage.added_at([row.id])[row.id], kept)
        slots = slots_of(interval_s, newest_at, start, min(self._days[-1], over))
        told = [(at, bad) for key, at, bad in self._told if key == device]
        causes = merged([*self._causes, *failing_spans(told, self._now_ms)])
        runs = self._uow.coverage.runs(row.id, slots)
        return self._said(counts(self._days, slots, runs, causes))

    def sums(self, parts: Sequence[tuple[CompletenessView, ...]]) -> tuple[CompletenessView, ...]:
        """The sum of each day."""
        totals = [Count()] * max(0, len(self._days) - 1)
        for days in parts:
            totals = [total + _count(day) for total, day in zip(totals, days, strict=True)]
        return self._said(totals)

    def _said(self, found: Sequence[Count]) -> tuple[CompletenessView, ...]:
        return tuple(
            CompletenessView(
                start=to_datetime(start),
                end=to_datetime(end),
                expected=count.expected,
                got=count.got,
                estimated=count.estimated,
                missing=count.missing,
                failing=count.failing,
                lost=count.lost,
                waiting=count.waiting,
            )
            for (start, end), count in zip(pairwise(self._days), found, strict=True)
        )


def _count(day: CompletenessView) -> Count:
    return Count(
        day.expected, day.got, day.estimated, day.missing, day.failing, day.lost, day.waiting
    )


def _waiting_since(gateway: GatewayView) -> int | None:
    """From when on (ms) what was measured may still be on the gateway."""
    times = []
    if gateway.queued and gateway.oldest_at:
        times.append(to_ms(gateway.oldest_at))
    if not gateway.online and gateway.seen_at:
        times.append(to_ms(gateway.seen_at))
    return min(times, default=None)
