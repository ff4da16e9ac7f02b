"""What keeps the entries from the cloud is told apart, and told once."""

import asyncio
import socket
from pathlib import Path

import aiomqtt
import pytest

from common.clock import ManualClock
from common.mqtt import Trouble, trouble_of
from edge_agent.outage import CLOUD, Outage
from tests.harness.mosquitto import Mosquitto
from tests.harness.ports import free_port


def test_an_outage_is_told_with_its_causes_in_their_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock(1_763_900_000_000)
    outage = Outage(clock)
    for cause in (Trouble.NETWORK, Trouble.NETWORK, Trouble.BROKER, CLOUD):
        outage.note(cause)
        clock.advance(60)
    assert outage.cause == CLOUD
    event = outage.over()
    assert event is not None
    assert event.code == "cloud_back"
    assert event.data == {
        "since": 1_763_900_000_000,
        "lasted_s": 240,
        "causes": "network,broker,cloud",
    }
    assert outage.cause == ""
    assert outage.over() is None
    assert caplog.text.count("no way to the cloud") == 3


def test_a_moment_is_not_worth_an_event() -> None:
    clock = ManualClock(0)
    outage = Outage(clock)
    outage.note(CLOUD)
    clock.advance(9)
    assert outage.over() is None


async def trouble_with(host: str, port: int) -> Trouble:
    try:
        async with aiomqtt.Client(host, port, timeout=0.3, keepalive=1):
            raise AssertionError("there is no broker")
    except aiomqtt.MqttError as error:
        return trouble_of(error)


async def test_a_name_that_nobody_knows_is_the_network() -> None:
    assert await trouble_with("no-such-host.invalid", 1883) == Trouble.NETWORK


async def test_a_port_where_nobody_listens_is_the_broker() -> None:
    assert await trouble_with("127.0.0.1", free_port()) == Trouble.BROKER


async def test_a_listener_that_says_nothing_is_the_broker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert await trouble_with("127.0.0.1", silent.getsockname()[1]) == Trouble.BROKER


async def test_a_listener_that_hangs_up_is_the_broker() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await trouble_with("127.0.0.1", port) == Trouble.BROKER


async def test_a_broker_that_does_not_let_us_in_is_the_login(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, "allow_anonymous false") as broker:
        assert await trouble_with("127.0.0.1", broker.port) == Trouble.LOGIN
