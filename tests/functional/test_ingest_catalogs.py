"""Catalogs: what several workers know of them, and what one bad register in them may not do."""

import msgspec
import pytest

from cloud.services.ingest import Ingest, Outcome, ingest
from cloud.storage.unit_of_work import Store
from common.messages.downlink import Ack, Resume
from common.messages.envelope import decode, encode
from common.messages.uplink import Catalog, CatalogDevice, CatalogRegister, Readings, Value
from common.registers import Kind, Medium, Register
from tests.harness.says import NOW, POWER, STREAM, VOLUME, Gateway, catalog, power
from tests.harness.tables import rows_of

ONE = CatalogRegister(1, POWER)
TWO = CatalogRegister(2, VOLUME)
FLOW = CatalogRegister(3, Register("flow", "Flow", Medium.WATER, Kind.FLOW, 2))
VALUES = "SELECT register.key, value FROM reading JOIN register ON id = register_id ORDER BY 1, 2"


@pytest.fixture
def greeted(store: Store) -> Store:
    ingest(store, [Gateway().hello(), Gateway().batch(1, catalog(ONE))], NOW)
    return store


def ack(outcome: Outcome) -> Ack:
    [found] = [decode(p.payload, Ack) for p in outcome.publications if p.topic.endswith("/ack")]
    return found


def why(outcome: Outcome) -> list[tuple[int, str]]:
    return [(one.seq, one.reason) for one in ack(outcome).rejected]


def reads(no: int, value: int, at: int = NOW) -> Readings:
    return Readings(at, [Value(no, value)])


def altered(body: object, old: bytes, new: bytes) -> msgspec.Raw:
    text = msgspec.json.encode(body)
    assert old in text
    return msgspec.Raw(text.replace(old, new))


def test_a_worker_does_not_reject_what_a_catalog_defines_that_another_worker_took(
    greeted: Store,
) -> None:
    gateway, one, other = Gateway(), Ingest(greeted), Ingest(greeted)
    assert not why(one.take([gateway.batch(2, reads(1, 10))], NOW))
    assert not why(other.take([gateway.batch(3, catalog(ONE, TWO))], NOW))
    assert not why(one.take([gateway.batch(4, reads(2, 20))], NOW))
    assert not why(other.take([gateway.batch(5, reads(2, 21, NOW + 1))], NOW))
    assert not why(one.take([gateway.batch(6, catalog(ONE, TWO, FLOW))], NOW))
    assert not why(other.take([gateway.batch(7, catalog(ONE, FLOW))], NOW))
    assert not why(other.take([gateway.batch(8, reads(3, 30))], NOW))
    assert not why(one.take([gateway.batch(9, reads(3, 31, NOW + 1))], NOW))
    assert rows_of(greeted, VALUES) == [
        ("flow", 30),
        ("flow", 31),
        ("power", 10),
        ("volume", 20),
        ("volume", 21),
    ]
    assert rows_of(greeted, "SELECT no FROM stream_register ORDER BY no") == [(1,), (2,), (3,)]


def test_a_worker_that_took_an_older_catalog_later_keeps_nothing_from_the_other(
    greeted: Store,
) -> None:
    gateway, one, other = Gateway(), Ingest(greeted), Ingest(greeted)
    assert not why(one.take([gateway.batch(9, catalog(ONE))], NOW))
    assert not why(other.take([gateway.batch(5, catalog(ONE, TWO))], NOW))
    assert not why(one.take([gateway.batch(10, reads(2, 20))], NOW))


def test_a_restored_database_is_not_taken_for_what_it_was(greeted: Store) -> None:
    """Under living connections: rows go, and their ids are given to others."""
    gateway, worker = Gateway(), Ingest(greeted)
    worker.take([gateway.batch(2, catalog(ONE, TWO), reads(2, 1))], NOW)
    with greeted._engine.begin() as connection:
        for statement in (
            "DELETE FROM reading",
            "DELETE FROM latest",
            "DELETE FROM stream_register",
            "DELETE FROM register",
            "DELETE FROM ledger",
            "UPDATE stream SET catalog_seq = 0",
        ):
            connection.exec_driver_sql(statement)
    early = worker.take([gateway.batch(4, reads(2, 2))], NOW)
    [resume] = [decode(p.payload, Resume) for p in early.publications]
    assert resume == Resume(STREAM, [], NOW)
    assert not why(worker.take([gateway.batch(1, catalog(ONE), catalog(ONE, TWO))], NOW))
    assert not why(worker.take([gateway.batch(3, reads(2, 1), reads(2, 2, NOW + 1))], NOW))
    assert rows_of(greeted, VALUES) == [("volume", 1), ("volume", 2)]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"kind":"flow"', b'"kind":"pressure"', "pressure"),
        (b'"medium":7', b'"medium":99', "99"),
        (b'"decimals":2', b'"decimals":10', "10 decimals"),
        (b'"decimals":2', b'"decimals":"two"', "decimals"),
        (b'"decimals":2', b'"decimals":2,"obis":"' + b"1" * 49 + b'"', "too long"),
        (b'"key":"flow"', b'"key":"Fl ow"', "not a key"),
        (b'"key":"flow"', b'"key":"volume"', "twice"),
    ],
)
def test_one_bad_register_does_not_cost_the_others(
    greeted: Store, old: bytes, new: bytes, reason: str
) -> None:
    gateway = Gateway()
    bad = altered(catalog(ONE, TWO, FLOW), old, new)
    both = Readings(NOW, [Value(1, 10), Value(3, 30), Value(2, 20)])
    rejected = why(ingest(greeted, [gateway.batch(2, bad, both, reads(2, 21, NOW + 1))], NOW))
    assert [seq for seq, _ in rejected] == [2, 3]
    assert reason in rejected[0][1]
    assert rejected[1][1] == "no catalog says what register number 3 is"
    assert rows_of(greeted, VALUES) == [("power", 10), ("volume", 20), ("volume", 21)]
    assert rows_of(greeted, "SELECT seq, severity FROM event") == [(2, "alarm")]
    assert rows_of(greeted, "SELECT body FROM rejected WHERE seq = 3") == [(encode(both),)]
    again = catalog(ONE, TWO, FLOW)
    assert not why(ingest(greeted, [gateway.batch(5, again, reads(3, 31))], NOW))


def test_a_number_that_came_twice_in_a_catalog_names_nothing(greeted: Store) -> None:
    bad = catalog(ONE, CatalogRegister(2, VOLUME), CatalogRegister(2, FLOW.register))
    rejected = why(ingest(greeted, [Gateway().batch(2, bad, reads(2, 1), reads(1, 1))], NOW))
    assert [seq for seq, _ in rejected] == [2, 3]
    assert rows_of(greeted, VALUES) == [("power", 1)]


@pytest.mark.parametrize(
    ("old", "new"), [(b'"driver":"mbus"', b'"driver":"\xc3\xa9"'), (b'"key":"meter"', b'"key":"M"')]
)
def test_a_bad_device_does_not_cost_the_others(greeted: Store, old: bytes, new: bytes) -> None:
    good, bad = catalog(ONE), altered(catalog(TWO).devices[0], old, new)
    text = msgspec.json.encode(good)[:-2] + b"," + bytes(bad) + b"]}"
    taken = msgspec.Raw(text.replace(b'"meter"', b'"other"', 1))
    rejected = why(ingest(greeted, [Gateway().batch(2, taken, reads(2, 1))], NOW))
    assert [seq for seq, _ in rejected] == [2, 3]
    assert rows_of(greeted, "SELECT key FROM device WHERE active") == [("other",)]


def test_a_name_that_is_too_long_is_cut_and_costs_nothing(greeted: Store) -> None:
    long = altered(catalog(ONE), b'"name":"Power"', b'"name":"' + b"P" * 201 + b'"')
    assert not why(ingest(greeted, [Gateway().batch(2, long)], NOW))
    assert rows_of(greeted, "SELECT length(name) FROM register") == [(200,)]


def test_a_reading_never_goes_to_a_register_of_another_scale(greeted: Store) -> None:
    gateway, one, other = Gateway(), Ingest(greeted), Ingest(greeted)
    finer = CatalogRegister(1, Register("power", "Power", Medium.ELECTRICITY, Kind.POWER, 2))
    assert not why(one.take([gateway.batch(2, power(NOW, 1))], NOW))
    rejected = why(other.take([gateway.batch(3, catalog(finer, TWO), reads(2, 5))], NOW))
    assert rejected == [(3, "number 1 names another register already")]
    for worker, seq in ((one, 5), (other, 6), (Ingest(greeted), 7)):
        assert why(worker.take([gateway.batch(seq, power(NOW + seq, 100))], NOW)) == [
            (seq, "number 1 was said to name two registers")
        ]
    assert rows_of(greeted, VALUES) == [("power", 1), ("volume", 5)]
    renumbered = CatalogRegister(9, finer.register)
    assert not why(one.take([gateway.batch(8, catalog(renumbered, TWO), reads(9, 7))], NOW))
    assert [seq for seq, _ in why(one.take([gateway.batch(10, catalog(finer))], NOW))] == [10]


def test_a_known_register_is_not_lost_for_a_label(greeted: Store) -> None:
    bad = altered(catalog(ONE), b'"decimals":1', b'"decimals":1,"obis":"' + b"1" * 49 + b'"')
    rejected = why(ingest(greeted, [Gateway().batch(2, bad, power(NOW, 3))], NOW))
    assert [seq for seq, _ in rejected] == [2]
    assert rows_of(greeted, VALUES) == [("power", 3)]
    assert rows_of(greeted, "SELECT active FROM register") == [(1,)]
    worse = altered(catalog(ONE), b'"kind":"power"', b'"kind":"might"')
    rejected = why(ingest(greeted, [Gateway().batch(4, worse, power(NOW + 1, 3))], NOW))
    assert [seq for seq, _ in rejected] == [4, 5]


def part(key: str, no: int, *others: str) -> Catalog:
    device = CatalogDevice(key, key, "mbus", [CatalogRegister(no, POWER)])
    return Catalog(NOW, [device], list(others))


def test_a_part_of_a_catalog_retires_nothing_that_the_other_parts_describe(store: Store) -> None:
    gateway = Gateway()
    ingest(store, [gateway.hello()], NOW)
    active = (
        "SELECT device.key FROM device JOIN register ON device_id = device.id"
        " WHERE device.active AND register.active ORDER BY 1"
    )
    whole = [part("a", 1, "b", "c"), part("b", 2, "a", "c"), part("c", 3, "a", "b")]
    assert not why(ingest(store, [gateway.batch(1, *whole)], NOW))
    assert rows_of(store, active) == [("a",), ("b",), ("c",)]
    assert not why(ingest(store, [gateway.batch(4, part("b", 2, "c"))], NOW))
    assert rows_of(store, active) == [("b",), ("c",)]
    assert not why(ingest(store, [gateway.batch(5, part("c", 3, "b"))], NOW))
    assert rows_of(store, active) == [("b",), ("c",)]
    assert not why(ingest(store, [gateway.batch(6, part("c", 3))], NOW))
    assert rows_of(store, active) == [("c",)]
