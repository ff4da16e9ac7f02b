"""A card that was copied: two computers say that they are one gateway."""

import msgspec
import pytest

from cloud.services.identity import SILENT_MS
from cloud.services.ingest import Ingest, Outcome, Received
from cloud.storage.unit_of_work import Store
from common.messages.downlink import Resume
from common.messages.envelope import decode, encode
from common.messages.uplink import Hello
from tests.harness.says import NOW, Gateway, catalog, power
from tests.harness.tables import rows_of

FIRST, SECOND = Gateway(stream="a" * 32), Gateway(stream="b" * 32)


def hello(gateway: Gateway, machine: str) -> Received:
    said = decode(gateway.hello().payload, Hello)
    return gateway.received("hello", encode(msgspec.structs.replace(said, machine=machine)))


def resume(outcome: Outcome) -> Resume:
    [resume] = [decode(p.payload, Resume) for p in outcome.publications if "resume" in p.topic]
    return resume


@pytest.fixture
def worker(store: Store) -> Ingest:
    worker = Ingest(store)
    worker.take([hello(FIRST, "one"), FIRST.batch(1, catalog())], NOW)
    return worker


def test_a_second_computer_is_refused_and_an_alarm_names_both(worker: Ingest, store: Store) -> None:
    answer = resume(worker.take([hello(SECOND, "two")], NOW + 1000))
    assert answer.machine == "two"
    assert "one" in answer.refused
    assert "two" in answer.refused
    worker.take([hello(SECOND, "two")], NOW + 60_000)
    [(severity, text)] = rows_of(store, "SELECT severity, text FROM event")
    assert severity == "alarm"
    assert "one" in text
    assert "two" in text
    assert rows_of(store, "SELECT stream FROM stream") == [("a" * 32,)]


def test_the_first_one_goes_on_as_if_nothing_were(worker: Ingest, store: Store) -> None:
    worker.take([hello(SECOND, "two")], NOW + 1000)
    answer = resume(worker.take([hello(FIRST, "one")], NOW + 2000))
    assert (answer.refused, answer.committed) == ("", [(1, 1)])
    worker.take([FIRST.batch(2, power(NOW, 5))], NOW + 3000)
    assert rows_of(store, "SELECT value FROM reading") == [(5,)]


def test_of_two_that_come_at_once_one_is_refused(store: Store) -> None:
    outcome = Ingest(store).take([hello(FIRST, "one"), hello(SECOND, "two")], NOW)
    answers = [decode(p.payload, Resume) for p in outcome.publications]
    assert [bool(answer.refused) for answer in answers] == [False, True]


def test_a_refused_one_does_not_keep_the_place_warm(worker: Ingest, store: Store) -> None:
    for minute in range(20):
        worker.take([hello(SECOND, "two")], NOW + minute * 60_000)
    assert rows_of(store, "SELECT machine FROM gateway") == [("two",)]


def test_another_computer_is_let_in_when_the_first_has_been_silent(
    worker: Ingest, store: Store
) -> None:
    answer = resume(worker.take([hello(SECOND, "two")], NOW + SILENT_MS + 1000))
    assert answer.refused == ""
    assert rows_of(store, "SELECT code, severity FROM event") == [("gateway-moved", "warning")]
    assert resume(worker.take([hello(FIRST, "one")], NOW + SILENT_MS + 2000)).refused


def test_a_computer_that_does_not_know_which_it_is_is_let_in(worker: Ingest) -> None:
    assert resume(worker.take([hello(FIRST, "")], NOW + 1000)).refused == ""
