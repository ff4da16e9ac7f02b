"""What reporting tools read: views with names and exact values, open to an account of their own."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from cloud.domain.consumption import HOUR_MS
from cloud.services import installing, points
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from common.registers import KINDS, Kind, Medium
from tests.harness.masterdata import MasterData
from tests.repo.files import ROOT

DOCUMENT = (ROOT / "docs" / "reporting.md").read_text("utf-8")
DASHBOARD = (ROOT / "deploy" / "grafana" / "consumption.json").read_text("utf-8")
DAY_MS = 24 * HOUR_MS
NOON = 1_763_640_000_000  # 2025-11-20T12:00Z, 14:00 on the site's clocks
MIDNIGHT = NOON - 14 * HOUR_MS


def rows(store: Store, query: str, **given: object) -> list[dict[str, Any]]:
    with store._engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(query), given).mappings()]


@pytest.fixture
def meter(data: MasterData) -> int:
    """The register of a meter in the mill."""
    return data.add_register(data.add_device(data.add_gateway(data.add_site())))


def exact(values: list[Any]) -> list[Decimal | None]:
    return [None if value is None else Decimal(value) for value in values]


def consumption(store: Store, view: str, at: int) -> Decimal:
    found = rows(store, f"SELECT consumption FROM {view} WHERE at = :at", at=at)
    return sum((Decimal(str(row["consumption"])) for row in found), Decimal())


@pytest.mark.parametrize(
    ("scaled", "decimals", "value"),
    [
        (2**63 - 1, 3, "9223372036854775.807"),
        (-(2**63), 0, "-9223372036854775808"),
        (-5, 3, "-0.005"),
        (-1005, 3, "-1.005"),
        (0, 9, "0"),
        (1, 9, "0.000000001"),
    ],
)
def test_the_latest_value_is_exact_to_the_last_digit(
    store: Store, data: MasterData, scaled: int, decimals: int, value: str
) -> None:
    device = data.add_device(data.add_gateway(data.add_site()))
    data.add_readings(data.add_register(device, decimals=decimals), [(NOON + 1, scaled)], quality=1)
    [row] = rows(store, "SELECT * FROM report_latest")
    assert Decimal(row["value"]) == Decimal(value)
    assert (row["site"], row["gateway"], row["device"], row["register"]) == (
        "mill", "gw-1", "water-1", "volume"
    )  # fmt: skip
    assert (row["medium"], row["unit"], row["quality"]) == ("cold water", "m³", "estimated")
    assert (row["at"], row["epoch"]) == (NOON + 1, NOON // 1000)
    assert str(row["time"]).startswith("2025-11-20 12:00:00.001")


def test_every_medium_and_unit_is_called_as_elsewhere(store: Store, data: MasterData) -> None:
    device = data.add_device(data.add_gateway(data.add_site()))
    kinds = list(Kind)
    for number, medium in enumerate(Medium):
        kind = kinds[number % len(kinds)]
        register = data.add_register(
            device, medium.label.replace(" ", "-"), medium=medium, kind=kind
        )
        data.add_readings(register, [(NOON, None)])
    found = rows(store, "SELECT register, medium, kind, unit, value FROM report_latest")
    assert len(found) == len(Medium) > len(kinds)
    for row in found:
        assert row["medium"].replace(" ", "-") == row["register"]
        assert row["unit"] == KINDS[Kind(row["kind"])].unit
        assert row["value"] is None


def test_hours_and_days_of_a_register_add_up_to_what_it_counted(
    store: Store, data: MasterData, meter: int
) -> None:
    start = MIDNIGHT - DAY_MS
    every = [(start + n * HOUR_MS // 4, 1000 + 7 * n) for n in range(4 * 48)]
    data.add_readings(meter, every)
    roll_up(store)
    for view, count in (("report_register_hourly", 48), ("report_register_daily", 2)):
        found = rows(store, f"SELECT * FROM {view} ORDER BY at")
        assert len(found) == count
        counted = sum(Decimal(row["consumption"]) for row in found)
        assert counted == Decimal(7 * (len(every) - 1)) / 1000
        assert Decimal(found[-1]["last_reading"]) == Decimal(every[-1][1]) / 1000
        assert Decimal(found[0]["first_reading"]) == Decimal(found[0]["lowest"]) == 1
        assert sum(row["readings"] for row in found) == len(every)
    assert [row["at"] for row in found] == [start, MIDNIGHT]


def test_what_was_counted_in_a_gap_is_in_no_hour(
    store: Store, data: MasterData, meter: int
) -> None:
    data.add_readings(meter, [(NOON, 0), (NOON + 5 * HOUR_MS, 100), (NOON + 5 * HOUR_MS + 1, 102)])
    roll_up(store)
    found = rows(store, "SELECT consumption FROM report_register_hourly ORDER BY at")
    assert exact([row["consumption"] for row in found]) == [0, Decimal("0.002")]


def test_what_does_not_count_consumes_nothing(store: Store, data: MasterData) -> None:
    device = data.add_device(data.add_gateway(data.add_site()))
    power = data.add_register(device, "power", kind=Kind.POWER, decimals=1)
    data.add_readings(power, [(NOON, 50), (NOON + 1, -30)])
    roll_up(store)
    [row] = rows(store, "SELECT * FROM report_register_hourly")
    assert row["consumption"] is None
    assert exact([row["lowest"], row["highest"]]) == [-3, 5]


@pytest.fixture
def exchanged(store: Store, data: MasterData) -> int:
    """A point whose meter was exchanged."""
    return exchange_a_meter(store, data)


def exchange_a_meter(store: Store, data: MasterData) -> int:
    """A point whose meter is exchanged for one that counts tenfold, at half past two: the first
    ends with 1.4, of which nobody has read the last tenth, the second begins with 5."""
    device = data.add_device(data.add_gateway(data.add_site()))
    old, new = (data.add_register(device, key) for key in ("old", "new"))
    quarters = [NOON + n * HOUR_MS // 4 for n in range(16)]
    at = NOON + 5 * HOUR_MS // 2
    data.add_readings(old, [(one, 1000 + n * 30) for n, one in enumerate(quarters) if one < at])
    data.add_readings(new, [(one, 5000 + n) for n, one in enumerate(quarters) if one > at])
    change = Change("ana", NOON + DAY_MS, "worn")
    wanted = NewPoint("flat-1", "Flat 1", "mill", Medium.COLD_WATER, Kind.VOLUME)
    point = points.create(store, wanted, change)
    installing.install(
        store, point.id, NewMeter(old, serial="A", start_index=Decimal(1)), NOON, change
    )
    meter = NewMeter(new, serial="B", start_index=Decimal(5), multiplier=Decimal(10))
    installing.exchange(store, point.id, Decimal("1.4"), meter, at=at, change=change)
    roll_up(store)
    return point.id


def test_a_points_consumption_runs_on_through_an_exchange(store: Store, exchanged: int) -> None:
    # The old meter: 0.4 in all; the new: 15 in all, tenfold.
    whole = Decimal("0.4") + Decimal("0.15")
    by_hour = rows(
        store,
        "SELECT at, SUM(consumption) AS used, COUNT(*) AS meters FROM report_point_hourly"
        " WHERE point = 'flat-1' GROUP BY at ORDER BY at",
    )
    assert [row["meters"] for row in by_hour] == [1, 1, 2, 1]
    used = [round(Decimal(str(row["used"])), 9) for row in by_hour]
    assert used[:2] == [Decimal("0.09"), Decimal("0.12")]
    assert sum(used) == whole
    assert round(consumption(store, "report_point_daily", MIDNIGHT), 9) == whole


def test_an_exchange_near_midnight_is_counted_once(store: Store, data: MasterData) -> None:
    device = data.add_device(data.add_gateway(data.add_site()))
    register = data.add_register(device)
    midnight = MIDNIGHT + DAY_MS
    quarters = [midnight + n * HOUR_MS // 4 for n in range(-96, 96)]
    data.add_readings(register, [(one, 96 + n) for n, one in enumerate(quarters)])
    change = Change("ana", midnight + 2 * DAY_MS)
    for number, minutes in enumerate((-10, 10)):
        wanted = NewPoint(f"p{number}", "P", "mill", Medium.COLD_WATER, Kind.VOLUME)
        point = points.create(store, wanted, change)
        start = midnight - DAY_MS if number == 0 else midnight - 10 * 60_000
        installing.install(store, point.id, NewMeter(register), start, change)
        at = midnight + minutes * 60_000 if number == 0 else midnight + DAY_MS // 2
        installing.remove(store, point.id, None, at, change)
    roll_up(store)
    for view in ("report_point_hourly", "report_point_daily"):
        used = [
            Decimal(str(row["used"]))
            for row in rows(store, f"SELECT SUM(consumption) AS used FROM {view} GROUP BY point")
        ]
        # What the register counted from the first installation to the last removal.
        assert round(sum(used), 9) == Decimal("0.144"), view


def test_points_are_listed_with_what_is_installed_now(store: Store, exchanged: int) -> None:
    change = Change("ana", NOON)
    wanted = NewPoint("flat-2", "Flat 2", "mill", Medium.GAS, Kind.VOLUME, "flat-1")
    points.create(store, wanted, change)
    one, two = rows(store, "SELECT * FROM report_point ORDER BY point")
    assert (one["point_id"], one["device"], one["serial"]) == (exchanged, "water-1", "B")
    assert Decimal(one["multiplier"]) == 10
    assert one["installed_at"] == NOON + 5 * HOUR_MS // 2
    assert (one["parent"], one["timezone"]) == (None, "Europe/Bucharest")
    assert (two["parent"], two["medium"], two["device"]) == ("flat-1", "gas", None)


def test_alarms_are_open_until_somebody_has_seen_them(store: Store, data: MasterData) -> None:
    gateway = data.add_gateway(data.add_site())
    stream = data.add_stream(gateway)
    data.add_event(stream, 1, gateway, at=NOON)
    data.add_event(stream, 2, gateway, at=NOON, severity="warning")
    [row] = rows(store, "SELECT * FROM report_open_alarm")
    assert (row["site"], row["code"], row["text"]) == ("mill", "leak", "It drips")
    with store._engine.begin() as connection:
        connection.execute(text("UPDATE event SET acknowledged_at = 1 WHERE seq = 1"))
    assert rows(store, "SELECT * FROM report_open_alarm") == []


def test_the_document_describes_every_view_and_each_of_its_columns(store: Store) -> None:
    found = inspect(store._engine)
    described = {
        name: re.findall(r"`(\w+)`", columns)
        for name, columns in re.findall(r"^\| `(report_\w+)` \|.*\|(.*)\|$", DOCUMENT, re.MULTILINE)
    }
    columns = {
        name: [column["name"] for column in found.get_columns(name)]
        for name in found.get_view_names()
    }
    assert described == columns


@pytest.fixture
def reader(mariadb_url: str) -> Iterator[str]:
    """The URL of an account that was made as the document says."""
    [block] = re.findall(r"^```sql\n(CREATE USER.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    database = mariadb_url.rpartition("/")[2]
    owner = create_engine(mariadb_url)
    statements = [one.strip() for one in block.replace("inmetter.", f"{database}.").split(";")]
    with owner.begin() as connection:
        for one in filter(None, statements):
            connection.exec_driver_sql(one)
    yield mariadb_url.replace("root@", "grafana:secret@")
    with owner.begin() as connection:
        connection.exec_driver_sql("DROP USER grafana")
    owner.dispose()


def test_an_account_for_reports_reads_the_views_and_nothing_else(
    mariadb_url: str, reader: str
) -> None:
    engine = create_engine(reader)
    with engine.connect() as connection:
        names = inspect(create_engine(mariadb_url)).get_view_names()
        assert len(names) == 7
        for name in names:
            connection.exec_driver_sql(f"SELECT * FROM {name}").all()
        refused = ("SELECT * FROM account", "SELECT * FROM reading", "DELETE FROM report_point")
        for statement in refused:
            with pytest.raises(DBAPIError, match="command denied"):
                connection.exec_driver_sql(statement)
    engine.dispose()


def asked_by_the_dashboard() -> dict[str, str]:
    """By variable or panel what it asks the database, as Grafana would fill it in."""
    found = json.loads(DASHBOARD)
    variables = {one["name"]: one for one in found["templating"]["list"]}
    asked = {name: one["query"] for name, one in variables.items() if one["type"] == "query"}
    for panel in found["panels"]:
        [target] = panel["targets"]
        asked[panel["title"]] = target["rawSql"]
    given = {
        "${site:sqlstring}": "'mill','other'",
        "${point:sqlstring}": "'flat-1','flat-2'",
        "$__from": str(MIDNIGHT),
        "$__to": str(NOON + DAY_MS),
    }
    for name, query in asked.items():
        for variable, value in given.items():
            asked[name] = asked[name].replace(variable, value)
        assert "$" not in asked[name], query
    return asked


def test_everything_that_the_dashboard_asks_for_is_answered_to_that_account(
    mariadb_url: str, reader: str
) -> None:
    store, data = Store(mariadb_url), MasterData(mariadb_url)
    exchange_a_meter(store, data)
    gateway = data.add_gateway(data.add_site("other"), "gw-2")
    data.add_event(data.add_stream(gateway), 1, gateway, at=NOON)
    engine = create_engine(reader)
    with engine.connect() as connection:
        strict = "SET sql_mode = CONCAT(@@sql_mode, ',ONLY_FULL_GROUP_BY')"
        connection.exec_driver_sql(strict)  # as MySQL is from the start
        for name, query in asked_by_the_dashboard().items():
            assert connection.exec_driver_sql(query).all(), name
        by_hour = connection.exec_driver_sql(asked_by_the_dashboard()["Consumption by hour"])
        first = (NOON // 1000, "Flat 1 [m³]", Decimal("0.09"))
        assert tuple(by_hour.all()[0]) == first
    engine.dispose()
    data.close()
    store.close()


def test_the_dashboard_asks_the_views_and_the_data_source_that_is_chosen() -> None:
    asked = asked_by_the_dashboard()
    views = set(re.findall(r"^\| `(report_\w+)` \|", DOCUMENT, re.MULTILINE))
    for query in asked.values():
        assert set(re.findall(r"FROM (\w+)", query)) <= views
    assert set(re.findall(r'"uid": "([^"]+)"', DASHBOARD)) == {
        "${datasource}", "inmetter-consumption"
    }  # fmt: skip
    [source] = [
        one for one in json.loads(DASHBOARD)["templating"]["list"] if one["type"] == "datasource"
    ]
    assert (source["name"], source["query"]) == ("datasource", "mysql")
