"""The one MQTT connection, over a real broker and a line that does what lines do."""

import asyncio
import contextlib
from collections.abc import Iterable
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


class SlowReader:
    """A session whose reader takes nothing until ``gate`` is open."""

    def __init__(self, broker: Mosquitto) -> None:
        self.gate, self.changed = asyncio.Event(), asyncio.Event()
        self.heard: list[bytes] = []
        self.session = MqttSession(
            broker.settings, "slow", clock=SystemClock(), subscriptions=["#"], on_message=self._read
        )

    async def _read(self, _topic: str, payload: bytes) -> None:
        await self.gate.wait()
        self.heard.append(payload)
        self.changed.set()

    async def say(self, payloads: Iterable[bytes]) -> None:
        """Returns when the broker has all, and has passed all on but perhaps the last."""
        await asyncio.gather(*(self.session.publish("a", payload) for payload in payloads))

    async def until_heard(self, payload: bytes) -> None:
        async with asyncio.timeout(30):
            while payload not in self.heard[-1:]:
                self.changed.clear()
                await self.changed.wait()


async def test_a_crowd_of_small_messages_waits_for_a_slow_reader(tmp_path: Path) -> None:
    said = [b"%d" % n for n in range(2000)]
    with Mosquitto(tmp_path) as broker:
        slow = SlowReader(broker)
        async with running(slow.session.run()):
            await connected(slow.session)
            await slow.say(said)
            slow.gate.set()
            await slow.until_heard(said[-1])
    assert slow.heard == said


async def test_what_waits_for_a_slow_reader_is_limited_by_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.mqtt.QUEUED_BYTES", 20_000)
    said = [b"%3d" % n + bytes(1000) for n in range(100)]
    with Mosquitto(tmp_path) as broker:
        slow = SlowReader(broker)
        async with running(slow.session.run()):
            await connected(slow.session)
            await slow.say(said)
            slow.gate.set()
            await slow.say([b"after"])
            await slow.until_heard(b"after")
    # Ten of two thousand bytes wait, and the reader may have taken one or two from them.
    assert slow.heard[:10] == said[:10]
    assert len(slow.heard) < 20
