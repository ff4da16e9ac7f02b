"""When an entry is committed, seen from outside: the cloud's ack, which follows its commit."""

from collections.abc import Iterable

from common.messages.batch import unpack
from common.messages.downlink import Ack, Command
from common.messages.envelope import decode
from common.messages.uplink import CommandReport, decode_body
from tests.harness.tap import Heard, Tap


def latencies_ms(journal: Iterable[Heard], acks: Iterable[Heard]) -> list[float]:
    """Of each reading: from its ``at`` to its ack's arrival. Readings have whole milliseconds,
    cut off, so that this is too long by half a millisecond on average."""
    done_at_s = acked_s(acks)
    found: dict[tuple[str, int], list[float]] = {}
    for heard in journal:
        batch = unpack(heard.payload)
        for seq, body in batch.readings():
            done_s = done_at_s.get((batch.stream, seq))
            if done_s is not None:
                found[batch.stream, seq] = [done_s * 1000 - body.at] * len(body.r)
    return [latency for of_entry in found.values() for latency in of_entry]


def round_trips_ms(tap: Tap, gateway: str) -> list[float]:
    """Of each command that succeeded: from its issue to the ack of the report that said so."""
    done_at_s = acked_s(tap.heard(gateway, "ack"))
    orders = (decode(heard.payload, Command) for heard in tap.heard(gateway, "command"))
    issued_ms = {order.id: order.issued_at for order in orders}
    found: dict[str, float] = {}
    for heard in tap.heard(gateway, "journal"):
        batch = unpack(heard.payload)
        for entry in batch.others:
            body = decode_body(entry.body)
            done_s = done_at_s.get((batch.stream, entry.seq))
            if isinstance(body, CommandReport) and body.state == "succeeded" and done_s:
                found[body.id] = done_s * 1000 - issued_ms[body.id]
    return list(found.values())


def acked_s(acks: Iterable[Heard]) -> dict[tuple[str, int], float]:
    """When the first ack for an entry came, by stream and number."""
    found: dict[tuple[str, int], float] = {}
    for heard in acks:
        ack = decode(heard.payload, Ack)
        for seq in range(ack.first, ack.last + 1):
            found.setdefault((ack.stream, seq), heard.at_s)
    return found
