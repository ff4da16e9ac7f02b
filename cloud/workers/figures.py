"""What the workers of this process hold, and how their connections are, for Prometheus."""

from collections.abc import Callable, Mapping

from cloud.services.metrics import Family, gauge
from cloud.workers.held import BYTES, MESSAGES, Held
from common.mqtt import MqttSession


def held(of_ingest: Held) -> list[Family]:
    """What has come from the broker and waits for the database."""
    return [
        gauge(
            "inmetter_ingest_held_messages",
            "Messages taken from the broker that wait to be stored",
            len(of_ingest),
        ),
        gauge(
            "inmetter_ingest_held_bytes",
            "Bytes of the messages that wait to be stored",
            of_ingest.size,
        ),
        gauge(
            "inmetter_ingest_held_limit_messages",
            "With so many messages held, nothing more is taken from the broker",
            MESSAGES,
        ),
        gauge(
            "inmetter_ingest_held_limit_bytes",
            "With so many bytes held, nothing more is taken from the broker",
            BYTES,
        ),
    ]


def connections(sessions: Mapping[str, MqttSession]) -> list[Family]:
    """The connections to the broker, by whose they are."""

    def family(name: str, text: str, figure: Callable[[MqttSession], int]) -> Family:
        samples = [((role,), figure(session)) for role, session in sessions.items()]
        counts = name != "connected"
        return Family(f"inmetter_mqtt_{name}", text, samples, ("role",), counts)

    return [
        family("connected", "1 while the broker is connected", lambda one: one.connected),
        family("connects_total", "Connections that the broker welcomed", lambda one: one.connects),
        family(
            "disconnects_total", "Connections to the broker that ended", lambda one: one.disconnects
        ),
        family(
            "connects_failed_total",
            "Attempts to connect to the broker that came to nothing",
            lambda one: one.connects_failed,
        ),
        family(
            "publishes_failed_total",
            "Messages that did not reach the broker; they are sent again when they are due",
            lambda one: one.publishes_failed,
        ),
    ]
