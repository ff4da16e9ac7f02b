"""What is found of a metering point's consumption is told once, with its evidence."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from cloud.services import findings, installing, points
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from cloud.services.watching import POINTS, watch
from common.clock import to_ms
from common.errors import ConfigError, NotFound
from common.registers import Kind, Medium
from tests.harness.eventually import eventually
from tests.harness.masterdata import MasterData
from tests.harness.tables import rows_of

START = datetime(2026, 6, 1, tzinfo=UTC)
LEAK, STOPPED = 240, 264
"""Of the leak: the hours from the tenth midnight to the next."""


def at(hours: float) -> int:
    return to_ms(START + timedelta(hours=hours))


BY = Change("ana", at(2000))


class House:
    """A metering point with a meter that is read each hour: 20 l an hour by day, none at night."""

    def __init__(
        self, store: Store, data: MasterData, key: str = "house", timezone: str = "UTC"
    ) -> None:
        self.store, self.data = store, data
        self.gateway = data.add_gateway(data.add_site(key, timezone), key)
        self.register = data.add_register(data.add_device(self.gateway), interval_s=3600)
        wanted = NewPoint(key, key.title(), key, Medium.COLD_WATER, Kind.VOLUME)
        self.point = points.create(store, wanted, BY).id

    def installed(self, multiplier: int = 1) -> "House":
        self.data.add_stream(self.gateway, stream=f"{self.gateway:032x}")
        meter = NewMeter(self.register, Decimal(0), multiplier=Decimal(multiplier))
        installing.install(self.store, self.point, meter, at(0), BY)
        return self

    def reads(self, first: int, end: int, leak: tuple[int, int] = (LEAK, STOPPED)) -> None:
        """From the hour ``first`` up to ``end``, with 12 l more in each hour of the leak."""

        def index(hour: int) -> int:
            usual = sum(20 for n in range(hour) if n % 24 >= 6)
            return usual + 12 * sum(leak[0] <= n < leak[1] for n in range(hour))

        self.data.add_readings(self.register, [(at(n), index(n)) for n in range(first, end + 1)])
        roll_up(self.store)


@pytest.fixture
def house(store: Store, data: MasterData) -> House:
    return House(store, data).installed()


def told(store: Store) -> list[tuple[str, str]]:
    """Codes and severities of the events, in the order in which they were told."""
    return [
        (code, severity)
        for code, severity in rows_of(store, "SELECT code, severity FROM event ORDER BY -seq")
    ]


def evidence(store: Store, code: str) -> dict[str, Any]:
    [[found]] = rows_of(store, f"SELECT data FROM event WHERE code = '{code}'")
    return msgspec.json.decode(found, type=dict[str, Any])


def test_a_leak_is_told_once_while_it_lasts_and_once_when_it_is_over(
    house: House, url: str
) -> None:
    house.reads(0, 245)
    assert watch(house.store, at(245)) == 1
    assert told(house.store) == []
    house.reads(246, 246)
    watch(house.store, at(246))
    assert told(house.store) == [("continuous_flow", "alarm")]
    restarted = Store(url)
    for first, hour in ((247, 248), (249, 255), (256, 263)):
        house.reads(first, hour)
        assert watch(restarted, at(hour)) == 1
        assert watch(restarted, at(hour)) == 0
    restarted.close()
    assert told(house.store) == [("continuous_flow", "alarm")]
    [lasting] = findings.findings(house.store, house.point)
    assert (lasting.until, lasting.closed_at) == (None, None)
    assert lasting.evidence["measured_hours"] == 263 - 222
    house.reads(264, 268)
    for hour in (268, 270):
        watch(house.store, at(hour))
    assert told(house.store) == [("continuous_flow", "alarm"), ("continuous_flow_over", "info")]
    [over] = findings.findings(house.store, house.point)
    assert (over.since, over.told_at) == (lasting.since, lasting.told_at)
    assert over.until == START + timedelta(hours=STOPPED)
    assert over.closed_at == START + timedelta(hours=268)


def test_the_event_names_the_point_and_its_meter_and_has_the_evidence(house: House) -> None:
    house.reads(0, 250)
    watch(house.store, at(250))
    [[device, said, when]] = rows_of(house.store, "SELECT device, text, at FROM event")
    assert (device, when) == ("water-1", at(250))
    assert said.startswith("House: Cold water has flowed for 28 measured hours without a pause")
    assert evidence(house.store, "continuous_flow") == {
        "point": "house",
        "since": "2026-06-10T06:00:00+00:00",
        "until": None,
        "measured_hours": 28,
        "unmeasured_hours": 0,
        "least_hour": "0.012",
        "threshold": "0.001",
        "loss_a_day": "0.288",
        "unit": "m³",
    }
    [seen] = findings.findings(house.store, house.point)
    assert seen.evidence.items() < evidence(house.store, "continuous_flow").items()


def test_a_late_backlog_does_not_tell_again_what_was_told(house: House) -> None:
    house.reads(0, 238, leak=(243, 288))
    house.reads(244, 256, leak=(243, 288))
    watch(house.store, at(256))
    [leak] = [one for one in findings.findings(house.store, house.point) if one.until is None]
    assert leak.since == START + timedelta(hours=222)
    first = told(house.store)
    assert sorted(first) == [("continuous_flow", "alarm"), ("data_missing", "warning")]
    house.reads(239, 243, leak=(243, 288))
    house.reads(257, 272, leak=(243, 288))
    watch(house.store, at(272))
    [again] = [one for one in findings.findings(house.store, house.point) if one.until is None]
    assert again.evidence["measured_hours"] == 272 - 243
    assert again.since == leak.since
    assert told(house.store) == first


def test_a_point_without_a_meter_or_history_tells_nothing(store: Store, data: MasterData) -> None:
    house = House(store, data)
    assert watch(store, at(1)) == 0
    house.installed()
    house.reads(0, 1)
    assert watch(store, at(0)) == 1
    assert watch(store, at(1)) == 1
    assert told(store) == []
    assert findings.findings(store, house.point) == []
    with pytest.raises(NotFound):
        findings.findings(store, 9999)


def test_what_lasts_is_over_when_the_meter_is_removed(house: House) -> None:
    house.reads(0, 250)
    watch(house.store, at(250))
    installing.remove(house.store, house.point, None, at(250), BY)
    assert watch(house.store, at(251)) == 1
    assert told(house.store)[1:] == [("continuous_flow_over", "info")]
    assert watch(house.store, at(252)) == 0


def test_points_are_looked_at_in_turn_and_each_once_an_hour(store: Store, data: MasterData) -> None:
    for n in range(POINTS + 1):
        House(store, data, f"house-{n}").installed()
    now = at(0.5)
    assert [watch(store, now + n) for n in range(3)] == [POINTS, 1, 0]
    assert [watch(store, now + 3_600_000 + n) for n in range(3)] == [POINTS, 1, 0]
    assert watch(store, at(1)) == 0, "another computer's clock is behind"
    assert watch(store, at(0)) == POINTS, "the clock was wrong"


def test_processes_that_are_at_the_same_point_tell_once(mariadb_url: str) -> None:
    store, data = Store(mariadb_url), MasterData(mariadb_url)
    house = House(store, data).installed()
    house.reads(0, 250)
    findings.set_analyses(store, house.point, {}, BY)
    processes = "SELECT count(*) FROM information_schema.processlist"
    waiting = f"{processes} WHERE info LIKE 'INSERT INTO watch%'"
    with ThreadPoolExecutor(3) as pool:
        with store.begin() as uow:
            assert uow.findings.claimed(house.point, 0)
            others = [pool.submit(watch, store, at(250)) for _ in range(3)]
            eventually(lambda: rows_of(store, waiting) == [(3,)], 20, "all want the point")
        looked = sorted(other.result(30) for other in others)
    assert looked == [0, 0, 1]
    assert told(store) == [("continuous_flow", "alarm")]
    data.close()
    store.close()


def test_who_was_overtaken_tells_nothing(house: House) -> None:
    with house.store.begin() as uow:
        assert uow.findings.claim(house.point, at(250), 3_600_000)
        assert not uow.findings.claim(house.point, at(250.5), 3_600_000)
        assert uow.findings.claimed(house.point, at(250))
        assert uow.findings.claim(house.point, at(251), 3_600_000)
        assert not uow.findings.claimed(house.point, at(250))
        uow.findings.set_settings(house.point, {})
        assert not uow.findings.claimed(house.point, at(251))


def test_a_point_that_fails_harms_no_other(
    store: Store, data: MasterData, caplog: pytest.LogCaptureFixture
) -> None:
    lost = House(store, data, "lost", "Nowhere/Else").installed()
    House(store, data).installed().reads(0, 250)
    assert watch(store, at(250)) == 2
    assert told(store) == [("continuous_flow", "alarm")]
    assert f"metering point {lost.point} cannot be analysed: the time zone" in caplog.text
    assert watch(store, at(250.5)) == 0


def test_a_look_that_breaks_is_not_made_again_before_all_others(
    store: Store, data: MasterData
) -> None:
    broken = House(store, data, "broken").installed()
    House(store, data).installed().reads(0, 250)
    findings.set_analyses(store, broken.point, {}, BY)
    with store._engine.begin() as connection:
        connection.execute(text("UPDATE watch SET analyses = '7'"))
    with pytest.raises(msgspec.ValidationError):
        watch(store, at(250))
    assert watch(store, at(250)) == 1
    assert told(store) == [("continuous_flow", "alarm")]


def test_ten_weeks_are_looked_at_whole(house: House) -> None:
    house.data.add_readings(house.register, [(at(n), n * 12) for n in range(1800)])
    roll_up(house.store)
    watch(house.store, at(1799.5))
    seen = evidence(house.store, "continuous_flow")
    assert (seen["measured_hours"], seen["unmeasured_hours"]) == (10 * 7 * 24, 0)
    assert seen["since"] == (START + timedelta(hours=119)).isoformat()


def test_what_cannot_be_told_yet_is_told_when_the_gateway_has_a_stream(
    store: Store, data: MasterData, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(store, data)
    meter = NewMeter(house.register, Decimal(0))
    installing.install(store, house.point, meter, at(0), BY)
    house.reads(0, 250)
    watch(store, at(250))
    assert "gateway house has no stream" in caplog.text
    assert findings.findings(store, house.point) == []
    data.add_stream(house.gateway)
    watch(store, at(251))
    assert told(store) == [("continuous_flow", "alarm")]


def test_water_that_flows_back_is_told_as_it_counts_for_the_point(
    store: Store, data: MasterData
) -> None:
    house = House(store, data).installed(multiplier=2)
    data.add_readings(house.register, [(at(n), 500 - max(0, n - 6) * 40) for n in range(9)])
    watch(store, at(8))
    assert told(store) == [("reverse_flow", "warning")]
    seen = evidence(store, "reverse_flow")
    assert (seen["amount"], seen["index_before"]) == ("0.16", "1")


def test_settings_hold_from_the_next_round_on(house: House) -> None:
    house.reads(0, 250)
    view = findings.set_analyses(house.store, house.point, {"continuous_flow": {"hours": 48}}, BY)
    assert view.own == {"continuous_flow": {"hours": 48}}
    assert view.effective["continuous_flow"] == {
        "threshold": "0.001",
        "hours": 48,
        "percent": 150,
        "bridge_hours": 6,
    }
    watch(house.store, at(250))
    assert told(house.store) == []
    findings.set_analyses(house.store, house.point, {}, BY)
    assert watch(house.store, at(250.1)) == 1
    assert told(house.store) == [("continuous_flow", "alarm")]
    off = findings.set_analyses(house.store, house.point, {"continuous_flow": None}, BY)
    assert off.effective["continuous_flow"] is None
    assert findings.analyses(house.store, house.point) == off
    watch(house.store, at(250.2))
    assert told(house.store)[1:] == [("continuous_flow_over", "info")]
    newest = points.changes(house.store, house.point)
    assert {one.action for one in newest} == {"analyses_set", "installed", "created"}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"leaks": None}, "leaks"),
        ({"continuous_flow": {"hour": 3}}, r"continuous_flow.*hour"),
        ({"night_flow": {"from_hour": 24}}, r"night_flow.from_hour"),
        ({"standstill": {"hours": "long"}}, r"standstill.hours"),
        ({"reverse_flow": {"jitter": "9"}}, r"reverse_flow.*jitter"),
    ],
)
def test_wrong_settings_are_refused_by_name_and_change_nothing(
    house: House, wanted: dict[str, dict[str, str | int] | None], said: str
) -> None:
    before = findings.set_analyses(house.store, house.point, {"night_flow": None}, BY)
    with pytest.raises(ConfigError, match=said):
        findings.set_analyses(house.store, house.point, wanted, BY)
    assert findings.analyses(house.store, house.point) == before
