"""Rules: one pure function, the same in the cloud, on a gateway and over history."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

from common.messages.uplink import Word

Seconds = Annotated[int, Meta(ge=0, le=86_400)]


class RegisterRef(Struct, frozen=True, forbid_unknown_fields=True):
    """A register by name."""

    gateway: Word
    device: Word
    register: Word


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """A threshold with hysteresis.

    When ``source`` stays above ``above`` for ``hold_s``, ``output`` is set to 1; when it stays
    below ``below`` for ``hold_s``, to 0. ``above`` and ``below`` are in the source's base unit,
    as text that is an exact decimal, and below < above. A reading older than ``max_age_s``
    switches nothing. A command of this rule may be carried out for ``command_ttl_s``.
    """

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    source: RegisterRef
    above: str
    below: str
    output: RegisterRef
    hold_s: Seconds = 0
    max_age_s: Annotated[int, Meta(ge=1, le=3600)] = 60
    command_ttl_s: Annotated[int, Meta(ge=1, le=3600)] = 60


AHEAD_MS = 300_000
"""A source's clock may be ahead of ours by so much; what it says is then taken as said now."""


class RuleState(Struct, frozen=True):
    """What a rule remembers: the side its source is on and since when, and what it last set.

    When setting it came to nothing, the rule may set it again from ``retry_at`` on.
    """

    side: int = 0
    since: int = 0
    seen_at: int = 0
    set_to: int | None = None
    retry_at: int | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """A reading of the rule's source, as a scaled integer; thresholds are scaled alike."""

    at: int
    value: int


@dataclass(frozen=True, slots=True)
class Firing:
    """The rule wants its output at ``value``; ``at`` and ``seen`` are the reading that decided."""

    value: int
    at: int
    seen: int


def evaluate(
    rule: Rule,
    state: RuleState,
    sightings: Sequence[Sighting],
    now: int,
    *,
    above: int,
    below: int,
) -> tuple[RuleState, list[Firing]]:
    """The rule's next state, and what it wants done, after ``sightings`` at time ``now`` (ms).

    ``above`` and ``below`` are the rule's thresholds scaled like the values. Sightings may come
    in any order; those too old, more than AHEAD_MS ahead, or not newer than the last one seen are
    left out. A hold goes on from one sighting to the next that is on the same side, unless more
    than two and a half times ``max_age_s`` lies between them: one that is lost or late is borne.
    """
    firings: list[Firing] = []
    oldest = now - rule.max_age_s * 1000
    for sighting in sorted(sightings, key=lambda s: s.at):
        if not oldest <= sighting.at <= now + AHEAD_MS or sighting.at <= state.seen_at:
            continue
        at = min(sighting.at, now)
        side = (sighting.value > above) - (sighting.value < below)
        unbroken = side == state.side and at - state.seen_at <= rule.max_age_s * 2500
        since = state.since if unbroken else at
        wanted = {1: 1, -1: 0}.get(side)
        set_to, retry_at = state.set_to, state.retry_at
        if retry_at is not None and now >= retry_at:
            set_to, retry_at = None, None
        if wanted is not None and wanted != set_to and at - since >= rule.hold_s * 1000:
            firings.append(Firing(wanted, at, sighting.value))
            set_to, retry_at = wanted, None
        state = RuleState(side, since, at, set_to, retry_at)
    return state, firings[-1:]
