"""What the registers that are installed now said last: all of them in one look."""

from sqlalchemy import Connection, select

from cloud.storage.meters import ReadingRow
from cloud.storage.tables import installation, latest, site


class Newest:
    """Questions about the present. Nothing here writes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_installed(self) -> dict[int, ReadingRow]:
        """By register, of those that count for a metering point now."""
        query = (
            select(latest)
            .join(installation, installation.c.register_id == latest.c.register_id)
            .where(installation.c.end_at.is_(None))
        )
        return {
            row.register_id: ReadingRow(row.at, row.value, row.quality, row.raw)
            for row in self._connection.execute(query)
        }

    def site_names(self) -> dict[str, str]:
        """By key."""
        query = select(site.c.key, site.c.name)
        return {row.key: row.name for row in self._connection.execute(query)}
