"""Commands as a service: issued, taken back, sent, closed, on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from cloud.domain.lifecycle import GRACE_MS
from cloud.services import commands
from cloud.services.ingest import ingest
from cloud.services.views import CommandView
from cloud.storage.unit_of_work import Store
from common.clock import to_datetime
from common.errors import NotAllowed, NotFound
from common.messages.downlink import Command
from common.messages.envelope import decode
from common.messages.uplink import CommandReport
from tests.harness.dispatch import KeepingDispatcher
from tests.harness.says import NOW, Gateway, catalog
from tests.harness.tables import rows_of


@pytest.fixture
def registers(store: Store) -> dict[str, int]:
    """The ids of a gateway's registers, by key."""
    gateway = Gateway()
    ingest(store, [gateway.hello(), gateway.batch(1, catalog())], NOW)
    return dict(rows_of(store, "SELECT key, id FROM register"))


def issue(
    store: Store,
    register_id: int,
    value: int = 1,
    *,
    ttl_s: int = 60,
    dispatcher: KeepingDispatcher | None = None,
) -> CommandView:
    return commands.issue(
        store,
        dispatcher,
        register_id=register_id,
        value=value,
        issued_by="anna",
        reason="rain",
        ttl_s=ttl_s,
        now_ms=NOW,
    )


def report(store: Store, command_id: str, state: str, at: int, value: int | None = None) -> None:
    """As if the gateway's journal had brought it."""
    gateway_id = rows_of(store, "SELECT id FROM gateway")[0][0]
    told = CommandReport(at, command_id, state, value)
    store.run(lambda uow: commands.record_results(uow, [commands.Told(gateway_id, told, at)]))


def test_a_command_is_an_absolute_set_with_an_expiry(
    store: Store, registers: dict[str, int]
) -> None:
    issued = issue(store, registers["roof"])
    [publication] = commands.claim_due(store, NOW)
    assert publication.topic == "inmetter/v1/gw-1/down/command"
    assert decode(publication.payload, Command) == Command(
        issued.id, "meter", "roof", 1, issued_at=NOW, expires_at=NOW + 60_000
    )
    sent = commands.get(store, issued.id)
    assert [step.state for step in sent.steps] == ["pending", "sent"]
    assert (sent.issued_by, sent.reason, sent.wanted) == ("anna", "rain", "open")


def test_a_dispatcher_that_is_ready_sends_at_once_and_again_until_it_is_heard(
    store: Store, registers: dict[str, int]
) -> None:
    """Were it lost between the commit and the broker, it goes again when it is due."""
    dispatcher = KeepingDispatcher()
    issued = issue(store, registers["roof"], dispatcher=dispatcher)
    assert [step.state for step in issued.steps] == ["pending", "sent"]
    assert commands.get(store, issued.id) == issued
    assert commands.claim_due(store, NOW + commands.REPEAT_MS - 1) == []
    assert commands.claim_due(store, NOW + commands.REPEAT_MS) == dispatcher.sent
    away = KeepingDispatcher(ready=False)
    waiting = issue(store, registers["roof"], dispatcher=away)
    assert (waiting.state, away.sent) == ("pending", [])
    assert len(commands.claim_due(store, NOW)) == 1


def test_reports_that_come_together_are_followed_in_their_order(
    store: Store, registers: dict[str, int]
) -> None:
    issued = issue(store, registers["roof"])
    [(gateway_id,)] = rows_of(store, "SELECT id FROM gateway")
    said = [
        commands.Told(gateway_id, CommandReport(at, issued.id, state, value, detail), at)
        for at, state, value, detail in [
            (NOW + 1, "accepted", None, ""),
            (NOW + 2, "accepted", None, "said twice"),
            (NOW + 3, "pending", None, "not one to report"),
            (NOW + 4, "succeeded", 1, "read back"),
            (NOW + 5, "failed", 0, "too late"),
        ]
    ]
    said.append(commands.Told(gateway_id + 1, CommandReport(NOW, issued.id, "failed"), NOW))
    said.append(commands.Told(gateway_id, CommandReport(NOW, "0" * 32, "failed"), NOW))
    store.run(lambda uow: commands.record_results(uow, said))
    done = commands.get(store, issued.id)
    assert [step.state for step in done.steps] == ["pending", "accepted", "succeeded"]
    assert (done.state, done.readback, done.detail) == ("succeeded", 1, "read back")
    assert done.done_at == to_datetime(NOW + 4)


def test_what_may_not_be_set_is_refused(store: Store, registers: dict[str, int]) -> None:
    with pytest.raises(NotAllowed, match="gw-1/meter/power may not be set"):
        issue(store, registers["power"])
    with pytest.raises(NotAllowed, match="neither 0 nor 1"):
        issue(store, registers["roof"], 2)
    for ttl_s in (0, 3601):
        with pytest.raises(NotAllowed, match="valid for"):
            issue(store, registers["roof"], ttl_s=ttl_s)
    with pytest.raises(NotFound):
        issue(store, 10**6)
    with pytest.raises(NotFound):
        commands.get(store, "nothing")
    assert commands.recent(store) == []


def test_a_command_is_sent_again_until_it_is_accepted(
    store: Store, registers: dict[str, int]
) -> None:
    issued = issue(store, registers["roof"])
    assert len(commands.claim_due(store, NOW)) == 1
    assert commands.claim_due(store, NOW + 1999) == []
    assert len(commands.claim_due(store, NOW + 2000)) == 1
    report(store, issued.id, "accepted", NOW + 2500)
    assert commands.claim_due(store, NOW + 10_000) == []
    assert not commands.anything_to_do(store, NOW + 10_000)


def test_a_command_is_never_sent_after_its_expiry(store: Store, registers: dict[str, int]) -> None:
    issued = issue(store, registers["roof"], ttl_s=5)
    assert commands.claim_due(store, NOW + 5000) == []
    assert commands.expire_due(store, NOW + 5000) == 1
    assert commands.get(store, issued.id).state == "expired"
    assert commands.expire_due(store, NOW + 5000) == 0


def test_a_sent_command_without_a_result_is_unconfirmed_and_settled_by_a_late_one(
    store: Store, registers: dict[str, int]
) -> None:
    issued = issue(store, registers["roof"], ttl_s=5)
    commands.claim_due(store, NOW)
    end = NOW + 5000 + GRACE_MS
    assert commands.expire_due(store, end - 1) == 0
    assert commands.expire_due(store, end) == 1
    view = commands.get(store, issued.id)
    assert (view.state, view.final) == ("unconfirmed", False)
    report(store, issued.id, "succeeded", end + 10**6, 1)
    view = commands.get(store, issued.id)
    assert (view.state, view.final, view.readback) == ("succeeded", True, 1)
    assert [step.state for step in view.steps] == ["pending", "sent", "unconfirmed", "succeeded"]


def test_a_result_before_sent_was_written_down_settles_the_command(
    store: Store, registers: dict[str, int]
) -> None:
    issued = issue(store, registers["roof"])
    report(store, issued.id, "failed", NOW + 1)
    report(store, issued.id, "accepted", NOW + 2)
    assert commands.claim_due(store, NOW + 3) == []
    assert commands.get(store, issued.id).state == "failed"


def test_only_what_was_not_sent_can_be_cancelled(store: Store, registers: dict[str, int]) -> None:
    first = issue(store, registers["roof"])
    assert commands.cancel(store, first.id, "anna", NOW).state == "cancelled"
    assert commands.claim_due(store, NOW) == []
    second = issue(store, registers["roof"])
    commands.claim_due(store, NOW)
    with pytest.raises(NotAllowed, match="sent"):
        commands.cancel(store, second.id, "anna", NOW)
    with pytest.raises(NotFound):
        commands.cancel(store, "nothing", "anna", NOW)


def test_an_older_command_is_not_sent_after_a_newer_one(
    store: Store, registers: dict[str, int]
) -> None:
    sent = issue(store, registers["roof"], 1)
    commands.claim_due(store, NOW)
    pending = issue(store, registers["roof"], 1)
    newest = issue(store, registers["roof"], 0)
    claimed = commands.claim_due(store, NOW + 10_000)
    assert [decode(p.payload, Command).id for p in claimed] == [newest.id]
    assert commands.get(store, pending.id).state == "cancelled"
    assert commands.get(store, sent.id).state == "sent"
    assert [c.id for c in commands.recent(store, registers["roof"], 2)] == [newest.id, pending.id]


def test_hello_makes_waiting_commands_due_at_once(store: Store, registers: dict[str, int]) -> None:
    issued = issue(store, registers["roof"])
    commands.claim_due(store, NOW)
    outcome = ingest(store, [Gateway().hello(session=2)], NOW + 100)
    assert outcome.wake
    [publication] = commands.claim_due(store, NOW + 100)
    assert decode(publication.payload, Command).id == issued.id


def test_two_dispatchers_claim_a_command_once(store: Store, registers: dict[str, int]) -> None:
    for turn in range(5):
        now_ms = NOW + turn
        issued = issue(store, registers["roof"])
        with ThreadPoolExecutor(2) as threads:
            claims = list(threads.map(commands.claim_due, [store] * 2, [now_ms] * 2))
        assert sorted(len(claim) for claim in claims) == [0, 1]
        assert [s.state for s in commands.get(store, issued.id).steps] == ["pending", "sent"]
