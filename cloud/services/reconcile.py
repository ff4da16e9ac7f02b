"""Goes after what is missing: asks the gateway again, and tells people when that is in vain.

Of each stream the first gap is watched, since a gateway sends the oldest first: as long as its
backlog comes, the first gap grows smaller and nobody is bothered.
"""

from dataclasses import replace
from functools import partial
from itertools import groupby

from cloud.domain.gaps import Gap
from cloud.services.commands import Publication
from cloud.services.gateways import SEEN_WITHIN_MS
from cloud.services.own_events import tell
from cloud.storage.gaps import GapRow
from cloud.storage.gateways import GatewayRow
from cloud.storage.ledger import StreamRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common import topics
from common.clock import to_datetime
from common.messages.downlink import Resume
from common.messages.envelope import encode
from common.messages.uplink import Event

OPENED, CLOSED = "journal_gap", "journal_gap_closed"

WAIT_MS = 60_000
"""How long nothing must have come of a gap before the gateway is asked; twice as long each time."""

LONGEST_WAIT_MS = 3_600_000
ASKS = 3
"""After so many times in vain there is an alarm: a quarter of an hour."""

OLD_WAIT_MS = 900_000
"""The same for a stream that the gateway has ended, and of which nothing can be asked."""

NAMED_GAPS = 20


def reconcile(store: Store, now_ms: int) -> list[Publication]:
    """Look at all streams that lack something; returns what to ask for, after the commits.

    Any number of processes may do so at the same time. Raises Retryable.
    """
    with store.read() as uow:
        suspects = uow.gaps.suspects()
    found: list[Publication] = []
    for gateway_id, streams in groupby(suspects, key=lambda one: one.gateway_id):
        ids = [one.stream_id for one in streams]
        found += store.run(partial(_look, gateway_id=gateway_id, stream_ids=ids, now_ms=now_ms))
    return found


def _look(
    uow: UnitOfWork, *, gateway_id: int, stream_ids: list[int], now_ms: int
) -> list[Publication]:
    [gateway] = uow.gateways.lock([gateway_id])
    current = uow.ledger.newest_stream(gateway_id)
    watch = _Watch(uow, gateway, now_ms)
    found = []
    for stream_id in stream_ids:
        row = uow.ledger.stream(stream_id)
        if watch.look(row, current=stream_id == current):
            message = Resume(row.stream, list(row.committed), now_ms)
            found.append(Publication(topics.down(gateway.key, "resume"), encode(message)))
    return found


class _Watch:
    """One look at the streams of a gateway, which is locked."""

    def __init__(self, uow: UnitOfWork, gateway: GatewayRow, now_ms: int) -> None:
        self._uow = uow
        self._now_ms = now_ms
        seen_at = gateway.seen_at or 0
        self._online = gateway.online and now_ms - seen_at <= SEEN_WITHIN_MS

    def look(self, row: StreamRow, *, current: bool) -> bool:
        """Note how the stream's first gap is doing; returns whether to ask for it."""
        gaps, seen = row.gaps(), self._uow.gaps.get(row.id)
        if seen and seen.told and (not gaps or gaps[0].first > seen.last):
            self._tell_closed(row, seen)
            seen = replace(seen, told=False)
        if not gaps:
            self._uow.gaps.close(row.id)
            return False
        first, last = gaps[0].first, gaps[0].last
        if seen is None or (first, last) != (seen.first, seen.last):
            told = seen is not None and seen.told
            self._uow.gaps.put(GapRow(row.id, first, last, self._now_ms, told=told))
            return False
        waited = self._now_ms - seen.waits_since
        if not current:
            if waited >= OLD_WAIT_MS and not seen.told:
                self._tell_open(row, gaps, "the gateway has ended this stream")
                self._uow.gaps.put(replace(seen, told=True))
            return False
        if not self._online:
            if waited >= WAIT_MS // 2:  # when it comes back it has some time for itself
                self._uow.gaps.put(replace(seen, waits_since=self._now_ms))
            return False
        if waited < min(WAIT_MS << min(seen.asked, 10), LONGEST_WAIT_MS):
            return False
        if seen.asked >= ASKS and not seen.told:
            self._tell_open(row, gaps, f"asked for {seen.asked} times in vain")
            seen = replace(seen, told=True)
        self._uow.gaps.put(replace(seen, waits_since=self._now_ms, asked=seen.asked + 1))
        return True

    def _tell_open(self, row: StreamRow, gaps: list[Gap], why: str) -> None:
        named = ", ".join(f"{gap.first}..{gap.last}" for gap in gaps[:NAMED_GAPS])
        more = f" and {len(gaps) - NAMED_GAPS} more ranges" if len(gaps) > NAMED_GAPS else ""
        since = to_datetime(min(gap.since for gap in gaps)).isoformat(timespec="seconds")
        text = f"entries {named}{more} of stream {row.stream} are missing since {since}: {why}"
        data = {"first": gaps[0].first, "last": gaps[-1].last}
        self._tell(row, OPENED, text, data | {"missing": sum(gap.count for gap in gaps)})

    def _tell_closed(self, row: StreamRow, seen: GapRow) -> None:
        text = f"entries {seen.first}..{seen.last} of stream {row.stream} are missing no more"
        self._tell(row, CLOSED, text, {"first": seen.first, "last": seen.last})

    def _tell(self, row: StreamRow, code: str, text: str, data: dict[str, int]) -> None:
        severity = "alarm" if code == OPENED else "info"
        event = Event(self._now_ms, code, severity, text, data={"stream": row.stream, **data})
        tell(self._uow, row.gateway_id, row.id, event)
