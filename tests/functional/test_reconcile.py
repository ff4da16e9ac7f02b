"""What is missing is asked for again, and told when that is in vain, on each database."""

import asyncio
import secrets

import pytest

from cloud.services.ingest import ingest
from cloud.services.reconcile import reconcile
from cloud.storage.unit_of_work import Store
from cloud.workers.dispatch import DispatchWorker
from common import topics
from common.clock import ManualClock
from common.messages.downlink import Resume
from common.messages.envelope import decode, encode
from common.messages.uplink import Event, Status
from tests.harness.gateway import GatewayEnd, connected, in_time, running
from tests.harness.mosquitto import Mosquitto
from tests.harness.says import NOW, STREAM, Gateway, catalog, power
from tests.harness.tables import rows_of

MINUTE = 60_000


def minutes_until_asked(store: Store, says: Gateway, minutes: int, start: int = 0) -> list[int]:
    """At which of these minutes the gateway, which is online, is asked for what is missing."""
    asked = []
    for minute in range(start, start + minutes):
        at = NOW + minute * MINUTE
        status = Status(says.stream, online=True, boot=1, session=1, at=at)
        ingest(store, [says.received("status", encode(status))], at)
        for publication in reconcile(store, at):
            assert publication.topic == topics.down("gw-1", "resume")
            asked.append(minute)
    return asked


def told(store: Store) -> list[tuple[str, str]]:
    return [
        (code, severity)
        for code, severity in rows_of(
            store,
            "SELECT code, severity FROM event WHERE code LIKE 'journal_gap%' ORDER BY seq DESC",
        )
    ]


@pytest.fixture
def says(store: Store) -> Gateway:
    """A gateway of which entries 2 to 4 are missing."""
    gateway = Gateway()
    ingest(store, [gateway.hello(), gateway.batch(1, catalog())], NOW)
    ingest(store, [gateway.batch(5, power(NOW, 5))], NOW)
    return gateway


def test_a_gap_is_asked_for_after_a_minute_then_ever_more_seldom(
    store: Store, says: Gateway
) -> None:
    assert minutes_until_asked(store, says, 3) == [1]
    [publication] = reconcile(store, NOW + 3 * MINUTE)
    assert decode(publication.payload, Resume) == Resume(STREAM, [(1, 1), (5, 5)], NOW + 3 * MINUTE)
    assert minutes_until_asked(store, says, 180, start=4) == [7, 15, 31, 63, 123, 183]


def test_several_processes_ask_once(store: Store, says: Gateway) -> None:
    reconcile(store, NOW)
    assert len(reconcile(store, NOW + MINUTE)) == 1
    assert reconcile(store, NOW + MINUTE) == []


def test_what_is_asked_for_in_vain_becomes_one_alarm_that_names_it(
    store: Store, says: Gateway
) -> None:
    ingest(store, [says.batch(9, power(NOW, 9))], NOW)
    minutes_until_asked(store, says, 15)
    assert told(store) == []
    minutes_until_asked(store, says, 60, start=15)
    assert told(store) == [("journal_gap", "alarm")]
    [(text, seq)] = rows_of(store, "SELECT text, seq FROM event WHERE code = 'journal_gap'")
    assert text.startswith(f"entries 2..4, 6..8 of stream {STREAM} are missing since 2025-11-23T")
    assert text.endswith("asked for 3 times in vain")
    assert seq < 0


def test_a_gap_that_closes_is_told_when_it_was_an_alarm(store: Store, says: Gateway) -> None:
    minutes_until_asked(store, says, 20)
    at = NOW + 20 * MINUTE
    ingest(store, [says.batch(2, *(power(NOW + n, n) for n in (2, 3, 4)))], at)
    reconcile(store, at)
    reconcile(store, at)
    assert told(store) == [("journal_gap", "alarm"), ("journal_gap_closed", "info")]
    assert rows_of(store, "SELECT count(*) FROM gap") == [(0,)]


def test_an_event_of_the_cloud_never_takes_the_place_of_a_gateways(
    store: Store, says: Gateway
) -> None:
    minutes_until_asked(store, says, 20)
    late = [Event(NOW, f"late-{n}", "info", "it came") for n in (2, 3, 4)]
    ingest(store, [says.batch(2, *late)], NOW)
    assert rows_of(store, "SELECT count(*) FROM event WHERE code LIKE 'late-%'") == [(3,)]


def test_while_the_backlog_comes_nobody_is_bothered(store: Store, says: Gateway) -> None:
    ingest(store, [says.hello(next_seq=200, session=2)], NOW)
    for minute in range(1, 25):
        at = NOW + minute * MINUTE
        ingest(store, [says.batch(5 + minute, power(at, minute))], at)
        ingest(store, [says.batch(1 + minute, power(at + 1, minute))], at)
        assert reconcile(store, at) == []
    assert told(store) == []


def test_a_gateway_that_is_away_is_not_asked(store: Store, says: Gateway) -> None:
    for minute in range(2, 30):
        assert reconcile(store, NOW + minute * MINUTE) == []
    assert minutes_until_asked(store, says, 3, start=30) == [30, 32]
    assert told(store) == []


def test_a_gap_of_a_stream_that_has_ended_is_told_and_never_asked_for(
    store: Store, says: Gateway
) -> None:
    new = Gateway(stream="b" * 32)
    ingest(store, [new.hello()], NOW)
    assert minutes_until_asked(store, new, 30) == []
    assert told(store) == [("journal_gap", "alarm")]
    assert minutes_until_asked(store, new, 30, start=30) == []
    assert told(store) == [("journal_gap", "alarm")]


async def test_the_dispatch_worker_asks_over_the_broker(store: Store, mosquitto: Mosquitto) -> None:
    key = f"gw-{secrets.token_hex(4)}"
    clock = ManualClock(NOW)
    site = GatewayEnd(mosquitto.settings, key)
    says = Gateway(key)
    ingest(store, [says.hello(), says.batch(1, catalog())], NOW)
    ingest(store, [says.batch(5, power(NOW, 5))], NOW)
    worker = DispatchWorker(store, mosquitto.settings, clock)
    async with running(worker.run(), site.session.run()):
        await connected(worker.session, site.session)
        heard = asyncio.create_task(site.hear("resume"))
        for _ in range(4):
            await in_time(lambda: clock.sleepers > 0)
            clock.advance(22.5)
        resume = decode(await heard, Resume)
    assert (resume.stream, resume.committed) == (STREAM, [(1, 1), (5, 5)])
