"""Rules on what is measured, and the commands that come of it, on both databases."""

from collections.abc import Sequence

import pytest

from cloud.services import commands
from cloud.services.ingest import Outcome, ingest
from cloud.services.rules import rules, set_enabled, sync_rules
from cloud.services.views import CommandView
from cloud.storage.unit_of_work import Store
from common.errors import NotFound
from common.messages.uplink import Body, CommandReport
from common.rules import RegisterRef, Rule
from tests.harness.says import NOW, Gateway, catalog, power

RULE = Rule(
    name="roof by power",
    source=RegisterRef("gw-1", "meter", "power"),
    above="100.05",
    below="80",
    output=RegisterRef("gw-1", "meter", "roof"),
)


class Bench:
    """A store with a gateway and a rule; journal entries go in one by one."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.gateway = Gateway()
        self.seq = 2
        sync_rules(store, [RULE], NOW)
        ingest(store, [self.gateway.hello(), self.gateway.batch(1, catalog())], NOW)

    def take(self, *bodies: Body, now_ms: int = NOW) -> Outcome:
        batch = self.gateway.batch(self.seq, *bodies)
        self.seq += len(bodies)
        return ingest(self.store, [batch], now_ms)

    def issued(self, outcome: Outcome) -> Sequence[CommandView]:
        return [commands.get(self.store, id_) for id_ in outcome.issued]


@pytest.fixture
def bench(store: Store) -> Bench:
    return Bench(store)


def test_a_reading_above_the_threshold_switches_on_and_says_why(bench: Bench) -> None:
    outcome = bench.take(power(NOW - 1000, 1001))
    [command] = bench.issued(outcome)
    assert outcome.wake
    assert (command.value, command.wanted, command.state) == (1, "open", "pending")
    assert command.issued_by == "rule: roof by power"
    assert command.reason == "gw-1/meter/power is above 100.05 W: 100.10 W"
    assert [step.state for step in command.steps] == ["pending"]


def test_between_the_thresholds_nothing_is_switched(bench: Bench) -> None:
    assert bench.take(power(NOW - 2000, 1000), power(NOW - 1000, 800)).issued == ()


def test_hysteresis_switches_once_each_way(bench: Bench) -> None:
    values = (1001, 1002, 900, 1100, 799, 850, 700, 1001)
    wanted = [
        [command.value for command in bench.issued(bench.take(power(NOW + n, value)))]
        for n, value in enumerate(values)
    ]
    assert wanted == [[1], [], [], [], [0], [], [], [1]]


def test_a_backlog_reading_above_the_threshold_switches_nothing(bench: Bench) -> None:
    assert bench.take(power(NOW - 60_001, 5000), power(NOW - 86_400_000, 5000)).issued == ()


def test_a_reading_that_is_not_good_switches_nothing(bench: Bench) -> None:
    assert bench.take(power(NOW, 5000, 2), power(NOW + 1, None, 3)).issued == ()


def test_a_reading_that_comes_again_switches_nothing(bench: Bench) -> None:
    batch = bench.gateway.batch(2, power(NOW, 5000))
    assert len(ingest(bench.store, [batch, batch], NOW).issued) == 1
    assert ingest(bench.store, [batch], NOW).issued == ()


def test_a_rule_that_is_off_switches_nothing(bench: Bench) -> None:
    [rule] = rules(bench.store)
    assert not set_enabled(bench.store, rule.id, enabled=False, now_ms=NOW).enabled
    assert bench.take(power(NOW, 5000)).issued == ()
    set_enabled(bench.store, rule.id, enabled=True, now_ms=NOW)
    assert len(bench.take(power(NOW + 1, 5000)).issued) == 1
    with pytest.raises(NotFound):
        set_enabled(bench.store, rule.id + 1, enabled=True, now_ms=NOW)


def test_a_rule_tries_again_when_its_command_came_to_nothing(bench: Bench) -> None:
    assert len(bench.take(power(NOW, 5000)).issued) == 1
    assert bench.take(power(NOW + 1000, 5000)).issued == ()
    later = NOW + 61_000
    assert commands.expire_due(bench.store, later) == 1
    assert len(bench.take(power(later, 5000), now_ms=later).issued) == 1


@pytest.mark.parametrize("outcome", ["failed", "rejected", "expired", "unconfirmed"])
def test_a_rule_never_gives_up_and_does_not_hammer(bench: Bench, outcome: str) -> None:
    [command] = bench.issued(bench.take(power(NOW, 5000)))
    bench.take(CommandReport(NOW + 5, command.id, outcome, detail="out of order"))
    assert [view.set_to for view in rules(bench.store)] == [None]
    assert bench.take(power(NOW + 1000, 5000), now_ms=NOW + 1000).issued == ()
    later = NOW + 60_000
    assert bench.take(power(later - 1, 5000), now_ms=later - 1).issued == ()
    assert len(bench.take(power(later, 5000), now_ms=later).issued) == 1


def test_a_command_that_failed_does_not_keep_the_rule_from_the_contrary(bench: Bench) -> None:
    [command] = bench.issued(bench.take(power(NOW, 5000)))
    bench.take(CommandReport(NOW + 5, command.id, "failed"))
    [contrary] = bench.issued(bench.take(power(NOW + 1000, 1), now_ms=NOW + 1000))
    assert contrary.value == 0


def test_a_rule_whose_output_is_not_there_switches_nothing_and_does_not_believe_it_did(
    bench: Bench,
) -> None:
    missing = Rule(name="nowhere", source=RULE.source, above="1", below="0", output=RULE.source)
    sync_rules(bench.store, [missing], NOW)
    assert bench.take(power(NOW, 5000)).issued == ()
    [view] = rules(bench.store)
    assert view.set_to is None
    assert str(view.above) == "1"


def test_the_configured_rules_replace_those_of_before_and_keep_what_the_operator_set(
    bench: Bench,
) -> None:
    [before] = rules(bench.store)
    set_enabled(bench.store, before.id, enabled=False, now_ms=NOW)
    other = Rule(name="other", source=RULE.source, above="2", below="1", output=RULE.output)
    sync_rules(bench.store, [RULE, other], NOW)
    assert [(rule.name, rule.enabled) for rule in rules(bench.store)] == [
        ("other", True),
        ("roof by power", False),
    ]
    sync_rules(bench.store, [other], NOW)
    [view] = rules(bench.store)
    assert (view.name, view.unit, view.source) == ("other", "W", "gw-1/meter/power")
    assert view.output_register_id is not None


def test_a_report_in_the_journal_moves_the_command_along(bench: Bench) -> None:
    [command] = bench.issued(bench.take(power(NOW, 5000)))
    bench.take(
        CommandReport(NOW + 5, command.id, "succeeded", 1),
        CommandReport(NOW + 4, command.id, "accepted"),
        CommandReport(NOW + 6, "0" * 32, "failed"),
        CommandReport(NOW + 6, command.id, "dreaming"),
    )
    done = commands.get(bench.store, command.id)
    assert (done.state, done.final, done.readback) == ("succeeded", True, 1)
    assert [step.state for step in done.steps] == ["pending", "succeeded"]


def test_a_gateway_cannot_settle_the_command_of_another(bench: Bench) -> None:
    [command] = bench.issued(bench.take(power(NOW, 5000)))
    stranger = Gateway("gw-2", "f" * 32)
    report = CommandReport(NOW, command.id, "succeeded", 1)
    ingest(bench.store, [stranger.hello(), stranger.batch(1, report)], NOW)
    assert commands.get(bench.store, command.id).state == "pending"
