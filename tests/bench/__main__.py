"""``python -m tests.bench [NAME…]``: measure, print a table, write var/bench.json."""

import sys
from collections.abc import Callable

from tests.bench import (
    bare,
    c11,
    drain,
    edge,
    ingest,
    journal,
    mbus,
    memory,
    polling,
    real,
    requests,
    sync,
)
from tests.bench.figures import Figure, table, write_json
from tests.bench.servers import VAR

BENCHES: dict[str, Callable[[dict[str, Figure]], list[Figure]]] = {
    "bare.latency": lambda _: bare.latency(),
    "bare.command": lambda _: bare.command(),
    "bare.process": lambda _: bare.process(),
    "bare.drain": lambda _: bare.drain(),
    "journal": lambda _: journal.appending(),
    "edge": edge.footprint,
    "polling": lambda peers: [*polling.footprint(peers), *polling.jitter(peers)],
    "c11.connected": c11.connected,
    "c11.replay": c11.replay,
    "mbus": mbus.decoding,
    "modbus": lambda _: requests.requests_per_poll(),
    "latency": real.latency,
    "command": real.command,
    "drain": drain.seconds,
    "drain.live": drain.live,
    "sync": lambda _: sync.syncing(),
    "ingest": ingest.rates,
    "ingest.small": ingest.small,
    "ingest.full": ingest.full,
    "rollup": ingest.backlog,
    "query": memory.ten_million,
    "query.1e8": memory.hundred_million,
}
"""In this order; each gets the figures that were made before it, as peers."""

LONG = {"query.1e8"}
"""Only when it is named: it takes half an hour, and 20 GB of disk."""


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        sys.stderr.write(f"no such benchmark: {unknown[0]}; there are {', '.join(BENCHES)}\n")
        return 2
    figures: dict[str, Figure] = {}
    for name, bench in BENCHES.items():
        if name in names or (not names and name not in LONG):
            sys.stderr.write(f"{name} …\n")
            figures |= {one.name: one for one in bench(figures)}
            # What was measured is kept when a later one fails.
            write_json(list(figures.values()), VAR / "bench.json")
    sys.stdout.write(table(list(figures.values())) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
