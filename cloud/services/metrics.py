"""What this process has done since it started: plain counters, for ``/metrics`` to show."""

from threading import Lock


class Counter:
    """A number that only grows; safe to add to from any thread."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._value = 0
        self._lock = Lock()

    def add(self, amount: int = 1) -> None:
        """Count ``amount`` (0 or more) of them."""
        with self._lock:
            self._value += amount

    @property
    def value(self) -> int:
        return self._value


entries_committed = Counter("entries_committed", "Journal entries committed to the database")
readings_stored = Counter("readings_stored", "Readings newly stored")
duplicates = Counter("duplicates", "Journal entries that had been committed before")
entries_rejected = Counter("entries_rejected", "Journal entries that can never be stored")
entries_lost = Counter("entries_lost", "Journal entries that gateways said are lost")
messages_quarantined = Counter("messages_quarantined", "Messages that could not be taken apart")
commands_issued = Counter("commands_issued", "Commands issued by people and rules")

COUNTERS = (
    entries_committed,
    readings_stored,
    duplicates,
    entries_rejected,
    entries_lost,
    messages_quarantined,
    commands_issued,
)
