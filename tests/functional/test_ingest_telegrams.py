"""Telegrams come into both databases as they are, once; a bad one harms no other."""

import msgspec
import pytest
from sqlalchemy import event

from cloud.domain.retention import DAY_MS, Retention
from cloud.services.ingest import Ingest, Outcome, ingest
from cloud.services.retention import Keeper
from cloud.services.store import Store
from cloud.services.telegrams import AT_ONCE, all_telegrams, telegrams
from common.errors import NotFound
from common.messages.downlink import Ack
from common.messages.envelope import decode, encode
from common.messages.uplink import Salvaged, Telegram
from tests.harness.says import NOW, STREAM, Gateway, catalog, power
from tests.harness.tables import rows_of

BASE = NOW - 10_000
FRAMES = [bytes(range(256)), b"\x68", b"'\\\0" * 87]


@pytest.fixture
def greeted(store: Store) -> Store:
    return greet(store)


def greet(store: Store) -> Store:
    gateway = Gateway()
    ingest(store, [gateway.hello(), gateway.batch(1, catalog())], NOW)
    return store


def telegram(frame: bytes = FRAMES[0], at: int = BASE, device: str = "meter") -> Telegram:
    return Telegram(at, device, "mbus", frame)


def acks(outcome: Outcome) -> list[Ack]:
    return [decode(p.payload, Ack) for p in outcome.publications if p.topic.endswith("/ack")]


def gateway_in(store: Store) -> int:
    [(found,)] = rows_of(store, "SELECT id FROM gateway WHERE key = 'gw-1'")
    return int(found)


def kept(store: Store, device: str = "meter") -> list[tuple[int, bytes]]:
    found = all_telegrams(store, gateway_in(store), device)
    return [(one.key.at, bytes.fromhex(one.frame)) for one in found]


def test_a_telegram_is_stored_once_with_every_byte_however_often_it_comes(greeted: Store) -> None:
    worker = Ingest(greeted)
    batch = Gateway().batch(2, *(telegram(one) for one in FRAMES), telegram(device="other"))
    assert acks(worker.take([batch], NOW)) == [Ack(STREAM, 2, 5)]
    assert acks(worker.take([batch, batch], NOW + 1)) == [Ack(STREAM, 2, 5)] * 2
    assert kept(greeted) == [(BASE, frame) for frame in FRAMES]
    assert rows_of(greeted, "SELECT seq, protocol, received_at FROM telegram ORDER BY seq") == [
        (seq, "mbus", NOW) for seq in (2, 3, 4, 5)
    ]
    here = gateway_in(greeted)
    with greeted.begin() as uow:
        uow.telegrams.add(uow.telegrams.of(here, "meter", 0, 2**62, 9))
    assert len(kept(greeted)) == len(FRAMES), "known by its entry, whatever the ledger says"


def test_many_telegrams_are_one_statement_and_come_out_a_part_at_a_time(greeted: Store) -> None:
    asked: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(greeted._engine, "before_cursor_execute", note)
    count = 2 * AT_ONCE + 1
    # Two of each instant: what ends a part and what begins the next have the same time.
    ingest(greeted, [Gateway().batch(2, *(telegram(at=BASE + n // 2) for n in range(count)))], NOW)
    assert len([one for one in asked if "INTO telegram" in one]) == 1
    assert [at - BASE for at, _ in kept(greeted)] == [n // 2 for n in range(count)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (telegram(b"x" * 262), "length <= 261"),
        (telegram(b""), "length >= 1"),
        (telegram(device="No Key"), "No Key"),
        (telegram(at=0), "cannot be true"),
        (telegram(at=NOW + 3 * DAY_MS), "72 hours from now"),
        (("mbus", "lora"), "Invalid enum value 'lora'"),
        (("AAEC", "A*EC"), "Invalid base64"),
        (('"mbus"', "7"), "Expected `str`"),
    ],
)
def test_a_telegram_that_cannot_be_is_rejected_with_the_reason_and_harms_nothing(
    sqlite_store: Store, bad: Telegram | tuple[str, str], reason: str
) -> None:
    greet(sqlite_store)
    if isinstance(bad, tuple):
        text = encode(telegram()).decode()
        assert bad[0] in text
        entry = msgspec.Raw(text.replace(*bad, 1).encode())
    else:
        entry = msgspec.Raw(encode(bad))
    batch = Gateway().batch(2, power(BASE, 15), telegram(), entry, telegram(b"\1"))
    [ack] = acks(ingest(sqlite_store, [batch], NOW))
    assert [one.seq for one in ack.rejected] == [4]
    assert reason in ack.rejected[0].reason
    assert kept(sqlite_store) == [(BASE, FRAMES[0]), (BASE, b"\1")]
    assert rows_of(sqlite_store, "SELECT value FROM reading") == [(15,)]
    assert rows_of(sqlite_store, "SELECT seq, body FROM rejected") == [(4, bytes(entry))]


def test_a_telegram_out_of_a_damaged_journal_is_that_of_the_former_stream(greeted: Store) -> None:
    old, says = "a" * 32, Gateway()
    before = Gateway(stream=old)
    ingest(greeted, [before.hello()], NOW)
    ingest(greeted, [before.batch(1, telegram(b"\1"))], NOW)
    salvaged = [
        Salvaged(NOW, old, seq, msgspec.Raw(encode(telegram(bytes([seq]))))) for seq in (1, 2)
    ]
    ingest(greeted, [says.hello(boot=2), says.batch(2, *salvaged)], NOW)
    assert kept(greeted) == [(BASE, b"\1"), (BASE, b"\2")]
    assert rows_of(
        greeted, "SELECT DISTINCT stream FROM telegram JOIN stream ON stream.id = stream_id"
    ) == [(old,)]


def test_where_none_are_kept_they_are_acknowledged_and_not_stored(sqlite_store: Store) -> None:
    greet(sqlite_store)
    worker = Ingest(sqlite_store, keep_telegrams=False)
    assert acks(worker.take([Gateway().batch(2, telegram())], NOW)) == [Ack(STREAM, 2, 2)]
    assert kept(sqlite_store) == []


def test_telegrams_go_after_their_days_and_not_before(sqlite_store: Store) -> None:
    greet(sqlite_store)
    days = [telegram(at=BASE - day * DAY_MS) for day in range(4)]
    ingest(sqlite_store, [Gateway().batch(2, *days)], NOW)
    Keeper(sqlite_store, Retention(telegrams_days=2)).let_go(BASE)
    assert [at for at, _ in kept(sqlite_store)] == [BASE - day * DAY_MS for day in (2, 1, 0)]
    assert rows_of(sqlite_store, "SELECT count(*) FROM message") == [(3,)]


def test_a_span_and_a_device_are_asked_for_and_nothing_else_comes(greeted: Store) -> None:
    batch = Gateway().batch(2, *(telegram(at=BASE + n) for n in range(4)), telegram(device="other"))
    ingest(greeted, [batch], NOW)
    here = gateway_in(greeted)
    found = telegrams(greeted, here, "meter", start_ms=BASE + 1, end_ms=BASE + 3)
    assert [one.key.at for one in found] == [BASE + 1, BASE + 2]
    assert len(kept(greeted, "other")) == 1
    for gateway, device in ((here, "unheard-of"), (here + 1, "meter")):
        with pytest.raises(NotFound):
            telegrams(greeted, gateway, device)
