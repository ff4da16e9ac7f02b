"""A journal belongs to one computer. On another one, its card copied or moved, it is another
stream: two that go on with the same numbers would each lose what the cloud has of the other.
"""

from common.messages.uplink import Event
from edge_agent.store.journal import Journal
from edge_agent.store.tables import get, put


async def settle_in(journal: Journal, machine: str, now_ms: int) -> Event | None:
    """Have the journal belong to ``machine``; an empty one cannot tell, and changes nothing.

    If it belonged to another, what the cloud has is deleted, so that nothing of it is said twice,
    and a new stream begins; returns the event about that. Raises StorageError.
    """
    if not machine:
        return None
    before = (await journal.write(lambda t: get(t.connection, "machine"))) or ""
    if before == machine:
        return None
    if not before:
        await journal.write(lambda t: put(t.connection, "machine", machine))
        return None
    old = journal.stream
    await journal.renew(machine)
    text = f"the data came from computer {before} to {machine}: stream {old} ends here"
    return Event(now_ms, "journal_moved", "warning", text, data={"stream": journal.stream})
