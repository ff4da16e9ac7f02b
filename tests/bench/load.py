"""The load under which latency is measured, and how."""

from tests.bench.observe import latencies_ms
from tests.harness.eventually import eventually
from tests.harness.tap import Tap

RUNS = 3
POLLS = 100
READINGS = 10
"""A poll reads so many registers; POLLS × READINGS = 1,000 readings a second."""

MEASURED_S = 8.0
COMMANDS = 300
START_S = 30.0


def measure_latency(port: int, gateway: str, seconds: float) -> list[float]:
    """Milliseconds from measured to committed of the readings of ``seconds``.

    Starts when acks flow, and leaves out the first second of them.
    """
    with Tap(port) as tap:
        eventually(lambda: tap.heard(gateway, "ack"), START_S, "the first ack")
        begun_s = tap.heard(gateway, "ack")[0].at_s + 1
        eventually(
            lambda: tap.heard(gateway, "ack")[-1].at_s > begun_s + seconds,
            seconds + START_S,
            "the last ack",
        )
        journal = [one for one in tap.heard(gateway, "journal") if one.at_s >= begun_s]
        return latencies_ms(journal, tap.heard(gateway, "ack"))
