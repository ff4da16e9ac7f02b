"""What people say against the readings of registers. Written once; what is withdrawn stays."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from cloud.domain.consumption import HOUR_MS, Index
from cloud.domain.corrections import Corrected, Correction
from cloud.storage.tables import correction, reading, register


@dataclass(frozen=True, slots=True)
class CorrectionRow:
    """A correction of a register, by whom and why, and whether it still counts."""

    id: int
    register_id: int
    correction: Correction
    made_at: int
    made_by: str
    reason: str
    withdrawn_at: int | None = None
    withdrawn_by: str | None = None
    withdrawn_reason: str | None = None


class Corrections:
    """Corrections in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self, register_id: int) -> None:
        """Nobody else corrects the register until the end of this transaction."""
        its = select(register.c.id).where(register.c.id == register_id)
        self._connection.execute(its.with_for_update())

    def add(self, row: CorrectionRow) -> int:
        """The new one's id; that of ``row`` is not looked at."""
        values = {
            "register_id": row.register_id,
            "start_at": row.correction.start,
            "end_at": row.correction.end,
            "value": row.correction.value,
            "made_at": row.made_at,
            "made_by": row.made_by,
            "reason": row.reason,
        }
        return int(self._connection.execute(insert(correction).values(values)).lastrowid)

    def withdraw(self, id_: int, at: int, by: str, reason: str) -> None:
        """It counts no more."""
        self._connection.execute(
            update(correction)
            .where(correction.c.id == id_)
            .values(withdrawn_at=at, withdrawn_by=by, withdrawn_reason=reason)
        )

    def of(self, register_id: int) -> list[CorrectionRow]:
        """All of a register, by what they correct."""
        query = (
            select(correction)
            .where(correction.c.register_id == register_id)
            .order_by(correction.c.start_at, correction.c.id)
        )
        return [
            CorrectionRow(id_, register_id, Correction(start, end, value), *rest)
            for id_, register_id, start, end, value, *rest in self._connection.execute(query)
        ]

    def hours(self, register_id: int, start: int, end: int) -> set[int]:
        """When the hours begin that have readings from ``start`` to before ``end``."""
        at = reading.c.at
        begins = (at - at % HOUR_MS).label("begins")
        query = (
            select(begins)
            .where(reading.c.register_id == register_id, at >= start, at < end)
            .distinct()
        )
        return set(self._connection.scalars(query))

    def counted(
        self, register_ids: Collection[int], start: int, end: int
    ) -> dict[int, list[Index]]:
        """What counts from ``start`` to ``end``, in order, by register, of those that were ever
        corrected."""
        found = {}
        for register_id, its in self.by_register(register_ids).items():
            query = (
                select(reading.c.at, reading.c.value, reading.c.quality)
                .where(reading.c.register_id == register_id, reading.c.value.is_not(None))
                .where(reading.c.at >= start, reading.c.at < end)
            )
            readings = [Index(*row) for row in self._connection.execute(query)]
            found[register_id] = its.applied(readings, start, end)
        return found

    def by_register(self, register_ids: Collection[int]) -> dict[int, Corrected]:
        """What counts of the registers that were ever corrected."""
        query = select(
            correction.c.register_id,
            correction.c.start_at,
            correction.c.end_at,
            correction.c.value,
            correction.c.withdrawn_at,
        ).where(correction.c.register_id.in_(register_ids))
        found: dict[int, list[Correction]] = defaultdict(list)
        for register_id, start, end, value, withdrawn_at in self._connection.execute(query):
            its = found[register_id]
            if withdrawn_at is None:
                its.append(Correction(start, end, value))
        return {register_id: Corrected(its) for register_id, its in found.items()}
