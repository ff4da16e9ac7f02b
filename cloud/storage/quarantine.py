"""Messages that could not be taken apart, kept for a person to look at."""

from sqlalchemy import Connection, delete, insert

from cloud.storage.tables import quarantine

KEPT_BYTES = 65_536
KEPT_MESSAGES = 2_000
"""The newest ones; more would let a broken gateway fill the disk."""


class Quarantine:
    """Quarantined messages in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, topic: str, payload: bytes, reason: str, received_at: int) -> None:
        """Keep the beginning of a message, with the reason; the oldest ones make room."""
        result = self._connection.execute(
            insert(quarantine).values(
                topic=topic[:300],
                reason=reason[:2000],
                size=len(payload),
                payload=payload[:KEPT_BYTES],
                received_at=received_at,
            )
        )
        key = result.inserted_primary_key
        if key is not None:
            self._connection.execute(
                delete(quarantine).where(quarantine.c.id <= key[0] - KEPT_MESSAGES)
            )
