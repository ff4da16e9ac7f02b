"""Which of the readings that were due are there. Questions only.

Times are epoch milliseconds. What is due each ``width`` ms is counted in slots of that width:
slot n begins at ``origin`` + n * ``width``.
"""

from sqlalchemy import Connection, case, func, literal, select

from cloud.domain.completeness import BLOCK, Run, Slots, runs_of
from cloud.storage.tables import device, event, reading, register
from common.reading import Quality


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
