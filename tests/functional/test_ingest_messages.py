"""What gateways send is written down as it came, once, and can be taken apart again."""

from random import Random

import msgspec
import pytest

from cloud.domain.retention import DAY_MS, Retention
from cloud.services import messages
from cloud.services.ingest import Ingest, ingest
from cloud.services.retention import Keeper
from cloud.services.store import Store
from common.errors import NotFound
from common.messages.batch import Entry, pack
from common.messages.envelope import encode
from common.messages.uplink import Readings, Value
from tests.harness.says import NOW, STREAM, VOLUME_NO, Gateway, catalog, power
from tests.harness.tables import rows_of

BASE = NOW - 10_000


def id_of(store: Store, key: str = "gw-1") -> int:
    [(found,)] = rows_of(store, f"SELECT id FROM gateway WHERE key = '{key}'")
    return int(found)


@pytest.fixture
def greeted(store: Store) -> Store:
    gateway = Gateway()
    ingest(store, [gateway.hello(), gateway.batch(1, catalog())], NOW)
    return store


def log(store: Store) -> list[tuple[str, int | None, int | None, str]]:
    """What is written down, oldest first."""
    found = messages.messages(store, id_of(store))[::-1]
    return [(one.kind, one.first, one.last, one.outcome) for one in found]


def newest(store: Store) -> str:
    """The id of the message that came last."""
    return messages.messages(store, id_of(store), limit=1)[0].id


def test_every_message_is_written_down_with_what_became_of_it(greeted: Store) -> None:
    worker, says = Ingest(greeted), Gateway(now_ms=NOW + 1)
    batch = says.batch(2, power(BASE, 15), power(0, 1))
    good = says.batch(4, power(BASE + 1, 15))
    worker.take([batch], NOW)
    worker.take([good, good], NOW)
    says.now_ms += 1
    unnamed = says.batch(90, Readings(BASE, [Value(77, 1)]))
    worker.take([unnamed, says.received("status", b"no status")], NOW)
    assert sorted(log(greeted)[:2]) == [("hello", None, None, "taken"), ("journal", 1, 1, "stored")]
    assert log(greeted)[2:] == [
        ("journal", 2, 3, "rejected 1"),
        ("journal", 4, 4, "stored"),
        ("journal", 4, 4, "duplicate"),
        ("journal", 90, 90, "not taken"),
    ]
    assert messages.raw(greeted, id_of(greeted), newest(greeted)) == unnamed.payload
    found = messages.messages(greeted, id_of(greeted))[0]
    assert (found.size, found.stream) == (len(unnamed.payload), STREAM)


def test_bytes_come_back_as_they_went_whatever_they_are(greeted: Store) -> None:
    values = Random(7)
    entries = [
        Entry(n, msgspec.Raw(encode(power(BASE + n, values.randrange(2**40)))))
        for n in range(2, 602)
    ]
    payload = pack(STREAM, entries)
    assert set(payload) == set(range(256)), "each byte, also those that quote and end"
    outcome = ingest(greeted, [Gateway(now_ms=NOW + 5).received("journal", payload)], NOW)
    assert len(outcome.publications) == 1
    assert messages.raw(greeted, id_of(greeted), newest(greeted)) == payload


def test_megabytes_at_once_need_no_statement_that_the_server_does_not_take(greeted: Store) -> None:
    says = Gateway(now_ms=NOW + 5)
    filler = "x" * 900_000
    many = [
        says.received("hello", says.hello(next_seq=n).payload[:-1] + f',"z":"{filler}"}}'.encode())
        for n in range(1, 22)
    ]
    ingest(greeted, many, NOW)
    [(size,)] = rows_of(greeted, "SELECT SUM(LENGTH(payload)) FROM message")
    assert size > 18_000_000


def test_two_messages_on_one_key_of_the_log_are_both_taken(
    greeted: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.randbelow", lambda _: 5)
    says = Gateway(now_ms=NOW + 1)
    for seq in (2, 3):
        outcome = ingest(greeted, [says.batch(seq, power(BASE + seq, 15))], NOW)
        assert outcome.publications
    assert log(greeted)[2:] == [("journal", 2, 2, "stored")]
    assert len(rows_of(greeted, "SELECT * FROM reading")) == 2
    assert rows_of(greeted, "SELECT * FROM rejected") == []


def test_a_message_that_is_taken_entry_by_entry_is_written_down_once(greeted: Store) -> None:
    too_long = msgspec.Raw(
        encode(power(BASE, 1)).replace(b'"r":[[1,1]]', b'"r":[[1,9223372036854775808]]')
    )
    batch = Gateway(now_ms=NOW + 1).batch(2, power(BASE + 1, 1), too_long)
    ingest(greeted, [batch], NOW)
    assert [one[1:3] for one in log(greeted)[2:]] == [(2, 3)]


def test_what_could_not_be_read_is_kept_whole_and_opened_with_the_reason(greeted: Store) -> None:
    payload = f'{{"v":1,"stream":"{STREAM}","first":2,"last":3,"at":["never"]}}'.encode()
    ingest(greeted, [Gateway(now_ms=NOW + 1).received("journal", payload)], NOW)
    opened = messages.opened(greeted, id_of(greeted), newest(greeted))
    assert log(greeted)[-1][3] == "rejected 2"
    assert "Expected `int`, got `str`" in opened.problem
    assert [one.seq for one in opened.entries] == [2, 3]


def test_a_message_is_opened_with_the_names_of_its_registers(greeted: Store) -> None:
    body = Readings(BASE, [Value(VOLUME_NO, 1_234_567, 1, 99), Value(77, 5)])
    ingest(greeted, [Gateway(now_ms=NOW + 1).batch(2, body, catalog())], NOW)
    first, second = messages.opened(greeted, id_of(greeted), newest(greeted)).entries
    volume, unknown = first.readings
    assert (volume.device, volume.register, str(volume.value)) == ("meter", "volume", "1234.567")
    assert (volume.quality, volume.raw) == ("estimated", 99)
    assert (unknown.device, unknown.value) == ("", None)
    assert second.body is not None
    assert '"k":"catalog"' in second.body


def test_nothing_is_written_down_where_no_messages_are_kept(store: Store) -> None:
    Ingest(store, keep_messages=False).take([Gateway().hello()], NOW)
    assert rows_of(store, "SELECT count(*) FROM message") == [(0,)]


def test_a_message_of_another_gateway_is_not_there(greeted: Store) -> None:
    ingest(greeted, [Gateway("gw-2", "a" * 32).hello()], NOW)
    its = newest(greeted)
    for wrong in (its.replace("-", "-9"), "x", "1-²", "1"):
        with pytest.raises(NotFound, match="no message"):
            messages.raw(greeted, id_of(greeted), wrong)
    with pytest.raises(NotFound, match="no message"):
        messages.raw(greeted, id_of(greeted, "gw-2"), its)
    assert [one.outcome for one in messages.messages(greeted, id_of(greeted, "gw-2"))] == ["taken"]


def test_messages_go_after_their_days_and_not_before(sqlite_store: Store) -> None:
    for day in range(4):
        ingest(sqlite_store, [Gateway(now_ms=NOW + day * DAY_MS).hello()], NOW)
    Keeper(sqlite_store, Retention(messages_days=2)).let_go(NOW + 3 * DAY_MS)
    times = rows_of(sqlite_store, "SELECT at FROM message ORDER BY at")
    assert times == [(NOW + day * DAY_MS,) for day in (1, 2, 3)]
    Keeper(sqlite_store, Retention(messages_days=0)).let_go(NOW + 4 * DAY_MS)
    assert rows_of(sqlite_store, "SELECT count(*) FROM message") == [(0,)]
