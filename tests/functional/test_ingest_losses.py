"""What gateways say is lost, and what is salvaged of damaged journals, on each database."""

import secrets
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from cloud.services import gateways, ledger
from cloud.services.book_views import StreamView
from cloud.services.ingest import Ingest, Publication, Received, ingest
from cloud.storage.unit_of_work import Store
from common.clock import to_datetime
from common.messages.batch import Entry, Lost, pack
from common.messages.downlink import Ack, Resume
from common.messages.envelope import decode, encode
from common.messages.uplink import Body, Event, Salvaged
from tests.harness.says import NOW, STREAM, Gateway, catalog, power
from tests.harness.tables import rows_of

MINUTE = 60_000
NEW = "b" * 32
Ranges = list[tuple[int, int]]


def batch(
    says: Gateway, bodies: Mapping[int, Body], lost: Iterable[tuple[int, int]] = ()
) -> Received:
    """Entries by number, and ranges that were dropped; together they are a range."""
    entries = [Entry(seq, Raw(encode(body))) for seq, body in bodies.items()]
    gone = [Lost(first, last, "drop_oldest") for first, last in lost]
    return says.received("journal", pack(says.stream, entries, gone))


def damaged(stream: str | None, at: int = NOW) -> Event:
    data: dict[str, str | int | None] = {"aside": "journal.damaged"}
    if stream:
        data["stream"] = stream
    return Event(at, "journal_damaged", "alarm", "the journal's file was damaged", data=data)


def salvaged(seq: int, body: Body, stream: str = STREAM) -> Salvaged:
    return Salvaged(NOW, stream, seq, Raw(encode(body)))


def books(store: Store, stream: str = STREAM) -> StreamView:
    [(gateway_id,)] = rows_of(store, "SELECT id FROM gateway WHERE key = 'gw-1'")
    return next(one for one in ledger.streams(store, gateway_id) if one.stream == stream)


def lost(store: Store, stream: str = STREAM) -> list[tuple[int, int | None]]:
    return [(one.first, one.last) for one in books(store, stream).losses]


def settled(store: Store, stream: str = STREAM) -> Ranges:
    return [(one.first, one.last) for one in books(store, stream).settled]


def missing(store: Store, stream: str = STREAM) -> Ranges:
    return [(one.first, one.last) for one in books(store, stream).missing]


def values(store: Store) -> list[int]:
    return [value for (value,) in rows_of(store, "SELECT value FROM reading ORDER BY at")]


@pytest.fixture
def says(store: Store) -> Gateway:
    """A gateway whose entries 1 to 3 are committed: a catalog, and two readings."""
    gateway = Gateway()
    first: dict[int, Body] = {1: catalog(), 2: power(NOW, 2), 3: power(NOW + MINUTE, 3)}
    ingest(store, [gateway.hello(), batch(gateway, first)], NOW)
    return gateway


def test_a_lost_range_is_acknowledged_settled_and_explained(store: Store, says: Gateway) -> None:
    said = batch(says, {10: power(NOW + 9 * MINUTE, 10)}, [(4, 9)])
    [answer] = ingest(store, [said], NOW + 10 * MINUTE).publications
    assert decode(answer.payload, Ack) == Ack(STREAM, 4, 10)
    found = books(store)
    assert (settled(store), missing(store)) == ([(1, 10)], [])
    [loss] = found.losses
    assert (loss.first, loss.last, loss.reason) == (4, 9, "drop_oldest")
    assert (loss.start, loss.end) == (to_datetime(NOW + MINUTE), to_datetime(NOW + 9 * MINUTE))
    assert (found.committed, found.lost) == (4, 6)
    [gateway] = gateways.gateways(store, NOW)
    assert (gateway.committed, gateway.lost, gateway.missing) == (4, 6, 0)


def test_a_resume_names_lost_ranges_as_dealt_with(store: Store, says: Gateway) -> None:
    ingest(store, [batch(says, {}, [(4, 9)])], NOW)
    [answer] = ingest(store, [says.hello(session=2)], NOW).publications
    assert decode(answer.payload, Resume).committed == [(1, 9)]


def test_saying_again_that_something_is_lost_changes_nothing(store: Store, says: Gateway) -> None:
    said = batch(says, {10: power(NOW + 9 * MINUTE, 10)}, [(4, 9)])
    ingest(store, [said, said], NOW)
    before = rows_of(store, "SELECT * FROM loss")
    ingest(store, [said], NOW + MINUTE)
    ingest(store, [batch(says, {}, [(5, 6)]), batch(says, {}, [(4, 9)])], NOW + MINUTE)
    assert rows_of(store, "SELECT * FROM loss") == before
    assert settled(store) == [(1, 10)]


def test_what_is_committed_is_never_lost(store: Store, says: Gateway) -> None:
    ingest(store, [batch(says, {6: power(NOW + 6 * MINUTE, 6)})], NOW)
    ingest(store, [batch(says, {}, [(2, 9)])], NOW)
    assert lost(store) == [(4, 5), (7, 9)]
    assert values(store) == [2, 3, 6]


@pytest.mark.parametrize("together", [True, False])
def test_what_comes_after_it_was_called_lost_is_stored_and_lost_no_more(
    store: Store, says: Gateway, together: bool
) -> None:
    late = {seq: power(NOW + seq * MINUTE, seq) for seq in (5, 6)}
    said = [batch(says, {}, [(4, 9)]), batch(says, late), batch(says, late)]
    cloud = Ingest(store)
    answers: list[Publication] = []
    for group in [said] if together else [[one] for one in said]:
        answers += cloud.take(group, NOW).publications
    assert [decode(answer.payload, Ack).rejected for answer in answers] == [[], [], []]
    assert lost(store) == [(4, 4), (7, 9)]
    assert (settled(store), values(store)) == ([(1, 9)], [2, 3, 5, 6])


def test_what_a_damaged_journal_held_is_lost_to_an_open_end(store: Store, says: Gateway) -> None:
    ingest(store, [says.hello(next_seq=12), batch(says, {6: power(NOW + MINUTE * 6, 6)})], NOW)
    new = Gateway(stream=NEW)
    said = batch(new, {1: damaged(STREAM, NOW + 1), 2: damaged(STREAM, NOW + 1)})
    ingest(store, [new.hello()], NOW + 2)
    for _ in range(2):
        ingest(store, [said], NOW + 2)
    assert lost(store) == [(4, 5), (7, 11), (12, None)]
    assert {one.reason for one in books(store).losses} == {"journal_damaged"}
    assert (settled(store), missing(store)) == ([(1, 11)], [])
    assert books(store).closed_at == to_datetime(NOW + 2)
    assert (books(store).current, books(store, NEW).current) == (False, True)


def test_a_damaged_journal_that_the_cloud_never_met_is_explained(
    store: Store, says: Gateway
) -> None:
    ingest(store, [batch(says, {4: damaged("c" * 32)})], NOW)
    assert lost(store, "c" * 32) == [(1, None)]
    assert (books(store).current, books(store).losses) == (True, ())


def test_damage_closes_only_a_stream_of_the_same_gateway(store: Store, says: Gateway) -> None:
    other = Gateway("gw-2", stream=NEW)
    said = {1: damaged(STREAM), 2: damaged(None), 3: damaged("no stream"), 4: damaged(NEW)}
    ingest(store, [other.hello()], NOW)
    ingest(store, [batch(other, said)], NOW)
    assert rows_of(store, "SELECT count(*) FROM loss") == [(0,)]
    assert rows_of(store, "SELECT closed_at FROM stream") == [(None,), (None,)]
    assert rows_of(store, "SELECT count(*) FROM event WHERE code = 'journal_damaged'") == [(4,)]


@pytest.mark.parametrize("explained", [True, False])
def test_what_is_salvaged_is_committed_to_the_old_stream_once(
    store: Store, says: Gateway, explained: bool
) -> None:
    new = Gateway(stream=NEW)
    said: dict[int, Body] = {1: damaged(STREAM)} if explained else {1: catalog()}
    said |= {2: salvaged(3, power(NOW + MINUTE, 4711))}  # has come: what is there stays
    said |= {seq: salvaged(seq + 2, power(NOW + seq * MINUTE, seq)) for seq in (3, 4, 6)}
    said[5] = salvaged(7, Event(NOW, "old", "info", "of the old journal"))
    whole = batch(new, dict(sorted(said.items())))
    ingest(store, [new.hello()], NOW)
    [answer] = ingest(store, [whole], NOW).publications
    assert decode(answer.payload, Ack) == Ack(NEW, 1, 6)
    ingest(store, [whole, batch(new, {7: salvaged(5, power(NOW, 4712))})], NOW)
    assert values(store) == [2, 3, 3, 4, 6]
    assert rows_of(
        store,
        "SELECT s.stream, e.seq FROM event e JOIN stream s ON s.id = e.stream_id"
        " WHERE e.code = 'old'",
    ) == [(STREAM, 7)]
    if explained:
        assert lost(store) == [(4, 4), (9, None)]
        assert (settled(store), missing(store)) == ([(1, 8)], [])
    else:
        assert (lost(store), missing(store)) == ([], [(4, 4)])


def test_a_journal_that_never_came_is_salvaged_with_its_catalog(store: Store) -> None:
    new = Gateway(stream=NEW)
    ingest(store, [new.hello()], NOW)
    said: dict[int, Body] = {
        1: damaged(STREAM),
        2: salvaged(1, catalog()),
        3: salvaged(2, power(NOW, 5)),
    }
    ingest(store, [batch(new, said)], NOW)
    assert (values(store), lost(store)) == ([5], [(3, None)])
    assert books(store, NEW).current


def test_what_is_salvaged_waits_for_its_catalog(store: Store) -> None:
    new = Gateway(stream=NEW)
    ingest(store, [new.hello(next_seq=4)], NOW)
    catalogs, late = batch(new, {1: salvaged(1, catalog())}), salvaged(2, power(NOW, 5))
    [answer] = ingest(store, [batch(new, {2: late})], NOW).publications
    assert decode(answer.payload, Resume).committed == []
    ingest(store, [catalogs], NOW)
    ingest(store, [batch(new, {2: late})], NOW)
    assert values(store) == [5]
    assert rows_of(store, "SELECT count(*) FROM rejected") == [(0,)]


def test_what_was_salvaged_twice_is_taken_out_of_both(store: Store, says: Gateway) -> None:
    inner = salvaged(4, power(NOW + 4 * MINUTE, 4))
    newest = Gateway(stream="c" * 32)
    ingest(store, [newest.hello()], NOW)
    ingest(store, [batch(newest, {1: salvaged(7, inner, NEW)})], NOW)
    assert values(store) == [2, 3, 4]
    assert (settled(store), settled(store, NEW)) == ([(1, 4)], [(7, 7)])


def test_what_cannot_be_salvaged_is_rejected_with_the_reason(store: Store, says: Gateway) -> None:
    other = Gateway("gw-2", stream=NEW)
    endless: Body = power(NOW, 1)
    for _ in range(12):
        endless = salvaged(9, endless, "c" * 32)
    said: dict[int, Body] = {
        1: salvaged(9, power(NOW, 1)),
        2: salvaged(9, power(NOW, 1), NEW),
        3: salvaged(9, power(NOW, 1), "d" * 32),
        4: salvaged(9, power(0, 1), "d" * 32),
        5: endless,
    }
    ingest(store, [other.hello()], NOW)
    [answer] = ingest(store, [batch(other, said)], NOW).publications
    reasons = {one.seq: one.reason for one in decode(answer.payload, Ack).rejected}
    assert reasons[1] == f"stream {STREAM} is another gateway's"
    assert reasons[2] == "a stream that goes on was not set aside"
    assert reasons[3] == "no catalog says what register number 1 is"
    assert reasons[4] == "measured at 0 ms, which cannot be true"
    assert reasons[5] == "salvaged more than 8 times"
    assert values(store) == [2, 3]


def test_a_gap_is_missing_since_a_later_number_came(store: Store, says: Gateway) -> None:
    def seen() -> list[tuple[int, int, int]]:
        found = books(store).missing
        return [(one.first, one.last, (one.since - to_datetime(NOW)).seconds) for one in found]

    def reading(seq: int) -> Received:
        return batch(says, {seq: power(NOW + seq, seq)})

    ingest(store, [reading(10)], NOW + 1000)
    ingest(store, [reading(20)], NOW + 2000)
    assert seen() == [(4, 9, 1), (11, 19, 2)]
    ingest(store, [reading(6), reading(9), reading(21)], NOW + 3000)
    assert seen() == [(4, 5, 1), (7, 8, 1), (11, 19, 2)]
    ingest(store, [says.hello(session=2, first_kept=6, next_seq=30)], NOW + 4000)
    ingest(store, [says.hello(session=3, first_kept=6, next_seq=31)], NOW + 5000)
    assert seen() == [(4, 5, 1), (7, 8, 1), (11, 19, 2), (22, 30, 4)]
    assert [one.held for one in books(store).missing] == [False, True, True, True]
    ingest(store, [reading(28)], NOW + 6000)
    assert seen() == [(4, 5, 1), (7, 8, 1), (11, 19, 2), (22, 27, 4), (29, 30, 4)]


Span = tuple[int, int]
SPANS = st.tuples(st.integers(1, 30), st.integers(0, 8)).map(lambda s: (s[0], s[0] + s[1]))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.booleans(), SPANS), min_size=1, max_size=12), data=st.data())
def test_in_any_order_the_books_hold(
    sqlite_store: Store, steps: list[tuple[bool, Span]], data: st.DataObject
) -> None:
    """Whatever came is stored once; whatever was only called lost is lost; the rest is missing."""
    says = Gateway(stream=secrets.token_hex(16))
    before = len(values(sqlite_store))
    start = NOW + before * MINUTE
    cloud = Ingest(sqlite_store)
    cloud.take([says.hello(), says.batch(40, catalog())], NOW)
    came, gone = set(), set()
    groups: list[list[Received]] = [[]]
    for is_lost, (first, last) in steps:
        numbers = range(first, last + 1)
        if is_lost:
            gone |= set(numbers)
            said = batch(says, {}, [(first, last)])
        else:
            came |= set(numbers)
            said = batch(says, {seq: power(start + seq, seq) for seq in numbers})
        groups[-1].append(said)
        if data.draw(st.booleans()):
            groups.append([])
    for group in groups:
        cloud.take(group, NOW)
    found = books(sqlite_store, says.stream)
    lost_now = {n for one in found.losses for n in range(one.first, (one.last or 0) + 1)}
    missing_now = {n for one in found.missing for n in range(one.first, one.last + 1)}
    assert lost_now == gone - came
    assert missing_now == set(range(1, 40)) - gone - came
    assert (found.committed, found.lost) == (len(came) + 1, len(lost_now))
    assert len(values(sqlite_store)) == before + len(came)
