"""Who is there: what hellos, statuses and wills of several connections and journals come to."""

import pytest

from cloud.services.ingest import Ingest, Outcome, Received, ingest
from cloud.storage.unit_of_work import Store
from common.messages.downlink import Resume
from common.messages.envelope import decode, encode
from common.messages.uplink import Status
from tests.harness.says import NOW, STREAM, Gateway, catalog, power
from tests.harness.tables import rows_of

NEW = "b" * 32


def status(
    boot: int = 1, session: int = 1, *, online: bool = True, at: int = NOW, stream: str = STREAM
) -> Received:
    message = Status(stream, online, boot, session, at)
    return Gateway().received("status", encode(message))


def presence(store: Store, *messages: Received, now_ms: int = NOW) -> list[tuple[object, ...]]:
    ingest(store, messages, now_ms)
    return rows_of(store, "SELECT online, boot, session FROM gateway")


@pytest.fixture
def greeted(store: Store) -> Store:
    gateway = Gateway()
    ingest(store, [gateway.hello(), gateway.batch(1, catalog())], NOW)
    return store


def test_a_status_of_an_older_connection_is_ignored(greeted: Store) -> None:
    assert presence(greeted, status(1, 2, at=2**53)) == [(1, 1, 2)]
    assert presence(greeted, status(1, 1, online=False)) == [(1, 1, 2)]
    assert presence(greeted, status(1, 2, online=False)) == [(0, 1, 2)]
    assert rows_of(greeted, "SELECT status_at FROM gateway") == [(NOW,)]


def test_a_replaced_gateway_may_count_its_boots_from_one_again(greeted: Store) -> None:
    ingest(greeted, [Gateway().hello(boot=70, session=3)], NOW)
    new = Gateway(stream=NEW)
    assert presence(greeted, new.batch(1, catalog()), new.hello(boot=1)) == [(1, 1, 1)]
    assert presence(greeted, new.hello(boot=1, session=2)) == [(1, 1, 2)]


def test_two_hellos_of_a_new_journal_that_come_together_both_count(greeted: Store) -> None:
    ingest(greeted, [Gateway().hello(boot=70, session=3)], NOW)
    new = Gateway(stream=NEW)
    assert presence(greeted, new.hello(), new.hello(session=2)) == [(1, 1, 2)]


@pytest.mark.parametrize("together", [True, False])
def test_the_will_of_an_older_journal_does_not_put_a_gateway_offline_for_ever(
    greeted: Store, together: bool
) -> None:
    new = Gateway(stream=NEW)
    old_will = status(7, 2, online=False)
    ingest(greeted, [Gateway().hello(boot=7, session=2)], NOW)
    said = [old_will, new.hello(), status(1, 1, stream=NEW)]
    for group in [said] if together else [[one] for one in said]:
        ingest(greeted, group, NOW)
    assert presence(greeted, old_will) == [(1, 1, 1)]
    assert presence(greeted, status(7, 3)) == [(1, 1, 1)]
    assert presence(greeted, Gateway().hello(boot=7, session=3)) == [(1, 1, 1)]
    assert presence(greeted, status(1, 1, online=False, stream=NEW)) == [(0, 1, 1)]
    assert presence(greeted, new.hello(session=2)) == [(1, 1, 2)]


def test_the_status_of_a_gateway_that_is_gone_brings_nothing_into_being(store: Store) -> None:
    for online, gateways in ((False, 0), (True, 1)):
        ingest(store, [status(online=online)], NOW)
        assert rows_of(store, "SELECT count(*) FROM gateway") == [(gateways,)]


def test_a_last_will_is_not_a_sign_of_life(greeted: Store) -> None:
    ingest(greeted, [status(online=False)], NOW + 3_600_000)
    assert rows_of(greeted, "SELECT online, seen_at FROM gateway") == [(0, NOW)]


def test_a_status_that_the_broker_kept_does_not_count_as_heard_of_now(greeted: Store) -> None:
    later = NOW + 3_600_000
    seen = "SELECT seen_at FROM gateway"
    ingest(greeted, [status(at=NOW - 5000)], later)
    assert rows_of(greeted, seen) == [(NOW,)]
    ingest(greeted, [status(at=NOW + 5000)], later)
    assert rows_of(greeted, seen) == [(NOW + 5000,)]
    ingest(greeted, [status(at=later + 5000)], later)
    assert rows_of(greeted, seen) == [(later,)]
    ingest(greeted, [Gateway().batch(2, power(NOW, 1))], later + 60_000)
    assert rows_of(greeted, seen) == [(later + 60_000,)]


def test_gateways_that_come_back_together_are_asked_to_spread_what_they_have_kept(
    store: Store,
) -> None:
    worker = Ingest(store)
    alone = worker.take([Gateway("gw-0").hello()], NOW)
    crowd = worker.take([Gateway(f"gw-{n}").hello() for n in range(1, 100)], NOW + 1)
    later = worker.take([Gateway("gw-0").hello()], NOW + 60_000)

    def spreads(outcome: Outcome) -> set[int]:
        return {decode(p.payload, Resume).spread_ms for p in outcome.publications}

    assert spreads(alone) == {0}
    assert spreads(crowd) == {99 * 20}
    assert spreads(later) == {0}
