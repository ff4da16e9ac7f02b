"""Who changed what that consumption and money depend on. Written once, never altered."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from cloud.storage.tables import audit


@dataclass(frozen=True, slots=True)
class AuditRow:
    """``subject`` is what it was done to (``point:12``); ``detail`` a JSON object."""

    at: int
    by: str
    action: str
    subject: str
    reason: str
    detail: str


class Audit:
    """The audit trail in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, row: AuditRow) -> None:
        self._connection.execute(
            insert(audit).values(
                at=row.at,
                by=row.by,
                action=row.action,
                subject=row.subject,
                reason=row.reason,
                detail=row.detail,
            )
        )

    def of(self, subject: str, limit: int) -> list[AuditRow]:
        """What was done to ``subject``, newest first."""
        query = (
            select(
                audit.c.at,
                audit.c.by,
                audit.c.action,
                audit.c.subject,
                audit.c.reason,
                audit.c.detail,
            )
            .where(audit.c.subject == subject)
            .order_by(audit.c.at.desc(), audit.c.id.desc())
            .limit(limit)
        )
        return [AuditRow(*row) for row in self._connection.execute(query)]
