"""A listener on the broker: hears every message, and can say what a test wants said."""

import threading
import time
from collections.abc import Container
from dataclasses import dataclass
from random import Random
from types import TracebackType

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from common import topics
from common.errors import Undecodable
from common.messages.envelope import inflate


@dataclass(frozen=True, slots=True)
class Heard:
    """A message, inflated where that can be, and when it came (seconds since the epoch)."""

    topic: str
    payload: bytes
    at_s: float


class Tap:
    """A client of the broker on ``port``, in a thread of its own; a context manager.

    It hears what comes on topics that fit one of ``patterns``: by default everything.

    It comes back after the broker was away, but does not hear what was said meanwhile.
    """

    def __init__(self, port: int, *patterns: str) -> None:
        self._port = port
        self._patterns = patterns or (f"{topics.ROOT}/#",)
        self._heard: list[Heard] = []
        self._grew = threading.Condition()
        self._listening = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._listening.set()
        self._client.on_message = self._hear
        self._client.reconnect_delay_set(1, 1)

    def __enter__(self) -> "Tap":
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._listening.wait(10), "the broker does not answer"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(
        self,
        client: paho.Client,
        data: object,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        client.subscribe([(pattern, 1) for pattern in self._patterns])

    def _hear(self, client: paho.Client, data: object, message: paho.MQTTMessage) -> None:
        heard = Heard(message.topic, _plain(bytes(message.payload)), time.time())
        with self._grew:
            self._heard.append(heard)
            self._grew.notify_all()

    def wait_for(self, leaf: str, part: bytes, *, after: int = 0, timeout_s: float = 10) -> Heard:
        """The first message of a ``leaf`` from number ``after`` on that contains ``part``.

        Costs nothing while nothing comes, so that waiting disturbs no measurement.
        """
        deadline = time.monotonic() + timeout_s
        with self._grew:
            while True:
                for heard in self._heard[after:]:
                    if heard.topic.endswith(f"/{leaf}") and part in heard.payload:
                        return heard
                after = len(self._heard)
                if not self._grew.wait(deadline - time.monotonic()):
                    raise AssertionError(f"no {leaf} with {part!r} came within {timeout_s} s")

    def heard(self, gateway: str, leaf: str, *, after: int = 0) -> list[Heard]:
        """What ``gateway`` said or was told as ``leaf``, from message number ``after`` on."""
        wanted = {topics.up(gateway, leaf), topics.down(gateway, leaf)}
        return [one for one in self._heard[after:] if one.topic in wanted]

    def all(self) -> list[Heard]:
        """Everything heard so far."""
        return self._heard[:]

    def newest(self) -> dict[str, bytes]:
        """By topic what was said last; what is empty (nothing retained any more) left out."""
        said = {heard.topic: heard.payload for heard in self.all()}
        return {topic: payload for topic, payload in said.items() if payload}

    @property
    def count(self) -> int:
        """How many messages were heard so far."""
        return len(self._heard)

    def say(self, topic: str, payload: bytes) -> None:
        """Publish, and wait until the broker has it."""
        self.say_often(topic, payload, 1)

    def say_often(self, topic: str, payload: bytes, times: int) -> None:
        """Publish the same ``times`` times in a row, and wait until the broker has all."""
        for one in [self._client.publish(topic, payload, qos=1) for _ in range(times)]:
            one.wait_for_publish(20)

    def toss(self, topic: str, payload: bytes) -> None:
        """Publish, when the broker is there; nobody waits for it."""
        self._client.publish(topic, payload, qos=1)

    def some(self, chance: Random, leaves: Container[str], count: int) -> list[Heard]:
        """At most ``count`` of the messages heard so far, by chance, of these leaves."""
        heard = self._heard
        found = [chance.choice(heard) for _ in range(count if heard else 0)]
        return [one for one in found if topics.parse(one.topic)[2] in leaves]


def _plain(payload: bytes) -> bytes:
    try:
        return inflate(payload)
    except Undecodable:
        return payload
