"""A fleet in simulation and its cloud, every part a real program."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from cloud.services import rules
from cloud.services.store import Store
from common.clock import SystemClock
from tests.harness.books import CloudBook
from tests.harness.cloud import CloudFiles
from tests.harness.mariadb import MariaDb
from tests.harness.mosquitto import Mosquitto
from tests.harness.processes import Program, Programs
from tests.harness.proxy import Proxy
from tests.harness.site import ROOF, SiteFiles
from tests.harness.tap import Tap
from tests.prove.storm import Order

DATABASE = "inmetter"
WORKERS = ("ingest-1", "ingest-2")
CLOUD = (*WORKERS, "dispatch", "web")

SPEED = 60
"""How much faster than the clock the world turns."""

LOCK_WAIT_S = 2
"""So long a transaction waits for a row; MariaDB's own 50 s are longer than a storm's calm."""

RULE_SOURCE = ("hot-water", "flow")
RULE_ABOVE, RULE_BELOW, RULE_TTL_S = 35, 20, 5
"""In m³/h. The taps of the world swing over both every few seconds; when it stands, it is 0."""

KEEPALIVE_S = 4
REDIALS = 15


@dataclass(slots=True)
class Gateway:
    """One gateway: its files, its link to the broker, and its clock, if that can be stepped."""

    key: str
    site: SiteFiles
    link: Proxy
    devices: Program
    edge: Program
    clock: Path

    def step_clock(self, seconds: int) -> None:
        """By so much the agent's wall clock is off from now on; its monotonic one is not."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self.clock)


@dataclass(slots=True)
class Fleet:
    """What the storm has in its hands. The cloud's programs have links of their own as well.

    ``url`` is the database's, past its link.
    """

    directory: Path
    gateways: dict[str, Gateway]
    cloud: CloudFiles
    broker: Mosquitto
    database: MariaDb
    url: str
    cloud_link: Proxy
    base_link: Proxy
    programs: Programs
    book: CloudBook
    tap: Tap
    outputs: dict[str, int]
    clerk: ThreadPoolExecutor
    _never: threading.Event = field(default_factory=threading.Event)

    def link(self, name: str) -> Proxy:
        """Of a gateway, or the ``cloud``'s."""
        return self.cloud_link if name == "cloud" else self.gateways[name].link

    def order(self, order: Order) -> None:
        """Have it ordered through REST, beside what goes on; whether it is, the books will say.

        Again while nobody listens; what was not answered may have been issued all the same.
        """

        def issue() -> None:
            for _ in range(REDIALS):
                try:
                    self.cloud.order(self.outputs[order.gateway], order.value, order.ttl_s)
                except httpx.ConnectError:
                    self._never.wait(1)
                except (AssertionError, httpx.HTTPError):
                    return
                else:
                    return

        self.clerk.submit(issue)

    def stop_rules(self) -> None:
        """Turn them all off, as an operator does: from now on they order nothing any more."""
        store, now_ms = Store(self.url), SystemClock().now_ms()
        try:
            for rule in rules.rules(store):
                rules.set_enabled(store, rule.id, enabled=False, now_ms=now_ms)
        finally:
            store.close()

    def start(self) -> None:
        """Everything, and every output known to the cloud. A rule for each gateway is on."""
        for key in self.gateways:
            self.cloud.add_rule(
                f"taps of {key}",
                (key, *RULE_SOURCE),
                RULE_ABOVE,
                RULE_BELOW,
                (key, *ROOF),
                ttl_s=RULE_TTL_S,
            )
        self.cloud.write()
        for name in CLOUD:
            role = "ingest" if name in WORKERS else name
            self.programs.add(name, *self.cloud.command(role)).start()
        for name in WORKERS:
            self.programs[name].wait_for("inmetter-ingest-")
        for one in self.gateways.values():
            one.site.write()
            one.step_clock(0)
            one.devices.start().wait_for("simulated site is up")
            one.edge.start().wait_for("listens on")
        self.cloud.wait_until_ready()
        for key in self.gateways:
            self.outputs[key] = self.cloud.output_id(key, *ROOF)


@contextlib.contextmanager
def fleet(
    directory: Path, seed: str, gateways: int, turns_s: float, *, forked: bool
) -> Iterator[Fleet]:
    """Servers and links run; nothing else is started yet. The world turns for ``turns_s``."""
    for part in ("broker", "database", "cloud", "logs"):
        (directory / part).mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        broker = enter(Mosquitto(directory / "broker"))
        options = (f"--innodb-lock-wait-timeout={LOCK_WAIT_S}",)
        database = enter(MariaDb(directory / "database", options))
        direct = database.create_database(DATABASE)
        cloud_link = enter(Proxy(broker.port, f"{seed}/cloud"))
        base_link = enter(Proxy(database.port, f"{seed}/base"))
        links = {
            f"gw-{n}": enter(Proxy(broker.port, f"{seed}/gw-{n}")) for n in range(1, gateways + 1)
        }
        programs = enter(Programs(directory / "logs", forked=forked))
        url = f"mysql+pymysql://root@127.0.0.1:{base_link.port}/{DATABASE}"
        yield Fleet(
            directory=directory,
            gateways={
                key: _gateway(directory, key, link, programs, turns_s)
                for key, link in links.items()
            },
            cloud=CloudFiles(directory / "cloud", url, cloud_link.port),
            broker=broker,
            database=database,
            url=direct,
            cloud_link=cloud_link,
            base_link=base_link,
            programs=programs,
            book=CloudBook(database.port, DATABASE),
            tap=enter(Tap(broker.port)),
            outputs={},
            clerk=enter(ThreadPoolExecutor(8)),
        )


def _gateway(directory: Path, key: str, link: Proxy, programs: Programs, turns_s: float) -> Gateway:
    site = SiteFiles(
        directory / key,
        link.port,
        speed=SPEED,
        turns_s=turns_s,
        gateway=key,
        keepalive_s=KEEPALIVE_S,
        interval_s=0.25,
    )
    clock = directory / f"{key}.clock"
    return Gateway(
        key=key,
        site=site,
        link=link,
        devices=programs.add(f"devices-{key}", *site.simulator_command()),
        edge=programs.add(f"edge-{key}", *_with_clock(clock, site.edge_command())),
        clock=clock,
    )


def faketime() -> Path | None:
    """The library that steps a program's clock (Debian's ``faketime``); None where it is not."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return found[0] if found else None


def _with_clock(clock: Path, command: list[str]) -> list[str]:
    """The command, its wall clock off by what stands in the file ``clock``."""
    library = faketime()
    if library is None:
        return command
    settings = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return ["env", *(f"{name}={value}" for name, value in settings.items()), *command]
