"""What Prometheus is told of this process. The only module that knows ``prometheus_client``.

Counters are added to once a transaction, message or request, never for each reading. What is a
state, and no count of events, is asked for at each scrape: it comes as ``Family``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cloud.domain.lifecycle import OPEN, State
from cloud.storage.engine import Trouble
from common.errors import ConfigError

__all__ = ["CONTENT_TYPE_LATEST", "REGISTRY", "Family", "exposition", "gauge", "serve"]

REGISTRY = CollectorRegistry()

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, which nobody asks for
ProcessCollector(registry=REGISTRY)


@dataclass(frozen=True, slots=True)
class Family:
    """A metric as it is now: each sample has a value for each of ``labels``, and its own.

    ``counts``: it only grows, from the start of the process on.
    """

    name: str
    text: str
    samples: Sequence[tuple[tuple[str, ...], float]]
    labels: tuple[str, ...] = ()
    counts: bool = False


Source = Callable[[], Iterable[Family]]


def gauge(name: str, text: str, value: float) -> Family:
    """A metric without labels."""
    return Family(name, text, [((), value)])


def exposition(source: Source) -> bytes:
    """The counters of this process, and what ``source`` says, in Prometheus' text format."""
    return generate_latest(_registry(source))


def serve(port: int, source: Source) -> None:
    """Answer with the ``exposition`` on this loopback port, until the process ends: for one
    without a web server. Raises ConfigError when the port is taken."""
    try:
        start_http_server(port, "127.0.0.1", _registry(source))
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--metrics-port: cannot listen on port {port}") from error


class _Families(Collector):
    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        for one in self._source():
            kind = CounterMetricFamily if one.counts else GaugeMetricFamily
            family = kind(one.name, one.text, labels=one.labels)
            for labels, value in one.samples:
                family.add_metric(labels, value)
            yield family


def _registry(source: Source) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(REGISTRY)
    registry.register(_Families(source))
    return registry


def _counter(name: str, text: str, label: str = "", values: Iterable[str] = ()) -> Counter:
    """With a ``label``, those of its ``values`` that are known begin at 0."""
    made = Counter(f"inmetter_{name}", text, [label] if label else [], registry=REGISTRY)
    for value in values:
        made.labels(value)
    return made


# What ingest has taken in.
entries_committed = _counter("entries_committed", "Journal entries committed to the database")
readings_stored = _counter("readings_stored", "Readings newly stored")
entries_duplicate = _counter("entries_duplicate", "Journal entries that were committed before")
entries_rejected = _counter("entries_rejected", "Journal entries that can never be stored")
entries_lost = _counter("entries_lost", "Journal entries that gateways said are lost")
messages_quarantined = _counter("messages_quarantined", "Messages that could not be taken apart")
messages_dropped = _counter(
    "messages_dropped", "Messages that could be neither stored nor kept in quarantine"
)
entry_delay = Histogram(
    "inmetter_entry_delay_seconds",
    "Live messages: from when their first entry was appended on the gateway, by a clock that is"
    " kept right, to its commit here",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    registry=REGISTRY,
)

# Commands and rules.
commands_issued = _counter("commands_issued", "Commands issued by people and rules")
commands_ended = _counter(
    "commands_ended",
    "Commands by the state in which they ended, or are unconfirmed",
    "state",
    sorted(set(State) - OPEN),
)
rules_failed = _counter(
    "rules_failed", "Times that a rule wanted to switch an output that cannot be switched"
)

# What holds the work up.
transactions_retried = _counter(
    "transactions_retried",
    "Transactions that the database broke and that were tried again",
    "why",
    Trouble,
)


def transaction_retried(why: Trouble) -> None:
    """For ``Store``, which knows no metrics."""
    transactions_retried.labels(why).inc()


worker_faults = _counter(
    "worker_faults",
    "Errors that nobody foresaw, after which a worker went on",
    "worker",
    ("ingest", "dispatch", "reconcile", "outward"),
)

# Who comes in.
sign_ins_failed = _counter(
    "sign_ins_failed",
    "Sign-ins refused: wrong name or password, or too many before",
    "why",
    ("wrong", "too_many"),
)
http_requests = Counter(
    "inmetter_http_requests",
    "Answers to HTTP requests, by route and class of status",
    ["route", "status"],
    registry=REGISTRY,
)
http_duration = Histogram(
    "inmetter_http_request_duration_seconds",
    "From the request to the end of the answer, by route",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
