"""Which of the readings that were due are there. Questions only.

Times are epoch milliseconds. What is due each ``width`` ms is counted in slots of that width:
slot n begins at ``origin`` + n * ``width``.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, case, func, literal, select

from cloud.domain.completeness import BLOCK, Run, Slots, runs_of
from cloud.storage.packed import packed, unpacked
from cloud.storage.tables import (
    daily,
    device,
    event,
    gateway,
    latest,
    mark,
    reading,
    register,
    site,
)
from cloud.storage.upsert import is_sqlite
from common.reading import Quality


class DayRow(NamedTuple):
    """A register that promises readings, and how many with a value are summed up of a day.
    ``newest_at`` is 0 where there is no reading."""

    interval_s: int
    added_at: int
    newest_at: int
    readings: int


@dataclass(frozen=True, slots=True)
class GatewayDay:
    """A gateway, and its registers on a day."""

    id: int
    key: str
    site: str
    registers: list[DayRow]


class Coverage:
    """Runs of slots with readings, and when devices failed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def runs(self, register_id: int, slots: Slots) -> list[Run]:
        """The slots that have a reading, in order; neighbours that are worth the same are one run.

        The database gives a row of bits for BLOCK slots: as cheap as counting the readings.
        """
        at, value, wide = reading.c.at, reading.c.value, BLOCK * slots.width
        into = (at - slots.origin) % wide
        block = (at - slots.origin - into).label("block")  # exact, where a division would round
        bit = literal(1).bitwise_lshift((into - into % slots.width) // slots.width)
        good = value.is_not(None) & (reading.c.quality == int(Quality.GOOD))
        doubtful = value.is_not(None) & (reading.c.quality != int(Quality.GOOD))
        query = (
            select(
                block,
                *(
                    func.coalesce(func.sum(case((which, bit)).distinct()), 0)
                    for which in (value.is_(None), doubtful, good)
                ),
            )
            .where(reading.c.register_id == register_id)
            .where(at >= slots.start_of(slots.first), at < slots.start_of(slots.last + 1))
            .group_by(block)
            .order_by(block)
        )
        return runs_of(
            (int(start) // slots.width, [int(bits) for bits in row])
            for start, *row in self._connection.execute(query)
        )

    def timezones(self) -> list[str]:
        """Of all sites, each once."""
        return list(self._connection.scalars(select(site.c.timezone).distinct()))

    def of_day(self, timezone: str, start: int) -> list[GatewayDay]:
        """The active registers at sites of this time zone that promise readings, with what is
        summed up of the local day that begins at ``start``; by gateway."""
        its = (gateway.c.id, gateway.c.key, site.c.key)
        day = (
            register.c.interval_s,
            register.c.added_at,
            func.coalesce(latest.c.at, 0),
            func.coalesce(daily.c.readings, 0),
        )
        query = (
            select(*its)
            .select_from(site)
            .join(gateway, gateway.c.site_id == site.c.id)
            .join(device, device.c.gateway_id == gateway.c.id)
            .join(register, register.c.device_id == device.c.id)
            .outerjoin(latest, latest.c.register_id == register.c.id)
            .outerjoin(daily, (daily.c.register_id == register.c.id) & (daily.c.at == start))
            .where(site.c.timezone == timezone, device.c.active, register.c.active)
            .where(register.c.interval_s > 0)
        )
        if is_sqlite(self._connection):
            found: dict[tuple[int, str, str], list[DayRow]] = defaultdict(list)
            for id_, key, place, *row in self._connection.execute(query.add_columns(*day)):
                found[id_, key, place].append(DayRow(*row))
            return [GatewayDay(*one, registers) for one, registers in found.items()]
        texts = query.add_columns(packed(day)).group_by(*its)
        return [
            GatewayDay(id_, key, place, unpacked([text], DayRow))
            for id_, key, place, text in self._connection.execute(texts)
        ]

    def behind(self, timezone: str, start: int, end: int) -> dict[int, int]:
        """By gateway at sites of this time zone: how many of the registers' hours that begin from
        ``start`` to ``end`` are still to be summed up."""
        query = (
            select(gateway.c.id, func.count())
            .select_from(site)
            .join(gateway, gateway.c.site_id == site.c.id)
            .join(device, device.c.gateway_id == gateway.c.id)
            .join(register, register.c.device_id == device.c.id)
            .join(mark, mark.c.register_id == register.c.id)
            .where(site.c.timezone == timezone, mark.c.at >= start, mark.c.at < end)
            .group_by(gateway.c.id)
        )
        return {id_: n for id_, n in self._connection.execute(query)}  # noqa: C416

    def added_at(self, register_ids: list[int]) -> dict[int, int]:
        """By register: when a catalog first had it; 0 when that is not known."""
        query = select(register.c.id, register.c.added_at).where(register.c.id.in_(register_ids))
        return {id_: at for id_, at in self._connection.execute(query)}  # noqa: C416

    def failures(self, gateway_id: int, start: int, end: int) -> list[tuple[str, int, bool]]:
        """(device, time, whether it began to fail) of what the gateway's devices told, in order.

        Of each device also what it told last before ``start``, as far back as LOOK_BACK_MS.
        """
        query = (
            select(event.c.device, event.c.at, event.c.code == "device_failing")
            .where(event.c.gateway_id == gateway_id, event.c.device != "")
            .where(event.c.code.in_(("device_failing", "device_ok")))
            .where(event.c.at >= start - LOOK_BACK_MS, event.c.at < end)
            .order_by(event.c.at, event.c.stream_id, event.c.seq)
        )
        return [(key, at, bool(bad)) for key, at, bad in self._connection.execute(query)]

    def devices_of(self, gateway_id: int) -> list[int]:
        """The ids of the active devices of a gateway, by key."""
        query = (
            select(device.c.id)
            .where(device.c.gateway_id == gateway_id, device.c.active)
            .order_by(device.c.key)
        )
        return list(self._connection.scalars(query))


LOOK_BACK_MS = 31 * 86_400_000
"""A device that has been failing for longer is found silent, not failing."""
