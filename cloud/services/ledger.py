"""The books of a gateway: what came, what is missing and since when, what is lost and why."""

from cloud.services.book_views import (
    LossView,
    MissingView,
    QuarantineView,
    RangeView,
    RejectionView,
    StreamView,
)
from cloud.storage.books import QuarantineRow, StreamFacts
from cloud.storage.ledger import StreamRow
from cloud.storage.losses import LossRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime
from common.errors import NotFound, Undecodable
from common.messages.envelope import inflate

MAX_RANGES = 1_000
"""The most ranges of one kind that are shown of one stream: the newest."""

SHOWN_BYTES = 4_096
"""Of an entry's body, which may have a megabyte."""


def streams(store: Store, gateway_id: int) -> list[StreamView]:
    """The books of a gateway's streams, the newest stream first. Raises NotFound."""
    with store.read() as uow:
        _check_gateway(uow, gateway_id)
        facts = uow.books.facts(gateway_id)
        current = uow.ledger.newest_stream(gateway_id)
        rows = uow.ledger.streams_of(gateway_id)
        return [
            _stream_view(
                row, facts[row.id], uow.books.losses(row.id, MAX_RANGES)[::-1], row.id == current
            )
            for row in reversed(rows)
        ]


def losses(
    store: Store, gateway_id: int, stream: str, limit: int = 100, before: int | None = None
) -> list[LossView]:
    """What is lost of a gateway's stream, by number downwards; at most ``limit``.

    With ``before`` only what begins before that number. Raises NotFound.
    """
    with store.read() as uow:
        rows = uow.ledger.streams([gateway_id], [stream])
        if not rows:
            raise NotFound(f"gateway {gateway_id} has no stream {stream}")
        return [_loss_view(one) for one in uow.books.losses(rows[0].id, limit, before)]


def rejections(
    store: Store, gateway_id: int, limit: int = 100, after: tuple[int, int] | None = None
) -> list[RejectionView]:
    """What a gateway said that can never be stored, the newest stream first, by number downwards.

    At most ``limit``; with ``after``, a stream's id and a number, those that come after that one.
    Raises NotFound.
    """
    with store.read() as uow:
        _check_gateway(uow, gateway_id)
        rows = uow.books.rejections(gateway_id, limit, SHOWN_BYTES, after)
    return [
        RejectionView(
            stream_id=row.stream_id,
            stream=row.stream,
            seq=row.seq,
            reason=row.reason,
            body=bytes(row.body).decode("utf-8", "replace"),
            size=row.size,
            received_at=to_datetime(row.received_at),
        )
        for row in rows
    ]


def quarantined(store: Store, limit: int = 20, before: int | None = None) -> list[QuarantineView]:
    """Messages that could not be taken apart, newest first; at most ``limit``.

    With ``before`` only those that were put aside before the message of that id.
    """
    with store.read() as uow:
        rows = uow.books.quarantined(limit, before)
    return [
        QuarantineView(
            id=row.id,
            topic=row.topic,
            reason=row.reason,
            size=row.size,
            payload=bytes(row.payload),
            text=_text(row),
            received_at=to_datetime(row.received_at),
        )
        for row in rows
    ]


def _check_gateway(uow: UnitOfWork, gateway_id: int) -> None:
    if not uow.overview.gateway_exists(gateway_id):
        raise NotFound(f"there is no gateway {gateway_id}")


def _stream_view(
    row: StreamRow, facts: StreamFacts, losses: list[LossRow], current: bool
) -> StreamView:
    missing = [
        MissingView(gap.first, gap.last, to_datetime(gap.since), gap.last >= row.first_kept)
        for gap in row.gaps()
    ]
    return StreamView(
        stream=row.stream,
        current=current,
        since=to_datetime(facts.created_at),
        closed_at=None if facts.closed_at is None else to_datetime(facts.closed_at),
        settled=tuple(RangeView(*one) for one in list(row.committed)[-MAX_RANGES:]),
        missing=tuple(missing[-MAX_RANGES:]),
        losses=tuple(_loss_view(one) for one in losses),
        committed=row.committed.count() - facts.lost,
        lost=facts.lost,
        rejected=facts.rejected,
    )


def _loss_view(row: LossRow) -> LossView:
    return LossView(
        first=row.first,
        last=row.last,
        reason=row.reason,
        start=to_datetime(row.start_at),
        end=to_datetime(row.end_at),
        received_at=to_datetime(row.received_at),
    )


def _text(row: QuarantineRow) -> str | None:
    """The message as text; None when it is cut off or none."""
    try:
        return inflate(bytes(row.payload)).decode()
    except (Undecodable, UnicodeDecodeError):
        return None
