"""The uplink against a tiny cloud over a real broker: what is said arrives, whatever happens."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common.clock import SystemClock
from common.messages.downlink import Ack, Resume
from common.messages.envelope import MAX_BYTES
from common.messages.uplink import Catalog, Event, decode_body
from common.mqtt import MqttSettings
from common.ranges import RangeSet
from edge_agent.app import App, build
from edge_agent.config import Config, GatewaySettings, Settings
from edge_agent.store.database import Damaged
from edge_agent.uplink import Pace
from tests.functional.tiny_cloud import TinyCloud, tiny_cloud
from tests.harness.mosquitto import Mosquitto
from tests.unit.edge_parts import event, opened, turns

QUICK = Pace(entries=10, backlog_window=2, answer_s=0.1, longest_answer_s=0.4)
PATIENT = Pace(entries=10, backlog_window=2, answer_s=30, longest_answer_s=60)


def config(directory: Path, gateway: str, port: int) -> Config:
    settings = Settings(
        GatewaySettings(gateway, "Hall", "hall", "Hall", "Europe/Bucharest"),
        MqttSettings(port=port, keepalive_s=5),
    )
    return Config(directory / "edge.toml", settings)


@asynccontextmanager
async def agent(directory: Path, gateway: str, port: int, pace: Pace = QUICK) -> AsyncIterator[App]:
    """A whole agent without devices, running."""
    app = await build(config(directory, gateway, port), SystemClock(), pace)
    stop = asyncio.Event()
    running = asyncio.ensure_future(app.run(stop))
    try:
        yield app
    finally:
        stop.set()
        await running


@asynccontextmanager
async def both(
    directory: Path, gateway: str, broker: Mosquitto, pace: Pace = QUICK
) -> AsyncIterator[tuple[App, TinyCloud]]:
    async with (
        tiny_cloud(broker.port, gateway) as cloud,
        agent(directory, gateway, broker.port, pace) as app,
    ):
        yield app, cloud


async def backlog(directory: Path, count: int) -> None:
    """Entries that were appended when there was no connection."""
    (directory / "data").mkdir()
    async with opened(directory / "data") as journal:
        await journal.append(*[event(f"old {number}") for number in range(count)])


async def settled(app: App, cloud: TinyCloud) -> None:
    """Wait until the cloud has everything, and the journal knows."""
    await cloud.until(
        lambda: (
            bool(cloud.hellos)
            and set(range(1, app.journal.next_seq)) <= set(cloud.stored[app.journal.stream])
        )
    )
    while app.journal.queued():
        await app.journal.oldest_at()


async def test_a_backlog_and_what_comes_meanwhile_arrive_once(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    await backlog(tmp_path, 95)
    async with both(tmp_path, "once", mosquitto, PATIENT) as (app, cloud):
        await app.journal.append(event("new"))
        await settled(app, cloud)
        seqs = [seq for first, last in cloud.batches for seq in range(first, last + 1)]
        assert sorted(seqs) == list(range(1, app.journal.next_seq))
        assert app.uplink
        assert app.uplink.state == "sending"


async def test_lost_acks_are_made_up_for(tmp_path: Path, mosquitto: Mosquitto) -> None:
    await backlog(tmp_path, 60)
    async with both(tmp_path, "lost", mosquitto) as (app, cloud):
        cloud.lose = 6
        await settled(app, cloud)
        assert cloud.lose == 0
        assert len(cloud.batches) > len(set(cloud.batches))


async def test_acks_in_any_order_settle_all(tmp_path: Path, mosquitto: Mosquitto) -> None:
    await backlog(tmp_path, 20)
    async with both(tmp_path, "order", mosquitto, PATIENT) as (app, cloud):
        await cloud.until(lambda: (1, 10) in cloud.batches)
        await settled(app, cloud)
        cloud.hold = True
        for number in range(5):
            await app.journal.append(event(f"{number}"))
            await cloud.until(lambda wanted=number: len(cloud.held) > wanted)  # type: ignore[misc]
        assert app.journal.queued() == 5
        await cloud.release(reverse=True)
        await settled(app, cloud)


async def test_acks_that_nobody_asked_for_are_harmless(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    async with both(tmp_path, "unasked", mosquitto, PATIENT) as (app, cloud):
        await settled(app, cloud)
        cloud.hold = True
        await app.journal.append(event())
        await cloud.until(lambda: len(cloud.held) == 1)
        last = app.journal.next_seq - 1
        for stream, first, to in [("0" * 32, last, last), (cloud.stream, last, last + 5)]:
            await cloud.tell(Ack(stream, first, to))
        await cloud.tell(Ack(cloud.stream, 1, last - 1))
        await cloud.tell(Resume("0" * 32, [(1, last)]))
        cloud.hold = False
        await app.journal.append(event("after"))
        while app.journal.unsettled(1, 10**6) != [(last, last)]:
            await app.journal.oldest_at()
        for ack in cloud.held * 2:
            await cloud.tell(ack)
        await settled(app, cloud)


async def test_live_entries_do_not_wait_behind_a_backlog(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    await backlog(tmp_path, 200)
    async with tiny_cloud(mosquitto.port, "live") as cloud:
        cloud.hold = True
        async with agent(tmp_path, "live", mosquitto.port, PATIENT) as app:
            # The catalog comes first; until it is acknowledged there is nothing else.
            await cloud.until(lambda: len(cloud.held) == 1)
            await cloud.tell(cloud.held.pop())
            await cloud.until(lambda: len(cloud.held) == 2)
            _, live = await app.journal.append(event("live"))
            await cloud.until(lambda: live in cloud.stored[cloud.stream])
            assert app.journal.queued() > 190, "the backlog has not moved"
            await cloud.release()
            await settled(app, cloud)


async def test_the_catalog_is_acknowledged_before_anything_else_is_sent(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    await backlog(tmp_path, 30)
    async with both(tmp_path, "catalog", mosquitto, PATIENT) as (app, cloud):
        cloud.hold = True
        await cloud.until(lambda: len(cloud.batches) == 1)
        await app.journal.append(event("live"))
        assert [type(body) for body in cloud.bodies().values()] == [Catalog]
        await cloud.release()
        await settled(app, cloud)


async def test_nothing_is_sent_before_the_cloud_has_answered_hello(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    await backlog(tmp_path, 30)
    async with tiny_cloud(mosquitto.port, "silent") as cloud:
        cloud.answers_hello = False
        async with agent(tmp_path, "silent", mosquitto.port) as app:
            await cloud.until(lambda: len(cloud.hellos) == 3)
            assert cloud.batches == []
            assert app.uplink
            assert app.uplink.state == "no answer"
            cloud.answers_hello = True
            await settled(app, cloud)
            assert {hello.session for hello in cloud.hellos} == {1}


async def test_a_cloud_restored_from_an_old_backup_gets_what_it_lost(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    await backlog(tmp_path, 50)
    async with both(tmp_path, "restored", mosquitto, PATIENT) as (app, cloud):
        await settled(app, cloud)
        lost = [seq for seq in cloud.stored[cloud.stream] if seq > 20]
        for seq in lost:
            del cloud.stored[cloud.stream][seq]
        cloud.batches.clear()
        await cloud.resume(RangeSet([(1, 20)]))
        await cloud.until(lambda: set(lost) <= set(cloud.stored[cloud.stream]))
        await settled(app, cloud)
        assert min(first for first, _ in cloud.batches) == 21


async def test_a_cloud_that_has_more_than_the_file_makes_it_a_new_stream(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    async with both(tmp_path, "older", mosquitto, PATIENT) as (app, cloud):
        await settled(app, cloud)
        old = cloud.stream
        await cloud.resume(RangeSet([(1, 10_000)]))
        await cloud.until(lambda: cloud.hellos[-1].stream != old)
        await settled(app, cloud)
        assert len(cloud.stored[cloud.stream]) == app.journal.next_seq - 1


async def test_when_an_old_copy_of_the_file_is_put_back_no_event_is_lost_or_told_twice(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    await backlog(tmp_path, 20)
    file, copy = tmp_path / "data" / "edge.db", tmp_path / "copy.db"
    async with tiny_cloud(mosquitto.port, "put-back") as cloud:
        for said in ("before", "later"):
            async with agent(tmp_path, "put-back", mosquitto.port, PATIENT) as app:
                await app.journal.append(event(said))
                await settled(app, cloud)
            if not copy.exists():
                shutil.copy(file, copy)
        shutil.copy(copy, file)
        old = cloud.stream
        async with agent(tmp_path, "put-back", mosquitto.port, PATIENT) as app:
            await app.journal.append(*[event(f"own {number}") for number in range(20)])
            await cloud.until(lambda: cloud.stream != old)
            while app.journal.queued():
                await app.journal.oldest_at()
    bodies = [decode_body(raw) for stored in cloud.stored.values() for raw in stored.values()]
    told = [body.text for body in bodies if isinstance(body, Event) and body.code == "test"]
    own = [f"{life} {number}" for life in ("old", "own") for number in range(20)]
    assert sorted(told) == sorted(["before", "later", *own])


async def test_an_entry_that_the_cloud_rejects_does_not_stop_the_others(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    await backlog(tmp_path, 30)
    async with both(tmp_path, "rejected", mosquitto, PATIENT) as (app, cloud):
        cloud.reject = {7: "unknown severity"}
        await settled(app, cloud)
        assert app.journal.rejected == 1


async def test_an_entry_too_large_to_send_is_given_up_and_told(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    async with both(tmp_path, "large", mosquitto, PATIENT) as (app, cloud):
        data: dict[str, str | int | None] = {"x": "y" * MAX_BYTES}
        await app.journal.append(event("before"))
        _, seq = await app.journal.append(Event(0, "large", "info", "", data=data))
        await app.journal.append(event("after"))
        codes: set[str] = set()
        while "entry_too_large" not in codes or app.journal.queued():
            await app.journal.oldest_at()
            found = cloud.bodies() if cloud.hellos else {}
            codes = {body.code for body in found.values() if isinstance(body, Event)}
        assert seq not in cloud.stored[cloud.stream]
        assert app.journal.rejected == 1


async def test_when_the_cloud_is_back_what_is_overdue_goes_at_once(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    pace = Pace(entries=10, answer_s=0.2, longest_answer_s=3600)
    async with both(tmp_path, "back", mosquitto, pace) as (app, cloud):
        await settled(app, cloud)
        cloud.lose = 10**6
        await app.journal.append(event("unheard"))
        batch = (app.journal.next_seq - 1,) * 2
        await cloud.until(lambda: cloud.batches.count(batch) == 3)
        cloud.lose = 0
        await app.journal.append(event("heard"))
        await settled(app, cloud)


async def test_a_broker_that_dies_costs_nothing(tmp_path: Path) -> None:
    place = tmp_path / "broker"
    place.mkdir()
    with Mosquitto(place) as broker:
        async with agent(tmp_path, "power-cut", broker.port) as app:
            async with tiny_cloud(broker.port, "power-cut") as cloud:
                await app.journal.append(event("one"))
                await settled(app, cloud)
            broker.kill()
            await app.journal.append(event("while away"))
            broker.start()
            async with tiny_cloud(broker.port, "power-cut") as cloud:
                await cloud.until(lambda: bool(cloud.hellos))
                await settled(app, cloud)
                assert cloud.hellos[-1].session > 1


async def test_a_clean_stop_says_goodbye(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with tiny_cloud(mosquitto.port, "goodbye") as cloud:
        async with agent(tmp_path, "goodbye", mosquitto.port):
            await cloud.until(lambda: any(status.online for status in cloud.statuses))
        await cloud.until(lambda: not cloud.statuses[-1].online)
        assert (cloud.statuses[-1].boot, cloud.statuses[-1].session) == (1, 1)


@pytest.mark.parametrize("count", [1, 50])
async def test_what_is_committed_together_is_sent_together(
    tmp_path: Path, mosquitto: Mosquitto, count: int
) -> None:
    pace = Pace(answer_s=30)
    async with both(tmp_path, f"together-{count}", mosquitto, pace) as (app, cloud):
        await settled(app, cloud)
        cloud.batches.clear()
        first, last = await app.journal.append(*[event()] * count)
        await settled(app, cloud)
        assert cloud.batches == [(first, last)]


async def test_a_storm_of_entries_arrives_whole(tmp_path: Path, mosquitto: Mosquitto) -> None:
    await backlog(tmp_path, 3000)
    async with both(tmp_path, "storm", mosquitto, Pace(answer_s=30)) as (app, cloud):
        await cloud.until(lambda: bool(cloud.batches))
        writing = []
        for number in range(3000):
            writing.append(app.journal.append(event(f"{number}")))
            if number % 10 == 0:
                await turns(1)
        await asyncio.gather(*writing)
        await settled(app, cloud)
        assert len(cloud.batches) == len(set(cloud.batches)), "something was sent twice"


async def test_damage_at_run_time_ends_the_agent_and_the_next_start_begins_anew(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "edge.db"
    async with opened(path.parent) as journal:
        await journal.append(*[event("x" * 3000)] * 200)
        stream = journal.stream
    made = config(tmp_path, "damaged", mosquitto.port)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge_agent.store.database.CHECKED_BYTES", 0)
        app = await build(made, SystemClock(), QUICK)
    with path.open("r+b") as file:
        for page in range(28, 120):
            file.seek(4096 * page)
            file.write(b"\xff" * 4096)
    reading = asyncio.ensure_future(app.journal.read(1, 200, 1000, 10**9))
    with pytest.raises(Damaged):
        await app.run()
    await asyncio.gather(reading, return_exceptions=True)
    async with both(tmp_path, "damaged", mosquitto) as (again, cloud):
        assert again.journal.stream != stream
        await settled(again, cloud)
        found = [body for body in cloud.bodies().values() if isinstance(body, Event)]
        assert [body.code for body in found] == ["journal_damaged", "agent_started"]
        assert len(list(path.parent.glob("edge.db.damaged-*"))) >= 1
