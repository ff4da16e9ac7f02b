"""What users of other gateways found after a long outage: polls had stopped, buffers were gone."""

import asyncio
from pathlib import Path

from common.clock import ManualClock, SystemClock
from common.messages.uplink import Event, Readings, decode_body
from edge_agent.app import App, build
from edge_agent.config import load
from edge_agent.simulators.mbus import MbusConverter
from edge_agent.store.tail import Added
from tests.functional.test_edge_uplink import PATIENT, settled
from tests.functional.test_polling import DEVICE, HEAD, LINE, slave
from tests.functional.tiny_cloud import TinyCloud, tiny_cloud
from tests.harness.mosquitto import Mosquitto
from tests.unit.edge_parts import turns, until

DAY_S, INTERVAL_S = 86_400, 300
BROKER = "[mqtt]\nport = {port}\n\n"


def configured(directory: Path, broker: int, bus: int) -> Path:
    text = HEAD + BROKER.format(port=broker) + LINE.format(line="bus", port=bus, timeout_s=5)
    text += DEVICE.format(line="bus", number=1, interval_s=INTERVAL_S, budget_s=20)
    file = directory / "edge.toml"
    file.write_text(text)
    return file


def between_two_marks() -> int:
    """A time from which each step of an interval goes over one mark of the clock."""
    interval_ms = INTERVAL_S * 1000
    return SystemClock().now_ms() // interval_ms * interval_ms + interval_ms // 2


def listen(app: App) -> list[int]:
    """The times of what is read, as the journal takes it."""
    polls: list[int] = []
    uplink = app.journal.on_appended
    assert uplink

    def heard(added: Added, urgent: bool) -> None:
        bodies = [decode_body(one.body) for one in added.entries]
        polls.extend(body.at for body in bodies if isinstance(body, Readings))
        uplink(added, urgent)

    app.journal.on_appended = heard
    return polls


async def back(cloud: TinyCloud, clock: ManualClock) -> None:
    """Time goes on until the gateway says hello."""
    while not cloud.hellos:
        clock.advance(1)
        await turns(50)


async def test_polling_goes_on_through_a_day_without_a_broker_and_all_of_it_arrives(
    tmp_path: Path,
) -> None:
    clock = ManualClock(between_two_marks())
    converter = MbusConverter([slave(1)], clock)
    (tmp_path / "broker").mkdir()
    with Mosquitto(tmp_path / "broker") as broker:
        file = configured(tmp_path, broker.port, await converter.start())
        app = await build(load(file), clock, PATIENT)
        polls = listen(app)
        stop = asyncio.Event()
        running = asyncio.ensure_future(app.run(stop))
        broker.kill()
        await _pass_a_day(app, clock, polls)
        broker.start()
        async with tiny_cloud(broker.port, "hall-1") as cloud:
            cloud.now_ms = clock.now_ms
            await back(cloud, clock)
            await settled(app, cloud)
            said = [body for _, body in sorted(cloud.bodies().items())]
        assert [body.at for body in said if isinstance(body, Readings)] == polls
        assert "cloud_back" in [body.code for body in said if isinstance(body, Event)]
        stop.set()
        await running
    await converter.close()


async def _pass_a_day(app: App, clock: ManualClock, polls: list[int]) -> None:
    """A poll for each mark, and nothing that died."""
    await until(lambda: len(polls) == 1)
    for number in range(DAY_S // INTERVAL_S):
        clock.advance(INTERVAL_S)
        await until(lambda wanted=number + 2: len(polls) == wanted)  # type: ignore[misc]
    marks = [at // 1000 // INTERVAL_S for at in polls]
    assert marks == list(range(marks[0], marks[0] + DAY_S // INTERVAL_S + 1))
    assert app.restarts == 0
    assert app.states["bus-1"].state == "ok"
    assert app.journal.queued() > len(polls)
