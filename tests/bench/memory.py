"""What screens ask of a database with ten million readings, or with a hundred.

1,000 registers at 20 sites, an hour (or six minutes) apart, 416 days of them. Hours and days are
loaded as roll-ups make them, which is checked for one register. The buffer pool is MariaDB's
default. Asked through the services, as pages and routes do: p95 of questions about registers and
months by chance, the median of several rounds.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, Table, insert

from cloud.app import settle
from cloud.domain.consumption import Step
from cloud.services import fleet, points
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from cloud.storage import tables
from cloud.storage.engine import open_engine
from cloud.storage.load_data import load
from cloud.storage.migrations import migrate
from common.clock import to_ms
from common.registers import Medium
from tests.bench.figures import Figure, figure, quantile
from tests.bench.load import RUNS
from tests.bench.real import DATABASE
from tests.bench.servers import stage
from tests.harness.eventually import eventually

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
SITES, POINTS = 20, 50
REGISTERS = SITES * POINTS
HOURS = 10_000
ZONE = ZoneInfo("Europe/Bucharest")
END = datetime(2026, 11, 20, 10, tzinfo=UTC)
START = END - timedelta(hours=HOURS)
ASKED = 60
TARGET_MS, PAGE_MS = 40, 120

SPANS = (
    "register_id, at, first_at, first_value, first_quality, last_at, last_value, last_quality,"
    " readings, low, high, gap_ms"
)
Row = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Readings:
    """``each_hour`` readings of a register in an hour."""

    each_hour: int

    @property
    def interval_s(self) -> int:
        return 3600 // self.each_hour

    def value(self, register: int, n: int) -> int:
        return n * (3 + register % 7) // 2

    def of(self, register: int) -> Iterator[Row]:
        start, step = to_ms(START), self.interval_s * 1000
        for n in range(HOURS * self.each_hour):
            yield register, start + n * step, self.value(register, n), 0, None

    def span(self, register: int, at: int, first: int, last: int) -> Row:
        """Of the readings number ``first`` to ``last``."""
        start, step = to_ms(START), self.interval_s * 1000
        low, high = self.value(register, first), self.value(register, last)
        times = (start + first * step, start + last * step)
        return (register, at, times[0], low, 0, times[1], high, 0, last - first + 1, low, high, 0)

    def hours(self, register: int) -> Iterator[Row]:
        for hour in range(HOURS):
            first = hour * self.each_hour
            at = to_ms(START) + hour * HOUR_MS
            yield self.span(register, at, first, first + self.each_hour - 1)

    def days(self, register: int, hours_of: list[tuple[int, int, int]]) -> Iterator[Row]:
        for at, first, last in hours_of:
            yield self.span(register, at, first * self.each_hour, (last + 1) * self.each_hour - 1)


def ten_million(_: dict[str, Figure]) -> list[Figure]:
    return _questions(Readings(1), "query", 1)


def hundred_million(peers: dict[str, Figure]) -> list[Figure]:
    """Ten times the readings: at most twice the time."""
    return _questions(Readings(10), "query_1e8", 2, peers)


def _questions(
    readings: Readings, name: str, factor: int, peers: dict[str, Figure] | None = None
) -> list[Figure]:
    with stage() as on:
        url = on.database.create_database(DATABASE)
        migrate(url)
        engine = open_engine(url)
        with engine.begin() as connection:
            _master_data(connection, readings)
        _load(engine, readings)
        store = Store(url)
        _check(engine, store)
        _come_to_rest(engine)
        settle()  # as a web server does at its start
        chance = random.Random(7)
        rounds = [
            {one: _ask(store, chance, one) for one in (MONTH, YEAR, SITE, COMPLETE)}
            for _ in range(RUNS)
        ]
        bare = [_bare_ms(engine, chance) for _ in range(ASKED)]
        store.close()
        engine.dispose()
    peer = figure(f"bare.{name}_month_of_hours_ms", [quantile(bare, 0.95)], "ms")
    pages = [[sum(each) for each in zip(*asked.values(), strict=True)] for asked in rounds]
    return [
        peer,
        *(
            figure(
                f"{name}.{one}_ms",
                [quantile(asked[one], 0.95) for asked in rounds],
                "ms",
                target=TARGET_MS * factor,
                peer=(peers or {}).get(f"query.{one}_ms", peer),
            )
            for one in rounds[0]
        ),
        figure(
            f"{name}.page_ms",
            [quantile(page, 0.95) for page in pages],
            "ms",
            target=PAGE_MS * factor,
            peer=peer,
        ),
    ]


MONTH, YEAR, SITE, COMPLETE = "month_by_hour", "year_by_month", "site_day", "completeness"


def _ask(store: Store, chance: random.Random, what: str) -> list[float]:
    """Milliseconds of each of ASKED questions."""
    asks: dict[str, Callable[[int, datetime], object]] = {
        MONTH: lambda point, at: points.consumption(
            store, point, Step.HOUR, at, at + timedelta(days=30)
        ),
        YEAR: lambda point, at: points.consumption(
            store, point, Step.MONTH, START + timedelta(days=40), END
        ),
        SITE: lambda point, at: points.of_site(
            store, point % SITES + 1, Step.HOUR, at, at + timedelta(days=1)
        ),
        COMPLETE: lambda _, at: fleet.completeness(store, at.date(), to_ms(END)),
    }
    took = []
    for _ in range(ASKED):
        point = chance.randrange(1, REGISTERS + 1)
        day = datetime.combine(
            (START + timedelta(days=chance.randrange(2, 380))).date(), datetime.min.time(), ZONE
        )
        begun = time.perf_counter()
        found = asks[what](point, day)
        took.append((time.perf_counter() - begun) * 1000)
        assert found
    return took


def _bare_ms(engine: Engine, chance: random.Random) -> float:
    """A month of a register's hours as the driver gives them."""
    register = chance.randrange(1, REGISTERS + 1)
    start = to_ms(START) + chance.randrange(380) * DAY_MS
    begun = time.perf_counter()
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            f"SELECT {SPANS} FROM hourly WHERE register_id = %s AND at >= %s AND at < %s",
            (register, start, start + 30 * DAY_MS),
        ).all()
    assert rows
    return (time.perf_counter() - begun) * 1000


def _master_data(connection: Connection, readings: Readings) -> None:
    """Each site has a gateway with ten devices of five registers, and a metering point for each."""
    numbers = range(1, REGISTERS + 1)
    start = to_ms(START)

    def add(table: Table, rows: Iterable[dict[str, object]]) -> None:
        connection.execute(insert(table), list(rows))

    sites = range(1, SITES + 1)
    add(
        tables.site,
        ({"id": n, "key": f"site-{n}", "name": f"Site {n}", "timezone": ZONE.key} for n in sites),
    )
    add(
        tables.gateway,
        ({"id": n, "site_id": n, "key": f"gw-{n}", "name": f"Gateway {n}"} for n in sites),
    )
    add(
        tables.device,
        (
            {
                "id": n,
                "gateway_id": (n - 1) // 10 + 1,
                "key": f"device-{n}",
                "name": f"Device {n}",
                "driver": "modbus",
            }
            for n in range(1, REGISTERS // 5 + 1)
        ),
    )
    add(
        tables.register,
        (
            {
                "id": n,
                "device_id": (n - 1) // 5 + 1,
                "key": f"volume-{n}",
                "kind": "volume",
                "decimals": 3,
                "medium": int(Medium.COLD_WATER),
                "name": f"Volume {n}",
                "interval_s": readings.interval_s,
            }
            for n in numbers
        ),
    )
    add(
        tables.metering_point,
        (
            {
                "id": n,
                "key": f"point-{n}",
                "name": f"Point {n}",
                "site_id": (n - 1) // POINTS + 1,
                "medium": int(Medium.COLD_WATER),
                "kind": "volume",
                "created_at": start,
            }
            for n in numbers
        ),
    )
    add(
        tables.installation,
        ({"point_id": n, "register_id": n, "start_at": start, "start_index": 0} for n in numbers),
    )
    last = HOURS * readings.each_hour - 1
    at = start + last * readings.interval_s * 1000
    add(
        tables.latest,
        (
            {
                "register_id": n,
                "at": at,
                "value": readings.value(n, last),
                "quality": 0,
                "received_at": at,
            }
            for n in numbers
        ),
    )


def _load(engine: Engine, readings: Readings) -> None:
    """The readings, and the hours and days that they make."""
    days = [
        (at, hours[0], hours[-1])
        for at, its in groupby(range(HOURS), _midnight)
        if (hours := list(its))
    ]
    for register in range(1, REGISTERS + 1):
        parts = (
            ("reading", "register_id, at, value, quality, raw", readings.of(register)),
            ("hourly", SPANS, readings.hours(register)),
            ("daily", SPANS, readings.days(register, days)),
        )
        for table, columns, rows in parts:
            with engine.begin() as connection:
                load(connection, table, columns, list(rows))
    with engine.begin() as connection:
        for table in ("reading", "hourly", "daily", "register", "installation"):
            connection.exec_driver_sql(f"ANALYZE TABLE {table}").all()


def _midnight(hour: int) -> int:
    day = (START + timedelta(hours=hour)).astimezone(ZONE).date()
    return to_ms(datetime.combine(day, datetime.min.time(), ZONE))


def _come_to_rest(engine: Engine) -> None:
    """Until all that was loaded is on the disk: that is not what is measured."""
    dirty = "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'"

    def clean() -> bool:
        with engine.connect() as connection:
            return int(connection.exec_driver_sql(dirty).one()[1]) == 0

    with engine.connect() as connection:
        connection.exec_driver_sql("SET GLOBAL innodb_max_dirty_pages_pct = 0")
    eventually(clean, 120, "what was loaded is on the disk")


def _check(engine: Engine, store: Store) -> None:
    """What was loaded of a register is what roll-ups make of its readings."""
    register = REGISTERS // 3
    its = f"WHERE register_id = {register} ORDER BY at"
    looks = [f"SELECT {SPANS} FROM {table} {its}" for table in ("hourly", "daily")]
    with engine.begin() as connection:
        loaded = [connection.exec_driver_sql(look).all() for look in looks]
        connection.exec_driver_sql(f"INSERT INTO mark SELECT register_id, at, 1 FROM hourly {its}")
    assert roll_up(store) == HOURS
    with engine.begin() as connection:
        assert [connection.exec_driver_sql(look).all() for look in looks] == loaded
