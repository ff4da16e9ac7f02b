"""Rules: taken from the configuration, evaluated on what was just measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from itertools import chain, repeat

import msgspec

from cloud.services import commands
from cloud.services.metrics import rules_failed
from cloud.services.views import RuleView
from cloud.storage.inventory import Numbered, RegisterRow
from cloud.storage.rules import RuleRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime
from common.errors import NotAllowed, NotFound
from common.ids import new_command_id
from common.logs import events
from common.messages.batch import Batch
from common.reading import Quality, from_scaled
from common.registers import KINDS, Kind
from common.rules import Firing, RegisterRef, Rule, RuleState, Sighting, evaluate

MAX_AGE_MS = 3_600_000
"""No rule looks at anything older: it need not be noted."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A good reading, new to the cloud; ``value`` is scaled by ``decimals``."""

    kind: str
    decimals: int
    at: int
    value: int


class Sightings:
    """The readings of one transaction that an enabled rule looks at; of others there are too many
    for an object each."""

    def __init__(self, uow: UnitOfWork, now_ms: int) -> None:
        self._uow = uow
        self._oldest = now_ms - MAX_AGE_MS
        self._of_source: dict[RegisterRef, list[Seen]] = {}

    def note(self, gateway: str, batch: Batch, numbers: Mapping[int, Numbered]) -> None:
        """Keep what rules look at of a batch, whose ``numbers`` are registers of the gateway."""
        if max(batch.at, default=0) < self._oldest or not (on := self._watched.get(gateway)):
            return
        sources = {
            no: (source, numbers[no])
            for no in set(batch.no)
            if (source := on.get((numbers[no].device, numbers[no].register)))
        }
        if not sources:
            return
        at = chain.from_iterable(map(repeat, batch.at, batch.n))
        for no, time, value, quality in zip(batch.no, at, batch.value, batch.quality, strict=True):
            if no in sources and time >= self._oldest and quality == Quality.GOOD:
                source, register = sources[no]
                if value is not None:
                    seen = Seen(register.kind, register.decimals, time, value)
                    self._of_source.setdefault(source, []).append(seen)

    def touched(self) -> list[int]:
        """The ids of the enabled rules of which something was seen, in order."""
        if not self._of_source:
            return []
        return [id_ for id_, source in self._rules if source in self._of_source]

    def of(self, source: RegisterRef) -> list[Seen]:
        """What was seen of a rule's source."""
        return self._of_source.get(source, [])

    @cached_property
    def _rules(self) -> list[tuple[int, RegisterRef]]:
        return [(id_, _rule(text).source) for id_, text in self._uow.rules.enabled()]

    @cached_property
    def _watched(self) -> Mapping[str, Mapping[tuple[str, str], RegisterRef]]:
        """By gateway, then by device and register."""
        found: dict[str, dict[tuple[str, str], RegisterRef]] = {}
        for _, one in self._rules:
            found.setdefault(one.gateway, {})[one.device, one.register] = one
        return found


@lru_cache(maxsize=1024)
def _rule(definition: str) -> Rule:
    return msgspec.json.decode(definition, type=Rule)


def _state(row: RuleRow) -> RuleState:
    return msgspec.json.decode(row.state, type=RuleState)


def _text(value: Rule | RuleState) -> str:
    return msgspec.json.encode(value).decode()


def apply_rules(uow: UnitOfWork, sightings: Sightings, now_ms: int) -> list[str]:
    """Evaluate the enabled rules on what was seen; returns the ids of the commands issued.

    To be called in the transaction that stores the readings, so that a reading is seen once.
    """
    touched = sightings.touched()
    issued = []
    for row in uow.rules.lock(touched) if touched else ():
        if row.enabled:
            issued += _apply(uow, row, sightings.of(_rule(row.definition).source), now_ms)
    return issued


def _apply(uow: UnitOfWork, row: RuleRow, seen: Sequence[Seen], now_ms: int) -> list[str]:
    if not seen:
        return []
    rule, before = _rule(row.definition), _state(row)
    above, below = Decimal(rule.above), Decimal(rule.below)
    decimals = max(*(one.decimals for one in seen), _places(above), _places(below))
    after, firings = evaluate(
        rule,
        before,
        [Sighting(one.at, one.value * 10 ** (decimals - one.decimals)) for one in seen],
        now_ms,
        above=_scaled(above, decimals),
        below=_scaled(below, decimals),
    )
    issued = []
    for firing in firings:
        unit = KINDS[Kind(seen[0].kind)].unit
        id_ = _issue(uow, row, firing, _reason(rule, firing, decimals, unit), now_ms)
        if id_ is None:
            uow.after_commit.append(rules_failed.inc)
            # Not done, so not believed to be done: the next sighting tries again.
            after = msgspec.structs.replace(after, set_to=before.set_to, retry_at=before.retry_at)
        else:
            issued.append(id_)
    if after != before:
        changed_at = now_ms if after.set_to != before.set_to else row.changed_at
        uow.rules.save_state(row.id, _text(after), changed_at)
    return issued


def _issue(uow: UnitOfWork, row: RuleRow, firing: Firing, reason: str, now_ms: int) -> str | None:
    """The id of the command to do what the rule wants; None, and a word, when it cannot be."""
    rule = _rule(row.definition)
    register = _find(uow, rule.output)
    if register is None:
        events.warning("rule %s: there is no output %s", rule.name, _name(rule.output))
        return None
    id_ = new_command_id()
    try:
        commands.issue_in(
            uow,
            register,
            id_=id_,
            value=firing.value,
            issued_by=f"rule: {rule.name}",
            reason=reason,
            ttl_s=rule.command_ttl_s,
            now_ms=now_ms,
            rule_id=row.id,
        )
    except NotAllowed as error:
        events.warning("rule %s switches nothing: %s", rule.name, error)
        return None
    return id_


def _reason(rule: Rule, firing: Firing, decimals: int, unit: str) -> str:
    side, threshold = ("above", rule.above) if firing.value else ("below", rule.below)
    value = from_scaled(firing.seen, decimals)
    return f"{_name(rule.source)} is {side} {threshold} {unit}: {value:f} {unit}".rstrip()


def _find(uow: UnitOfWork, ref: RegisterRef) -> RegisterRow | None:
    return uow.inventory.find(ref.gateway, ref.device, ref.register)


def _name(ref: RegisterRef) -> str:
    return f"{ref.gateway}/{ref.device}/{ref.register}"


def _places(threshold: Decimal) -> int:
    exponent = threshold.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _scaled(threshold: Decimal, decimals: int) -> int:
    return int(threshold.scaleb(decimals))


def sync_rules(store: Store, rules: Sequence[Rule], now_ms: int) -> None:
    """Make the database's rules these, by name. One that changed forgets what it remembered.

    Whether a rule is on is kept: that is the operator's.
    """

    def work(uow: UnitOfWork) -> None:
        found = {row.name: row for row in uow.rules.lock()}
        fresh = _text(RuleState())
        for rule in rules:
            row = found.pop(rule.name, None)
            if row is None:
                uow.rules.add(rule.name, _text(rule), fresh, now_ms)
            elif _rule(row.definition) != rule:
                uow.rules.redefine(row.id, _text(rule), fresh, now_ms)
        uow.rules.remove([row.id for row in found.values()])

    store.run(work)


def rules(store: Store) -> list[RuleView]:
    """All rules, by name."""
    with store.read() as uow:
        return [_view(uow, row) for row in uow.rules.all()]


def set_enabled(store: Store, rule_id: int, *, enabled: bool, now_ms: int) -> RuleView:
    """Turn a rule on or off; raises NotFound. One that is turned on begins with no memory."""

    def work(uow: UnitOfWork) -> RuleView:
        for row in uow.rules.lock([rule_id]):
            if row.enabled != enabled:
                uow.rules.save_state(rule_id, _text(RuleState()), now_ms)
                uow.rules.set_enabled(rule_id, enabled, now_ms)
        found = [row for row in uow.rules.all() if row.id == rule_id]
        if not found:
            raise NotFound(f"there is no rule {rule_id}")
        return _view(uow, found[0])

    return store.run(work)


def _view(uow: UnitOfWork, row: RuleRow) -> RuleView:
    rule = _rule(row.definition)
    register = _find(uow, rule.output)
    source = _find(uow, rule.source)
    state = _state(row)
    return RuleView(
        id=row.id,
        name=row.name,
        enabled=row.enabled,
        source=_name(rule.source),
        above=Decimal(rule.above),
        below=Decimal(rule.below),
        unit=KINDS[Kind(source.kind)].unit if source else "",
        output=_name(rule.output),
        output_register_id=register.id if register else None,
        hold_s=rule.hold_s,
        max_age_s=rule.max_age_s,
        set_to=state.set_to if state.retry_at is None else None,
        changed_at=to_datetime(row.changed_at),
    )
