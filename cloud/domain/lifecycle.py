"""The life of a command: its states, and one table of what may follow what.

Reports come in any order (a result before ``accepted``, or before ``sent`` was written down).
A command that never left the cloud expires; one that left, and of which nothing was heard, is
unconfirmed, and a late result still settles it. A command that the cloud let expire may have
been carried out all the same when the cloud was restored from a backup: the device is believed.
"""

from collections.abc import Iterator
from enum import StrEnum

GRACE_MS = 30_000
"""How long after its expiry a result is waited for, before a command is unconfirmed."""


class State(StrEnum):
    """How far a command is."""

    PENDING = "pending"
    SENT = "sent"
    ACCEPTED = "accepted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNCONFIRMED = "unconfirmed"


_RESULTS = {State.SUCCEEDED, State.FAILED, State.REJECTED, State.EXPIRED}

TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset(
        {State.SENT, State.ACCEPTED, State.CANCELLED, State.UNCONFIRMED} | _RESULTS
    ),
    State.SENT: frozenset({State.ACCEPTED, State.UNCONFIRMED} | _RESULTS),
    State.ACCEPTED: frozenset({State.UNCONFIRMED} | _RESULTS),
    State.UNCONFIRMED: frozenset(_RESULTS),
    State.EXPIRED: frozenset({State.SUCCEEDED, State.FAILED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.REJECTED: frozenset(),
    State.CANCELLED: frozenset(),
}

OPEN = frozenset({State.PENDING, State.SENT, State.ACCEPTED})
"""States in which something is still waited for."""

FINAL = frozenset(State) - OPEN - {State.UNCONFIRMED}
"""States in which the outcome is known."""

REPORTED = frozenset({State.ACCEPTED, State.UNCONFIRMED}) | _RESULTS
"""States that a gateway may report."""


STEP_NUMBERS = {
    state: number
    for number, state in enumerate(
        (
            State.PENDING,
            State.SENT,
            State.ACCEPTED,
            State.UNCONFIRMED,
            State.EXPIRED,
            State.CANCELLED,
            State.REJECTED,
            State.FAILED,
            State.SUCCEEDED,
        ),
        1,
    )
}
"""A place for each state, such that what may follow comes later. No command is in one twice."""


def may_follow(state: State, following: State) -> bool:
    """Whether a command in ``state`` may go to ``following``."""
    return following in TRANSITIONS[state]


def at_deadline(state: State) -> State | None:
    """Where a command goes when its time is over; None when that changes nothing.

    For ``pending`` that is its expiry, for what was sent GRACE_MS later.
    """
    if state is State.PENDING:
        return State.EXPIRED
    return State.UNCONFIRMED if state in OPEN else None


def diagram() -> str:
    """The transition table as a Mermaid state diagram, for the documentation."""

    def lines() -> Iterator[str]:
        yield "stateDiagram-v2"
        yield f"    [*] --> {State.PENDING}"
        for state in State:
            for following in sorted(TRANSITIONS[state]):
                yield f"    {state} --> {following}"

    return "\n".join(lines()) + "\n"
