"""The access list that we hand out, on a real Mosquitto: nobody speaks or listens for another."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from cloud.domain.outward import Topics
from common import topics
from tests.harness.eventually import eventually
from tests.harness.mosquitto import Mosquitto
from tests.harness.services import find_program
from tests.repo.files import ROOT

CLOUD, OUTWARD = "inmetter-cloud", "inmetter-outward"
DOCUMENT = (ROOT / "docs" / "outward.md").read_text("utf-8")
[FOR_OTHERS] = re.findall(r"^```text\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with five users, each with its own name as password."""
    passwords, acl = tmp_path / "passwords", tmp_path / "acl"
    passwords.touch()
    for name in ("hall-1", "hall-2", CLOUD, OUTWARD, "home-assistant"):
        tool = find_program("mosquitto_passwd")
        subprocess.run([tool, "-b", passwords, name, name], check=True, capture_output=True)
    acl.write_text(f"{topics.acl()}\n{FOR_OTHERS}")
    acl.chmod(0o600)
    access = f"allow_anonymous false\npassword_file {passwords}\nacl_file {acl}"
    with Mosquitto(tmp_path, access) as running:
        yield running


class Client:
    """Hears everything that its user may hear."""

    def __init__(self, port: int, user: str, password: str | None = None) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.refused = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"test-{user}")
        self._client.username_pw_set(user, user if password is None else password)
        self._client.on_message = lambda _c, _d, m: self.heard.append((m.topic, bytes(m.payload)))
        self._client.on_connect = self._connected
        self._ready = False
        self._client.on_subscribe = lambda *_: setattr(self, "_ready", True)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        eventually(lambda: self._ready or self.refused, 10, f"{user} is connected")

    def _connected(self, client: paho.Client, *details: object) -> None:
        self.refused = bool(getattr(details[2], "is_failure", False))
        client.subscribe("#", qos=1)

    def say(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1).wait_for_publish(5)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_a_gateway_speaks_and_listens_for_itself_only(broker: Mosquitto) -> None:
    one, two, cloud = (Client(broker.port, user) for user in ("hall-1", "hall-2", CLOUD))
    try:
        one.say(topics.up("hall-2", "journal"), b"as another")
        one.say(topics.down("hall-1", "command"), b"to itself")
        one.say(topics.down("hall-2", "command"), b"to another")
        cloud.say(topics.up("hall-1", "journal"), b"as a gateway")
        one.say(topics.up("hall-1", "journal"), b"as itself")
        cloud.say(topics.down("hall-2", "ack"), b"to hall-2")
        cloud.say(topics.down("hall-1", "ack"), b"to hall-1")
        eventually(lambda: cloud.heard and one.heard and two.heard, 10, "what is allowed arrives")
        assert cloud.heard == [(topics.up("hall-1", "journal"), b"as itself")]
        assert one.heard == [(topics.down("hall-1", "ack"), b"to hall-1")]
        assert two.heard == [(topics.down("hall-2", "ack"), b"to hall-2")]
    finally:
        for client in (one, two, cloud):
            client.close()


def test_a_gateway_neither_reads_nor_writes_what_is_said_to_others(broker: Mosquitto) -> None:
    said = Topics("inmetter-points", "homeassistant")
    wanted = [
        (said.status, b"online"),
        (said.point("mill", "flat-1"), b"{}"),
        (said.sensor("flat-1"), b"{}"),
    ]
    users = ("hall-1", OUTWARD, "home-assistant")
    gateway, outward, reader = (Client(broker.port, user) for user in users)
    try:
        for topic, _ in wanted:
            gateway.say(topic, b"by a gateway")
            reader.say(topic, b"by a reader")
        outward.say(topics.up("hall-1", "journal"), b"as a gateway")
        for topic, payload in wanted:
            outward.say(topic, payload)
        gateway.say(topics.up("hall-1", "journal"), b"as itself")
        eventually(lambda: len(outward.heard) == len(reader.heard) == 3, 10, "it arrives")
        assert outward.heard == reader.heard == wanted
        assert gateway.heard == []
    finally:
        for client in (gateway, outward, reader):
            client.close()


def test_a_wrong_password_does_not_come_in(broker: Mosquitto) -> None:
    stranger = Client(broker.port, "hall-1", "guess")
    assert stranger.refused
    stranger.close()
