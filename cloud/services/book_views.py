"""What services give of the books: ledger, losses, rejections, quarantine, completeness."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RangeView:
    """Entries ``first`` to ``last`` of a stream, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class MissingView:
    """Entries that are known to exist and did not come, ``since`` that is known.

    ``held`` says whether the gateway can still have them, as far as it said.
    """

    first: int
    last: int
    since: datetime
    held: bool


@dataclass(frozen=True, slots=True)
class LossView:
    """Entries that will never come, and why; ``last`` is None when it is all from ``first`` on.

    They were measured between ``start`` and ``end``, as far as can be told.
    """

    first: int
    last: int | None
    reason: str
    start: datetime
    end: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class StreamView:
    """A stream's books. ``settled`` are the ranges that are committed, rejected or lost."""

    stream: str
    current: bool
    since: datetime
    closed_at: datetime | None
    settled: tuple[RangeView, ...]
    missing: tuple[MissingView, ...]
    losses: tuple[LossView, ...]
    committed: int
    lost: int
    rejected: int


@dataclass(frozen=True, slots=True)
class RejectionView:
    """An entry that can never be stored; ``body`` is its beginning."""

    stream_id: int
    stream: str
    seq: int
    reason: str
    body: str
    size: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class QuarantineView:
    """A message that could not be taken apart.

    ``payload`` is its beginning, as it came; ``text`` the same as text, where it is some.
    """

    id: int
    topic: str
    reason: str
    size: int
    payload: bytes
    text: str | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class CompletenessView:
    """How many readings were expected from ``start`` (inclusive) to ``end``.

    ``got`` and ``missing`` add up to ``expected``. ``estimated`` is the part of ``got`` with a
    value that is not good; ``failing``, ``lost`` and ``waiting`` are the parts of ``missing``
    whose cause is known: the device gave no value, the ledger says that it is lost, or it is still
    on the gateway, as far as that is known.
    """

    start: datetime
    end: datetime
    expected: int
    got: int
    estimated: int
    missing: int
    failing: int
    lost: int
    waiting: int


@dataclass(frozen=True, slots=True)
class RegisterCompletenessView:
    register_id: int
    key: str
    name: str
    interval_s: int
    days: tuple[CompletenessView, ...]


@dataclass(frozen=True, slots=True)
class DeviceCompletenessView:
    """A device; ``days`` are the sums over its registers."""

    key: str
    name: str
    days: tuple[CompletenessView, ...]
    registers: tuple[RegisterCompletenessView, ...]


@dataclass(frozen=True, slots=True)
class GatewayCompletenessView:
    """A gateway; ``days`` are the sums over its devices."""

    gateway: str
    timezone: str
    days: tuple[CompletenessView, ...]
    devices: tuple[DeviceCompletenessView, ...]
