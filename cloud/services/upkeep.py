"""What the database needs from time to time: room for the months to come."""

from cloud.storage.unit_of_work import Store
from common.logs import events


def make_room(store: Store, now_ms: int) -> None:
    """Have parts of the tables for the next months."""
    with store.begin() as uow:
        made = uow.partitions.extend(now_ms)
    if made:
        events.info("made room for: %s", ", ".join(made))
