"""How complete a local day is at every gateway, from what is summed up: for a whole fleet at once.

Readings are counted, not slots: see ``cloud.services.completeness`` for one gateway's exact books.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from operator import eq

from cloud.domain.completeness import due_between, over_by
from cloud.domain.consumption import midnight
from cloud.services.boundaries import zone_of
from cloud.storage.coverage import DayRow, GatewayDay
from cloud.storage.unit_of_work import Store
from common.clock import to_datetime, to_ms
from common.errors import Permanent
from common.reading import from_scaled


@dataclass(frozen=True, slots=True)
class GatewayDayView:
    """The local day ``start`` to ``end`` of a gateway's active registers that promise readings.

    ``expected`` until now; ``got`` are readings with a value, of each register as many as were
    expected at most, as far as they are summed up: ``behind`` hours of it have news that are not.
    ``whole`` is how many of the ``registers`` lack none; ``percent`` is cut off to a tenth.
    """

    gateway_id: int
    gateway: str
    site: str
    timezone: str
    start: datetime
    end: datetime
    registers: int
    whole: int
    expected: int
    got: int
    missing: int
    percent: Decimal | None
    behind: int


def completeness(store: Store, day: date, now_ms: int) -> list[GatewayDayView]:
    """Of every gateway that has such registers, by site and key.

    Raises Permanent for a day at the calendar's edge.
    """
    found: list[GatewayDayView] = []
    with store.read() as uow:
        kept = uow.kept.since().hours
        for timezone in uow.coverage.timezones():
            start, end = _day(day, timezone)
            gateways = uow.coverage.of_day(timezone, start)
            behind = uow.coverage.behind(timezone, start, end)
            until = {
                interval_s: min(end, over_by(now_ms, interval_s))
                for interval_s in {row.interval_s for one in gateways for row in one.registers}
            }
            for one in gateways:
                due = [_due(row, max(start, kept), until[row.interval_s]) for row in one.registers]
                found.append(_view(one, due, (start, end), timezone, behind.get(one.id, 0)))
    return sorted(found, key=lambda one: (one.site, one.gateway))


def _day(day: date, timezone: str) -> tuple[int, int]:
    zone = zone_of(timezone)
    try:
        return to_ms(midnight(day, zone)), to_ms(midnight(day + timedelta(days=1), zone))
    except OverflowError as error:
        raise Permanent("the day touches the edge of the calendar") from error


def _view(
    one: GatewayDay, due: Sequence[int], day: tuple[int, int], timezone: str, behind: int
) -> GatewayDayView:
    # What one register has too much hides nothing that another lacks.
    got = [min(row.readings, n) for row, n in zip(one.registers, due, strict=True)]
    expected, there = sum(due), sum(got)
    return GatewayDayView(
        gateway_id=one.id,
        gateway=one.key,
        site=one.site,
        timezone=timezone,
        start=to_datetime(day[0]),
        end=to_datetime(day[1]),
        registers=len(due),
        whole=sum(map(eq, got, due)),
        expected=expected,
        got=there,
        missing=expected - there,
        percent=from_scaled(there * 1000 // expected, 1) if expected else None,
        behind=behind,
    )


def _due(row: DayRow, since: int, until: int) -> int:
    return due_between(row.interval_s, row.newest_at, max(since, row.added_at), until)
