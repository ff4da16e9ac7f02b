"""A whole inMetter for one test: simulated site, gateway, broker, database, cloud, all real."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.harness.books import CloudBook, check_balance, read_journal
from tests.harness.cloud import CloudFiles
from tests.harness.eventually import eventually
from tests.harness.mariadb import MariaDb
from tests.harness.mosquitto import Mosquitto
from tests.harness.processes import Program, Programs
from tests.harness.proxy import Proxy
from tests.harness.site import GATEWAY, SiteFiles
from tests.harness.tap import Tap

DATABASE = "inmetter"


@dataclass(slots=True)
class Plant:
    """What a test has in its hands. The gateway reaches the broker through ``link``."""

    site: SiteFiles
    cloud: CloudFiles
    broker: Mosquitto
    database: MariaDb
    link: Proxy
    programs: Programs
    book: CloudBook

    def start_cloud(self, *roles: str) -> None:
        """The cloud's programs: by default one process for each role."""
        self.cloud.write()
        for role in roles or ("ingest", "dispatch", "web"):
            self.programs.add(role, *self.cloud.command(role)).start()
        for role in roles or ("ingest", "dispatch"):
            part = "ingest" if role == "all" else role
            if part != "web":
                self.programs[role].wait_for(f"inmetter-{part}-")
        if {"web", "all"} & set(roles or ("web",)):
            self.cloud.wait_until_ready()

    def start_site(self) -> None:
        """Simulators first, then the gateway, so that the world begins where it is described."""
        self.site.write()
        self.programs.add("simulators", *self.site.simulator_command()).start()
        self.programs["simulators"].wait_for("simulated site is up")
        self.programs.add("edge", *self.site.edge_command()).start().wait_for("listens on")

    def committed(self) -> int:
        """The greatest sequence number of the gateway's stream that is in the ledger."""
        return self.book.committed(read_journal(self.site.journal).stream).last()

    def wait_for_entries(self, more: int, timeout_s: float = 40) -> None:
        """Until the cloud has committed ``more`` entries than it has now: there is traffic."""
        wanted = self.committed() + more
        eventually(lambda: self.committed() >= wanted, timeout_s, f"entry {wanted} committed")

    def wait_for_journal(self, more: int) -> None:
        """Until the gateway has written ``more`` entries than it has now, sent or not."""
        wanted = read_journal(self.site.journal).last + more
        journal = self.site.journal
        eventually(lambda: read_journal(journal).last >= wanted, 40, f"entry {wanted} written")

    def check_books(self, timeout_s: float = 60) -> int:
        """Everything that the gateway has written by now arrives; then the books balance.

        Returns how many entries were compared.
        """
        book = read_journal(self.site.journal)
        eventually(
            lambda: not self.book.committed(book.stream).missing(1, book.last),
            timeout_s,
            f"entries up to {book.last} committed",
        )
        check_balance(self.site.journal, self.book, self.site.gateway, book.last)
        return book.last

    def tap(self) -> Tap:
        """A listener on the broker."""
        return Tap(self.broker.port)

    def program(self, name: str) -> Program:
        return self.programs[name]


@contextlib.contextmanager
def plant(directory: Path, programs: Programs) -> Iterator[Plant]:
    """Broker, database and link run; nothing else is started yet."""
    for part in ("broker", "database", "cloud"):
        (directory / part).mkdir()
    with (
        Mosquitto(directory / "broker") as broker,
        MariaDb(directory / "database") as database,
        Proxy(broker.port) as link,
        programs,
    ):
        url = database.create_database(DATABASE)
        yield Plant(
            site=SiteFiles(directory / "site", link.port, gateway=GATEWAY),
            cloud=CloudFiles(directory / "cloud", url, broker.port),
            broker=broker,
            database=database,
            link=link,
            programs=programs,
            book=CloudBook(database.port, DATABASE),
        )
