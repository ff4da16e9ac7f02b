"""How complete a local day is at every gateway, from what is summed up: for a whole fleet at once.

Readings are counted, not slots: see ``cloud.services.completeness`` for one gateway's exact books.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from cloud.domain.completeness import over_by, slots_of
from cloud.domain.consumption import midnight
from cloud.services.boundaries import zone_of
from cloud.storage.coverage import DayRow
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
            rows: dict[int, list[DayRow]] = defaultdict(list)
            for row in uow.coverage.of_day(timezone, start):
                rows[row.gateway_id].append(row)
            behind = uow.coverage.behind(timezone, start, end)
            found += (
                _view(its, (start, end), behind.get(id_, 0), max(start, kept), now_ms)
                for id_, its in rows.items()
            )
    return sorted(found, key=lambda one: (one.site, one.gateway))


def _day(day: date, timezone: str) -> tuple[int, int]:
    zone = zone_of(timezone)
    try:
        return to_ms(midnight(day, zone)), to_ms(midnight(day + timedelta(days=1), zone))
    except OverflowError as error:
        raise Permanent("the day touches the edge of the calendar") from error


def _view(
    rows: list[DayRow], day: tuple[int, int], behind: int, since: int, now_ms: int
) -> GatewayDayView:
    one = rows[0]
    due = [_due(row, since, day[1], now_ms) for row in rows]
    expected, got = sum(due), sum(_at_most(rows, due))
    return GatewayDayView(
        gateway_id=one.gateway_id,
        gateway=one.gateway,
        site=one.site,
        timezone=one.timezone,
        start=to_datetime(day[0]),
        end=to_datetime(day[1]),
        registers=len(rows),
        whole=sum(row.readings >= n for row, n in zip(rows, due, strict=True)),
        expected=expected,
        got=got,
        missing=expected - got,
        percent=from_scaled(got * 1000 // expected, 1) if expected else None,
        behind=behind,
    )


def _at_most(rows: Iterable[DayRow], due: Iterable[int]) -> Iterable[int]:
    """What one register has too much hides nothing that another lacks."""
    return (min(row.readings, n) for row, n in zip(rows, due, strict=True))


def _due(row: DayRow, since: int, end: int, now_ms: int) -> int:
    until = min(end, over_by(now_ms, row.interval_s))
    slots = slots_of(row.interval_s, row.newest_at, max(since, row.added_at), until)
    return max(0, slots.last - slots.first + 1)
