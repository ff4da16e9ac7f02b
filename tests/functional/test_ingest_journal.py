"""Batches of a journal into both databases: once, completely, and nothing of one harms another."""

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from cloud.services.ingest import Ingest, Outcome, ingest
from cloud.services.journal import SECOND
from cloud.storage.unit_of_work import Store
from common.errors import Retryable
from common.messages.downlink import Ack, Rejection, Resume
from common.messages.envelope import decode, encode
from common.messages.uplink import CatalogRegister, Event, Hello, Readings, Value
from common.registers import Kind, Medium, Register
from tests.harness.metrics import counted
from tests.harness.says import NOW, POWER, STREAM, VOLUME, Gateway, catalog, power
from tests.harness.tables import rows_of

BASE = NOW - 10_000


@pytest.fixture
def greeted(store: Store) -> Store:
    gateway = Gateway()
    ingest(store, [gateway.hello(), gateway.batch(1, catalog())], NOW)
    return store


def acks(outcome: Outcome) -> list[Ack]:
    return [decode(p.payload, Ack) for p in outcome.publications if p.topic.endswith("/ack")]


def resumes(outcome: Outcome) -> list[Resume]:
    return [decode(p.payload, Resume) for p in outcome.publications if p.topic.endswith("/resume")]


def test_a_new_gateway_is_answered_with_what_is_committed_of_its_stream(store: Store) -> None:
    gateway = Gateway()
    first = ingest(store, [gateway.hello()], NOW)
    assert first.publications[0].topic == "inmetter/v1/gw-1/down/resume"
    assert resumes(first) == [Resume(STREAM, [], NOW)]
    ingest(store, [gateway.batch(1, catalog(), power(BASE, 1))], NOW)
    assert resumes(ingest(store, [gateway.hello()], NOW)) == [Resume(STREAM, [(1, 2)], NOW)]
    assert rows_of(store, "SELECT key, name, timezone FROM site") == [
        ("hall", "Hall", "Europe/Bucharest")
    ]


def test_a_batch_is_stored_and_acknowledged_by_its_exact_range(greeted: Store) -> None:
    outcome = ingest(greeted, [Gateway().batch(2, power(BASE, 15), power(BASE + 1, 16))], NOW)
    assert acks(outcome) == [Ack(STREAM, 2, 3)]
    assert rows_of(greeted, "SELECT at, value FROM reading ORDER BY at") == [
        (BASE, 15),
        (BASE + 1, 16),
    ]
    assert rows_of(greeted, "SELECT first, last FROM ledger") == [(1, 3)]


def test_a_batch_that_comes_again_is_acknowledged_again_and_stored_once(greeted: Store) -> None:
    event = Event(BASE, "power-up", "info", "awake")
    batch = Gateway().batch(2, power(BASE, 15), event, power(NOW + 10**11, 1))
    first = acks(ingest(greeted, [batch], NOW))
    again = acks(ingest(greeted, [batch, batch], NOW + 1))
    assert again == first * 2
    assert len(first[0].rejected) == 1
    assert rows_of(greeted, "SELECT count(*) FROM reading") == [(1,)]
    assert rows_of(greeted, "SELECT count(*) FROM event") == [(2,)]


def test_a_batch_that_comes_twice_at_once_is_acknowledged_twice_alike(greeted: Store) -> None:
    batch = Gateway().batch(2, power(BASE, 15), power(0, 1))
    first, second = acks(ingest(greeted, [batch, batch], NOW))
    assert first == second
    assert [rejection.seq for rejection in first.rejected] == [3]


def test_batches_in_any_order_close_the_ledger(greeted: Store) -> None:
    gateway, worker = Gateway(), Ingest(greeted)
    for seq in (8, 4, 6, 2):
        worker.take([gateway.batch(seq, power(BASE + seq, seq))], NOW)
    assert rows_of(greeted, "SELECT first, last FROM ledger ORDER BY first") == [
        (1, 2),
        (4, 4),
        (6, 6),
        (8, 8),
    ]
    worker.take([gateway.batch(n, power(BASE + n, n)) for n in (7, 3, 5)], NOW)
    assert rows_of(greeted, "SELECT first, last FROM ledger") == [(1, 8)]


def test_an_overlapping_batch_adds_only_what_is_new(greeted: Store) -> None:
    gateway = Gateway()
    ingest(greeted, [gateway.batch(3, power(BASE + 3, 3))], NOW)
    bodies = (power(BASE + 2, 2), power(BASE + 33, 33), power(BASE + 4, 4))
    before = counted("entries_duplicate_total")
    assert acks(ingest(greeted, [gateway.batch(2, *bodies)], NOW)) == [Ack(STREAM, 2, 4)]
    assert counted("entries_duplicate_total") == before + 1
    assert rows_of(greeted, "SELECT value FROM reading ORDER BY value") == [(2,), (3,), (4,)]


def test_readings_before_their_catalog_are_asked_for_again(store: Store) -> None:
    gateway = Gateway()
    ingest(store, [gateway.hello(next_seq=3)], NOW)
    early = ingest(store, [gateway.batch(2, power(BASE, 15))], NOW)
    assert acks(early) == []
    assert resumes(early) == [Resume(STREAM, [], NOW)]
    ingest(store, [gateway.batch(1, catalog())], NOW)
    assert acks(ingest(store, [gateway.batch(2, power(BASE, 15))], NOW)) == [Ack(STREAM, 2, 2)]


def test_readings_that_no_catalog_can_explain_any_more_are_rejected(store: Store) -> None:
    gateway = Gateway()
    ingest(store, [gateway.hello(first_kept=5, next_seq=6)], NOW)
    [ack] = acks(ingest(store, [gateway.batch(5, power(BASE, 15))], NOW))
    assert [rejection.seq for rejection in ack.rejected] == [5]


def test_a_stream_that_was_never_announced_is_asked_for_what_it_has(store: Store) -> None:
    gateway = Gateway()
    outcome = ingest(store, [gateway.batch(7, power(BASE, 1)), gateway.batch(8)], NOW)
    assert acks(outcome) == []
    assert resumes(outcome) == [Resume(STREAM, [], NOW)]
    assert acks(ingest(store, [gateway.batch(1, catalog())], NOW)) == [Ack(STREAM, 1, 1)]
    ingest(store, [gateway.hello()], NOW)
    assert rows_of(
        store, "SELECT site.key FROM gateway JOIN site ON site.id = gateway.site_id"
    ) == [("hall",)]


def test_a_stream_without_a_hello_is_not_asked_for_a_lost_catalog_for_ever(store: Store) -> None:
    gateway, worker = Gateway(), Ingest(store)
    worker.take([gateway.batch(9, catalog())], NOW)
    worker.take([gateway.batch(9, catalog())], NOW)
    lost = [gateway.batch(seq, Readings(BASE, [Value(77, 1)])) for seq in (5, 6)]
    once = worker.take([*lost, *lost], NOW)
    assert (acks(once), len(resumes(once))) == ([], 1)
    again = worker.take(lost, NOW)
    assert resumes(again) == []
    assert [[one.seq for one in ack.rejected] for ack in acks(again)] == [[5], [6]]


def test_a_hello_has_a_batch_wait_for_its_catalog_as_long_as_it_takes(store: Store) -> None:
    gateway, worker = Gateway(), Ingest(store)
    early = gateway.batch(2, power(BASE, 15))
    worker.take([early], NOW)
    worker.take([early], NOW)
    for _ in range(3):
        worker.take([gateway.hello(next_seq=3)], NOW)
        assert acks(worker.take([early], NOW)) == []
    assert acks(worker.take([gateway.batch(1, catalog()), early], NOW))[1] == Ack(STREAM, 2, 2)


def test_a_worker_that_meets_a_stream_with_gaps_asks_for_them_once(greeted: Store) -> None:
    """As after a restore: the gateway believes to be done with 2 to 4."""
    gateway, worker = Gateway(), Ingest(greeted)
    first = worker.take([gateway.batch(5, power(BASE, 1))], NOW)
    assert acks(first) == [Ack(STREAM, 5, 5)]
    assert resumes(first) == [Resume(STREAM, [(1, 1), (5, 5)], NOW)]
    assert resumes(worker.take([gateway.batch(7, power(BASE, 1))], NOW)) == []
    assert resumes(Ingest(greeted).take([gateway.batch(2)], NOW)) == []
    worker.take([gateway.batch(n, power(BASE, 1)) for n in (2, 3, 4, 6)], NOW)
    assert resumes(Ingest(greeted).take([gateway.batch(8, power(BASE, 1))], NOW)) == []


def test_a_worker_whose_ledger_was_set_back_asks_for_what_it_had(greeted: Store) -> None:
    """As after a restore of which its connections noticed nothing."""
    gateway, worker = Gateway(), Ingest(greeted)
    for seq in (2, 3, 4):
        worker.take([gateway.batch(seq, power(BASE + seq, seq))], NOW)
    with greeted._engine.begin() as connection:
        connection.execute(text("UPDATE ledger SET `last` = 2 WHERE first = 1"))
        connection.execute(text("DELETE FROM reading"))
    told = worker.take([gateway.batch(5, power(BASE + 5, 5))], NOW)
    assert resumes(told) == [Resume(STREAM, [(1, 2), (5, 5)], NOW)]
    worker.take([gateway.batch(seq, power(BASE + seq, seq)) for seq in (3, 4)], NOW)
    assert rows_of(greeted, "SELECT value FROM reading ORDER BY value") == [(3,), (4,), (5,)]


def test_a_stranger_is_kept_out_where_gateways_are_not_registered_by_themselves(
    store: Store,
) -> None:
    gateway = Gateway()
    outcome = Ingest(store, register_gateways=False).take([gateway.hello()], NOW)
    assert outcome.publications == ()
    assert rows_of(store, "SELECT reason FROM quarantine") == [("gateway gw-1 is not registered",)]
    assert rows_of(store, "SELECT count(*) FROM gateway") == [(0,)]


@pytest.mark.parametrize("at", [4_070_908_800_000, 0, NOW + 86_400_001, 2**53])
def test_a_reading_of_an_impossible_time_is_rejected_alone(greeted: Store, at: int) -> None:
    batch = Gateway().batch(2, power(BASE, 1), power(at, 2), power(BASE + 1, 3))
    [ack] = acks(ingest(greeted, [batch], NOW))
    assert [rejection.seq for rejection in ack.rejected] == [3]
    assert rows_of(greeted, "SELECT value FROM reading ORDER BY at") == [(1,), (3,)]
    assert rows_of(greeted, "SELECT seq FROM rejected") == [(3,)]
    assert rows_of(greeted, "SELECT seq, code, severity FROM event") == [
        (3, "entry-rejected", "alarm")
    ]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"k":"wish","at":1}', "wish"),
        (b'{"k":"readings","at":1.5,"r":[]}', "Expected `int`"),
        (b'{"k":"event","at":1,"code":"a\\u00e9","severity":"info","text":""}', "plain text"),
        (b'{"k":"event","at":1,"code":"a","severity":"loud","text":""}', "severity"),
        (b'{"k":"event","at":1,"code":"a","severity":"info","text":"","device":"A b"}', "key"),
        (b'{"k":"readings","at":1763899990000,"r":[[77,1,0,null]]}', "number 77"),
        (
            b'{"k":"readings","at":1763899990000,"r":[[1,9223372036854775808,0,null]]}',
            "9223372036854775807",
        ),
        (b'{"k":"command","at":1,"id":"' + b"a" * 32 + b'","state":"failed","value":99999}', "99"),
    ],
)
def test_an_entry_without_sense_is_rejected_alone(greeted: Store, body: bytes, reason: str) -> None:
    batch = Gateway().batch(2, power(BASE, 1), msgspec.Raw(body), power(BASE + 1, 3))
    [ack] = acks(ingest(greeted, [batch], NOW))
    assert [rejection.seq for rejection in ack.rejected] == [3]
    assert rows_of(greeted, "SELECT value FROM reading ORDER BY at") == [(1,), (3,)]
    assert rows_of(greeted, "SELECT body FROM rejected") == [(body,)]
    assert reason in ack.rejected[0].reason


def test_what_cannot_be_taken_apart_is_quarantined_and_harms_nobody(greeted: Store) -> None:
    gateway = Gateway()
    bad = [
        gateway.received("journal", b"\xff\x00 not json"),
        gateway.received("journal", b'{"v":2,"stream":"x"}'),
        gateway.received("journal", b"[" * 100_000),
        gateway.batch(3, msgspec.Raw(b'{"k":"event","text":"\\ud800x"}')),
        gateway.received("journal", b" " * 10_485_760),
        gateway.received("hello", b'{"v":1}'),
        gateway.received("status", encode(Hello(STREAM, 1, 1, 0, 0, "", "s", "", "", ""))),
    ]
    good = gateway.batch(2, power(BASE, 15))
    outcome = ingest(greeted, [*bad[:4], good, *bad[4:]], NOW)
    assert acks(outcome) == [Ack(STREAM, 2, 2)]
    assert rows_of(greeted, "SELECT size FROM quarantine ORDER BY id")[4] == (10_485_760,)
    assert rows_of(greeted, "SELECT count(*) FROM quarantine") == [(7,)]
    assert "version 2" in str(rows_of(greeted, "SELECT reason FROM quarantine ORDER BY id")[1])


def test_a_malformed_batch_with_a_readable_range_is_rejected_so_that_the_gateway_moves_on(
    greeted: Store,
) -> None:
    payload = b'{"v":1,"stream":"%s","first":2,"last":3,"entries":"none"}' % STREAM.encode()
    [ack] = acks(ingest(greeted, [Gateway().received("journal", payload)], NOW))
    assert [rejection.seq for rejection in ack.rejected] == [2, 3]
    assert rows_of(greeted, "SELECT count(*) FROM quarantine") == [(1,)]


def test_a_batch_that_does_not_hold_its_range_commits_nothing_of_it(greeted: Store) -> None:
    payload = b'{"v":1,"stream":"%s","first":2,"last":99999999,"entries":[]}' % STREAM.encode()
    assert acks(ingest(greeted, [Gateway().received("journal", payload)], NOW)) == []
    assert rows_of(greeted, "SELECT first, last FROM ledger") == [(1, 1)]


def test_a_message_that_the_database_refuses_is_rejected_entry_by_entry(
    greeted: Store,
) -> None:
    """A trigger stands for whatever makes a database say no to one row."""
    trigger = {
        "sqlite": "CREATE TRIGGER poison BEFORE INSERT ON event WHEN NEW.code = 'poison'"
        " BEGIN SELECT RAISE(ABORT, 'poisonous'); END",
        "mysql": "CREATE TRIGGER poison BEFORE INSERT ON event FOR EACH ROW"
        " BEGIN IF NEW.code = 'poison' THEN"
        " SIGNAL SQLSTATE '22001' SET MESSAGE_TEXT = 'poisonous', MYSQL_ERRNO = 1406; END IF; END",
    }
    engine = greeted._engine
    with engine.begin() as connection:
        connection.execute(text(trigger[engine.dialect.name]))
    try:
        one, other = Gateway(), Gateway("gw-2")
        poison = Event(BASE, "poison", "info", "")
        outcome = ingest(
            greeted,
            [
                other.hello(),
                other.batch(1, catalog(), power(BASE, 5)),
                one.batch(2, power(BASE, 1), poison, power(BASE + 1, 3)),
            ],
            NOW,
        )
    finally:
        with engine.begin() as connection:
            connection.execute(text("DROP TRIGGER poison"))
    found = {(ack.first, ack.last): ack.rejected for ack in acks(outcome)}
    assert found.keys() == {(1, 2), (2, 4)}
    assert [type(r) for r in found[2, 4]] == [Rejection]
    assert "poisonous" in found[2, 4][0].reason
    assert rows_of(greeted, "SELECT value FROM reading ORDER BY value") == [(1,), (3,), (5,)]


def test_latest_never_goes_back(greeted: Store) -> None:
    gateway, worker = Gateway(), Ingest(greeted)
    for seq, (at, value) in enumerate([(BASE, 5), (BASE - 9, 4), (BASE + 9, 6), (BASE + 1, 7)], 2):
        worker.take([gateway.batch(seq, power(at, value))], NOW)
    assert rows_of(greeted, "SELECT at, value FROM latest") == [(BASE + 9, 6)]
    assert rows_of(greeted, "SELECT count(*) FROM reading") == [(4,)]


def test_latest_is_not_frozen_by_a_reading_of_tomorrow(greeted: Store) -> None:
    gateway, worker = Gateway(), Ingest(greeted)
    ahead = (power(NOW + 86_400_000, 9), power(NOW + 300_001, 8), power(NOW + 300_000, 7))
    worker.take([gateway.batch(2, *ahead)], NOW)
    assert rows_of(greeted, "SELECT at, value FROM latest") == [(NOW + 300_000, 7)]
    worker.take([gateway.batch(5, power(NOW + 300_001, 6), power(NOW + 300_002, 5))], NOW + 2)
    assert rows_of(greeted, "SELECT at, value FROM latest") == [(NOW + 300_002, 5)]
    assert rows_of(greeted, "SELECT count(*) FROM reading") == [(4,)]


def test_the_first_reading_of_an_instant_stays(greeted: Store) -> None:
    batch = Gateway().batch(2, power(BASE, 1), power(BASE, 2))
    assert acks(ingest(greeted, [batch], NOW)) == [Ack(STREAM, 2, 3)]
    assert rows_of(greeted, "SELECT value FROM reading") == [(1,)]
    assert rows_of(greeted, "SELECT value FROM latest") == [(1,)]
    assert rows_of(greeted, "SELECT seq, reason FROM rejected") == [(3, f"power: {SECOND}")]


def test_a_reading_without_a_value_keeps_its_reason_and_raw_count(greeted: Store) -> None:
    body = Readings(BASE, [Value(1, None, 3), Value(2, -(2**63), 0, 2**63 - 1)])
    ingest(greeted, [Gateway().batch(2, body)], NOW)
    assert rows_of(greeted, "SELECT value, quality, raw FROM reading ORDER BY quality") == [
        (-(2**63), 0, 2**63 - 1),
        (None, 3, None),
    ]


def test_a_catalog_retires_what_it_lacks_and_an_older_one_brings_nothing_back(
    greeted: Store,
) -> None:
    gateway = Gateway()
    only_power = CatalogRegister(1, POWER)
    ingest(greeted, [gateway.batch(9, catalog(only_power))], NOW)
    active = "SELECT key FROM register WHERE active ORDER BY key"
    assert rows_of(greeted, active) == [("power",)]
    ingest(greeted, [gateway.batch(5, catalog())], NOW)
    assert rows_of(greeted, active) == [("power",)]
    ingest(greeted, [gateway.batch(10, catalog(only_power, CatalogRegister(2, VOLUME)))], NOW)
    assert rows_of(greeted, active) == [("power",), ("volume",)]


def test_a_register_whose_decimals_change_is_another_register(greeted: Store) -> None:
    finer = Register("power", "Power", Medium.ELECTRICITY, Kind.POWER, 2)
    gateway = Gateway()
    ingest(
        greeted,
        [
            gateway.batch(2, power(BASE, 1), catalog(CatalogRegister(9, finer))),
            gateway.batch(4, Readings(BASE, [Value(9, 10)])),
        ],
        NOW,
    )
    assert rows_of(
        greeted,
        "SELECT decimals, value FROM reading JOIN register ON register.id = register_id"
        " ORDER BY decimals",
    ) == [(1, 1), (2, 10)]


def test_a_number_never_changes_its_meaning(greeted: Store) -> None:
    [ack] = acks(ingest(greeted, [Gateway().batch(2, catalog(CatalogRegister(1, VOLUME)))], NOW))
    assert "number 1 names another register" in ack.rejected[0].reason


def test_a_database_without_tables_acknowledges_nothing(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(Retryable):
        ingest(store, [Gateway().hello(), Gateway().batch(1, catalog())], NOW)
    store.close()


def test_an_event_of_a_clock_that_was_never_set_is_kept_at_the_time_it_came(
    greeted: Store,
) -> None:
    ingest(greeted, [Gateway().batch(2, Event(5, "clock-unset", "warning", "1970"))], NOW)
    assert rows_of(greeted, "SELECT at, data FROM event") == [(NOW, '{"said_at":5}')]


def test_an_unknown_time_zone_does_not_keep_a_gateway_out(store: Store) -> None:
    ingest(store, [Gateway().hello(timezone="Mars/Olympus")], NOW)
    assert rows_of(store, "SELECT timezone FROM site") == [("UTC",)]


def test_many_gateways_go_in_one_transaction(store: Store) -> None:
    gateways = [Gateway(f"gw-{n}") for n in range(50)]
    ingest(store, [gateway.hello() for gateway in gateways], NOW)
    outcome = ingest(
        store, [gateway.batch(1, catalog(), power(BASE, 1)) for gateway in gateways], NOW
    )
    assert len(acks(outcome)) == 50
    assert rows_of(store, "SELECT count(*) FROM latest") == [(50,)]
