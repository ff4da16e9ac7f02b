"""Readings of a metering point's meters that count for no point: from before a meter was installed,
or after it was removed. An index that grows there is consumption that nobody is billed for."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from cloud.services.points import row_of
from cloud.storage.points import InstalledRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime
from common.reading import from_scaled

MOST = 1_000
"""So many readings of a span are counted, and no more."""


class When(StrEnum):
    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class UncountedView:
    """Readings from before ``installation_id`` began, or after it ended: ``readings`` of them,
    MOST at most; the index grew from ``first_index`` to ``last_index``."""

    installation_id: int
    device: str
    when: When
    readings: int
    first: datetime
    last: datetime
    first_index: Decimal
    last_index: Decimal
    text: str


def uncounted(store: Store, point_id: int, now_ms: int) -> list[UncountedView]:
    """What was read of the point's meters while they were installed nowhere, in order of time.

    What a meter that hangs elsewhere reads there is that point's. Raises NotFound.
    """
    found = []
    with store.read() as uow:
        row_of(uow, point_id)
        for row in uow.points.installed([point_id]):
            one = row.installation
            others = [
                other.installation
                for other in uow.points.installed_register(one.register_id)
                if other.installation.id != one.id
            ]
            ends = [other.end_at for other in others if other.end_at is not None]
            begun = max((end for end in ends if end <= one.start_at), default=0)
            found.append(_look(uow, row, When.BEFORE, begun, one.start_at))
            if one.end_at is not None:
                starts = (other.start_at for other in others)
                ended = min((at for at in starts if at >= (one.end_at or 0)), default=now_ms)
                found.append(_look(uow, row, When.AFTER, one.end_at + 1, ended))
    return [one for one in found if one is not None]


def _look(
    uow: UnitOfWork, row: InstalledRow, when: When, start: int, end: int
) -> UncountedView | None:
    one = row.installation
    some = uow.meters.values(one.register_id, start, end, MOST)
    if not some:
        return None
    [edge] = uow.indexes.boundaries(one.register_id, [end - 1])
    first_at, first_value = some[0]
    last = edge.before
    last_at, last_value = (last.at, last.value) if last else some[-1]
    count = f"{len(some)}" if len(some) < MOST else f"{MOST} and more"
    first_index = from_scaled(first_value, one.decimals)
    last_index = from_scaled(last_value, one.decimals)
    return UncountedView(
        installation_id=one.id,
        device=row.device,
        when=when,
        readings=len(some),
        first=to_datetime(first_at),
        last=to_datetime(last_at),
        first_index=first_index,
        last_index=last_index,
        text=_text(count, row, when, last_value > first_value),
    )


def _text(count: str, row: InstalledRow, when: When, grew: bool) -> str:
    one = row.installation
    if when is When.BEFORE:
        text = f"{count} readings before {row.device} was installed are not counted"
        advice = "see whether it was installed earlier than was said"
    else:
        text = f"{count} readings since {row.device} was removed are not counted"
        advice = "install it where it counts now, or take it off the gateway"
    at = to_datetime(one.start_at if when is When.BEFORE else one.end_at or 0)
    told = f"{text} ({at:%Y-%m-%d %H:%M} UTC)"
    return f"{told}; its index grew: {advice}" if grew else told
