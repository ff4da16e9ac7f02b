"""The one MQTT connection, over a real broker and a line that does what lines do."""

import asyncio
import contextlib
from pathlib import Path

import aiomqtt
import msgspec
import pytest

from common.clock import SystemClock
from common.errors import Unreachable
from common.mqtt import PUBACK_WITHIN_S, MqttSession
from tests.harness.gateway import connected, running
from tests.harness.mosquitto import Mosquitto
from tests.harness.proxy import Proxy


async def ignore(_topic: str, _payload: bytes) -> None:
    pass


def session_over(proxy: Proxy, broker: Mosquitto) -> MqttSession:
    settings = msgspec.structs.replace(broker.settings, port=proxy.port)
    return MqttSession(settings, "played", clock=SystemClock(), subscriptions=[], on_message=ignore)


async def test_a_publish_does_not_wait_on_for_a_connection_that_is_gone(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker, Proxy(broker.port) as proxy:
        session = session_over(proxy, broker)
        async with running(session.run()):
            await connected(session)
            await asyncio.to_thread(proxy.black_hole)
            waiting = [asyncio.ensure_future(session.publish("a", b"%d" % n)) for n in range(3)]
            done, _ = await asyncio.wait(waiting, timeout=0.05)
            assert not done
            await asyncio.to_thread(proxy.cut)
            async with asyncio.timeout(PUBACK_WITHIN_S / 2):
                outcomes = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [Unreachable] * 3
            await asyncio.to_thread(proxy.resume)
            await connected(session)
            await session.publish("a", b"again")


async def test_a_publish_that_is_given_up_is_given_up_by_its_caller_only(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker, Proxy(broker.port) as proxy:
        session = session_over(proxy, broker)
        async with running(session.run()):
            await connected(session)
            await asyncio.to_thread(proxy.black_hole)
            waiting = asyncio.ensure_future(session.publish("a", b""))
            await asyncio.wait([waiting], timeout=0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert session.connected


@pytest.mark.parametrize("call", ["subscribe", "publish"])
async def test_a_cancellation_that_the_client_library_swallows_is_heeded(
    tmp_path: Path, call: str
) -> None:
    """As ``asyncio.wait_for`` does when the answer comes in the same turn (cpython#86296)."""
    swallowed = asyncio.Event()

    async def swallow(*_args: object, **_kwargs: object) -> None:
        task = asyncio.current_task()
        assert task
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        swallowed.set()

    with Mosquitto(tmp_path) as broker, pytest.MonkeyPatch.context() as patch:
        patch.setattr(aiomqtt.Client, call, swallow)
        session = MqttSession(
            broker.settings, "s", clock=SystemClock(), subscriptions=["a"], on_message=ignore
        )
        serving = asyncio.ensure_future(session.run())
        task = serving
        if call == "publish":
            await connected(session)
            task = asyncio.ensure_future(session.publish("a", b""))
        await asyncio.wait([task], timeout=5)
        assert swallowed.is_set()
        assert task.cancelled()
        serving.cancel()
        await asyncio.wait([serving])
