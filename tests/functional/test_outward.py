"""What others hear of metering points, on a real broker."""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from cloud.__main__ import main, roles_of
from cloud.config import load
from cloud.domain.consumption import HOUR_MS
from cloud.domain.outward import OutwardSettings, Topics
from cloud.services import installing, points
from cloud.services.installing import NewMeter
from cloud.services.outward import messages
from cloud.services.points import Change, NewPoint
from cloud.services.store import Store
from cloud.workers.outward import OutwardWorker
from common.clock import SystemClock
from common.mqtt import MqttSettings
from common.registers import Kind, Medium
from tests.harness.cloud import CLOUD
from tests.harness.eventually import eventually
from tests.harness.gateway import running
from tests.harness.masterdata import MasterData
from tests.harness.mosquitto import Mosquitto
from tests.harness.processes import Programs
from tests.harness.tap import Tap
from tests.repo.files import ROOT

DOCUMENT = (ROOT / "docs" / "outward.md").read_text("utf-8")
POINT, SENSOR = re.findall(r"^```json\n(.*?)\n```", DOCUMENT, re.MULTILINE | re.DOTALL)
NOON = 1_763_640_000_000  # 2025-11-20T12:00Z, 14:00 on the site's clocks
CHANGE = Change("ana", NOON + 24 * HOUR_MS)
TOPICS = Topics("inmetter-points", "homeassistant")


@pytest.fixture
def data(sqlite_url: str) -> Iterator[MasterData]:
    written = MasterData(sqlite_url)
    yield written
    written.close()


class Flat:
    """A metering point whose meter was exchanged for one that counts tenfold."""

    def __init__(self, store: Store, data: MasterData, key: str = "flat-1") -> None:
        self._store, self._data = store, data
        device = data.add_device(data.add_gateway(data.add_site()))
        self.old, self.new = (data.add_register(device, name) for name in ("old", "new"))
        data.add_readings(self.old, [(NOON, 1_000_000), (NOON + HOUR_MS // 4, 2_250_000)])
        wanted = NewPoint(key, "Flat 1", "mill", Medium.COLD_WATER, Kind.VOLUME)
        self.id = points.create(store, wanted, CHANGE).id
        meter = NewMeter(self.old, Decimal(1000), "A")
        installing.install(store, self.id, meter, NOON, CHANGE)

    def exchange(self) -> None:
        at = NOON + HOUR_MS // 2
        meter = NewMeter(self.new, Decimal(5), "B", Decimal(10))
        installing.exchange(self._store, self.id, Decimal(2250), meter, at=at, change=CHANGE)

    def read_new(self) -> None:
        self._data.add_readings(self.new, [(NOON + 3 * HOUR_MS // 4, 5025)])

    def rename(self, key: str) -> None:
        with self._store._engine.begin() as connection:
            connection.execute(text("UPDATE metering_point SET `key` = :key"), {"key": key})


@pytest.fixture
def flat(sqlite_store: Store, data: MasterData) -> Flat:
    return Flat(sqlite_store, data)


def decoded(said: dict[str, bytes]) -> dict[str, Any]:
    return {topic: json.loads(payload) for topic, payload in said.items()}


def test_the_documents_examples_are_what_is_said(sqlite_store: Store, flat: Flat) -> None:
    flat.exchange()
    flat.read_new()
    assert messages(sqlite_store, TOPICS) == {
        "inmetter-points/mill/flat-1": POINT.encode(),
        "homeassistant/sensor/inmetter-points/flat-1/config": SENSOR.encode(),
    }


def test_an_exchange_does_not_let_the_index_fall(sqlite_store: Store, flat: Flat) -> None:
    topic, found = TOPICS.point("mill", "flat-1"), []
    for step in (flat.exchange, flat.read_new, lambda: None):
        found.append(decoded(messages(sqlite_store, TOPICS))[topic])
        step()
    assert [one["index"] for one in found] == ["1250.000", "1250.000", "1250.250"]
    assert [one["at"][11:16] for one in found] == ["14:15", "14:30", "14:45"]


def test_a_removed_meters_index_stays_and_one_without_value_is_null(
    sqlite_store: Store, data: MasterData, flat: Flat
) -> None:
    topic = TOPICS.point("mill", "flat-1")
    data.add_readings(flat.old, [(NOON + HOUR_MS // 3, None)], quality=4)
    found = decoded(messages(sqlite_store, TOPICS))[topic]
    assert (found["index"], found["quality"]) == (None, "device_error")
    installing.remove(sqlite_store, flat.id, Decimal(3000), NOON + HOUR_MS, CHANGE)
    found = decoded(messages(sqlite_store, TOPICS))[topic]
    assert (found["index"], found["quality"]) == ("2000.000", "good")


UNITS: dict[str | None, set[str | None]] = {
    "water": {"L", "gal", "m³", "ft³", "CCF"},
    "gas": {"L", "m³", "ft³", "CCF"},
    "volume": {"L", "mL", "gal", "fl. oz.", "m³", "ft³", "CCF"},
    "energy": {"J", "kJ", "MJ", "GJ", "mWh", "Wh", "kWh", "MWh", "GWh", "TWh", "cal", "kcal"},
    None: {None},
}
"""By device class what Home Assistant takes (home-assistant.io/integrations/sensor)."""


def test_home_assistant_gets_a_class_and_a_unit_that_go_together(
    sqlite_store: Store, data: MasterData
) -> None:
    device = data.add_device(data.add_gateway(data.add_site()))
    wanted = {
        "cold": (Medium.COLD_WATER, Kind.VOLUME, "water"),
        "gas": (Medium.GAS, Kind.VOLUME, "gas"),
        "gas-energy": (Medium.GAS, Kind.ENERGY_IMPORT, "energy"),
        "oil": (Medium.OIL, Kind.VOLUME, "volume"),
        "power-in": (Medium.ELECTRICITY, Kind.ENERGY_IMPORT, "energy"),
        "power-out": (Medium.ELECTRICITY, Kind.ENERGY_EXPORT, "energy"),
        "pulses": (Medium.OTHER, Kind.PULSES, None),
    }
    for key, (medium, kind, _) in wanted.items():
        register = data.add_register(device, key, kind=kind, medium=medium)
        point = points.create(sqlite_store, NewPoint(key, key, "mill", medium, kind), CHANGE)
        installing.install(sqlite_store, point.id, NewMeter(register, Decimal(0)), NOON, CHANGE)
    said = decoded(messages(sqlite_store, TOPICS))
    for key, (_, _, device_class) in wanted.items():
        sensor = said[TOPICS.sensor(key)]
        assert sensor.get("device_class") == device_class
        assert sensor.get("unit_of_measurement") in UNITS[device_class]


def test_many_points_cost_as_many_questions_as_one(sqlite_store: Store, data: MasterData) -> None:
    device = data.add_device(data.add_gateway(data.add_site()))

    def asked(wanted: int, so_far: int) -> int:
        for n in range(so_far, wanted):
            register = data.add_register(device, f"r{n}")
            new = NewPoint(f"p{n}", "P", "mill", Medium.GAS, Kind.VOLUME)
            point = points.create(sqlite_store, new, CHANGE)
            installing.install(sqlite_store, point.id, NewMeter(register, Decimal(0)), NOON, CHANGE)
        statements: list[object] = []

        def note(*given: object) -> None:
            statements.append(given)

        event.listen(sqlite_store._engine, "before_cursor_execute", note)
        assert len(messages(sqlite_store, TOPICS)) == 2 * wanted
        event.remove(sqlite_store._engine, "before_cursor_execute", note)
        return len(statements)

    assert asked(1, 0) == asked(6, 1) <= 5


def worker(store: Store, mqtt: MqttSettings, prefix: str, *, enabled: bool = True) -> OutwardWorker:
    settings = OutwardSettings(
        enabled=enabled, prefix=prefix, discovery_prefix=f"{prefix}-home", every_s=1
    )
    return OutwardWorker(store, settings, mqtt, SystemClock())


async def becomes(condition: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(eventually, condition, 20, what)


def retained(port: int, prefix: str) -> dict[str, bytes]:
    """What somebody hears who comes now: all that is retained is told before what is said then."""
    end = f"{prefix}-end/x"
    with Tap(port, f"{prefix}/#", f"{prefix}-home/#", end) as tap:
        tap.say(end, b"end")
        tap.wait_for("x", b"end")
        said = tap.newest()
    del said[end]
    return said


async def test_what_is_said_is_retained_and_taken_back_when_it_is_over(
    sqlite_store: Store, flat: Flat, mosquitto: Mosquitto
) -> None:
    prefix = "outward-a"
    one, other = f"{prefix}/mill/flat-1", f"{prefix}/mill/flat-9"
    homes = f"{prefix}-home/sensor/{prefix}"
    with Tap(mosquitto.port, f"{prefix}/#", f"{prefix}-home/#") as tap:
        async with running(worker(sqlite_store, mosquitto.settings, prefix).run()):
            await becomes(lambda: len(tap.newest()) == 3, "said")
            before = retained(mosquitto.port, prefix)
            assert before.keys() == {f"{prefix}/status", one, f"{homes}/flat-1/config"}
            assert before[f"{prefix}/status"] == b"online"
            flat.rename("flat-9")
            wanted = {f"{prefix}/status", other, f"{homes}/flat-9/config"}
            await becomes(lambda: tap.newest().keys() == wanted, "the old topics are cleared")
        await becomes(lambda: tap.newest()[f"{prefix}/status"] == b"offline", "the goodbye")
        flat.rename("flat-8")  # while nobody publishes
        async with running(worker(sqlite_store, mosquitto.settings, prefix).run()):
            wanted = {f"{prefix}/status", f"{prefix}/mill/flat-8", f"{homes}/flat-8/config"}
            await becomes(lambda: tap.newest().keys() == wanted, "cleared after a start")
        off = worker(sqlite_store, mosquitto.settings, prefix, enabled=False)
        async with running(off.run()):
            await becomes(lambda: tap.newest() == {}, "taken back")
        assert retained(mosquitto.port, prefix) == {}


async def test_what_has_not_changed_is_not_said_again_and_what_others_write_is_overwritten(
    sqlite_store: Store, flat: Flat, mosquitto: Mosquitto
) -> None:
    prefix = "outward-b"
    topic = f"{prefix}/mill/flat-1"
    with Tap(mosquitto.port, f"{prefix}/#") as tap:
        async with running(worker(sqlite_store, mosquitto.settings, prefix).run()):
            await becomes(lambda: topic in tap.newest(), "said")
            tap.say(f"{prefix}/status", b"offline")
            await becomes(lambda: tap.newest()[f"{prefix}/status"] == b"online", "said anew")
            assert [heard.topic for heard in tap.all()].count(topic) == 1
            flat.exchange()
            flat.read_new()
            await becomes(lambda: b"1250.250" in tap.newest()[topic], "the change is said")


async def test_a_broker_that_has_forgotten_everything_is_told_again(
    sqlite_store: Store, flat: Flat, tmp_path: Path
) -> None:
    prefix = "outward-c"
    with Mosquitto(tmp_path) as broker:
        async with running(worker(sqlite_store, broker.settings, prefix).run()):
            await becomes(lambda: len(retained(broker.port, prefix)) == 3, "said")
            broker.kill()
            broker.forget()
            broker.start()
            await becomes(lambda: len(retained(broker.port, prefix)) == 3, "said again")


def write_config(folder: Path, url: str, broker: int, more: str = "") -> Path:
    path = folder / "cloud.toml"
    path.write_text(CLOUD.format(url=url, broker=broker, web=1) + more, "utf-8")
    return path


def test_a_process_that_dies_leaves_offline_behind(
    sqlite_url: str, flat: Flat, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    section = '\n[outward]\nprefix = "outward-d"\nhome_assistant = false\n'
    path = write_config(tmp_path, sqlite_url, mosquitto.port, section)
    with Tap(mosquitto.port, "outward-d/#") as tap, Programs(tmp_path, forked=True) as programs:
        command = [sys.executable, "-m", "cloud", "--config", str(path), "outward"]
        program = programs.add("outward", *command)
        program.start()
        eventually(lambda: len(tap.newest()) == 2, 30, "said")
        program.kill9()
        eventually(lambda: tap.newest()["outward-d/status"] == b"offline", 30, "the last will")
        assert tap.newest().keys() == {"outward-d/status", "outward-d/mill/flat-1"}


def test_nothing_is_published_unless_it_is_configured(
    tmp_path: Path, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_config(tmp_path, sqlite_url, 1)
    config = load(path)
    assert "outward" not in roles_of("all", config)
    assert main(["--config", str(path), "outward"]) == 2
    assert "no such section" in capsys.readouterr().err
    assert "outward" in roles_of("all", load(write_config(tmp_path, sqlite_url, 1, "[outward]\n")))
