"""From a meter's wire to the cloud and back: what is decoded again is what was stored."""

import io
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from cloud.__main__ import FAILED
from cloud.__main__ import main as cloud
from cloud.services.ingest import ingest
from cloud.services.store import Store
from common.clock import ManualClock, SystemClock, to_ms
from common.messages.batch import pack
from common.reading import from_scaled
from edge_agent.__main__ import main as edge
from edge_agent.app import build
from edge_agent.collector import Collector
from edge_agent.config import load
from edge_agent.device_state import DeviceStates
from edge_agent.devices import Devices
from edge_agent.simulators.mbus import MbusConverter
from edge_agent.simulators.mbus_records import ElectricityRecords
from edge_agent.simulators.mbus_slave import Identity, Slave
from edge_agent.store.catalog import number_registers
from tests.harness.says import NOW, Gateway
from tests.harness.tables import rows_of
from tests.unit.edge_parts import everything, opened
from tests.unit.test_mbus_simulator import Steady

CONFIG = """\
[gateway]
id = "gw-1"
name = "Hall 1"
site = "hall"
site_name = "Hall"
timezone = "Europe/Bucharest"

[[line]]
id = "bus"
url = "tcp://127.0.0.1:{port}"

[[device]]
driver = "mbus"
key = "meter"
name = "Meter"
line = "bus"
address = 5
profile = "mbus_electricity"
{option}
"""
POLLS = 3


class Counting(Steady):
    """Energy that grows by 100 Wh a second."""

    def energy_import_wh(self, at_ms: int) -> int:
        return 1000 + (at_ms - NOW) // 10


async def polled(folder: Path, store: Store, option: str = "keep_telegrams = true") -> None:
    """A meter is read over a socket by the gateway's parts, and the cloud takes their journal."""
    clock = ManualClock(NOW)
    identity = Identity("10203040", "INM", 1, 2)
    meter = Slave(5, identity, ElectricityRecords(Counting(), "10203040"))
    converter = MbusConverter([meter], clock)
    file = folder / "edge.toml"
    file.write_text(CONFIG.format(port=await converter.start(), option=option))
    devices = Devices(load(file), clock)
    async with opened(folder, clock) as journal:
        numbers = await number_registers(journal, devices.described)
        collector = Collector(journal, numbers, DeviceStates(devices.all), clock)
        for _ in range(POLLS):
            assert await collector.poll_once(devices.polled["meter"].device)
            clock.advance(10)
        says = Gateway(stream=journal.stream, now_ms=clock.now_ms())
        entries = (await everything(journal)).entries
        batch = says.received("journal", pack(journal.stream, entries))
        ingest(store, [says.hello(next_seq=journal.next_seq), batch], clock.now_ms())
    await devices.close()
    await converter.close()


async def test_what_telegrams_say_when_they_are_decoded_again_is_what_was_stored(
    sqlite_store: Store,
    sqlite_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await polled(tmp_path, sqlite_store)
    config = tmp_path / "cloud.toml"
    config.write_text(f'[database]\nurl = "{sqlite_url}"\n')
    words = ["--config", str(config), "telegrams", "gw-1"]
    assert cloud([*words, "meter"]) == 0
    lines = capsys.readouterr().out
    assert len(lines.splitlines()) == POLLS
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    assert edge(["decode", "mbus", "--json", "-"]) == 0
    decoded = {
        (to_ms(datetime.fromisoformat(one["at"])), record["register"]): Decimal(record["value"])
        for one in json.loads(capsys.readouterr().out)
        for record in one["records"]
        if record["register"]
    }
    stored = {
        (at, register): from_scaled(value, decimals)
        for at, register, value, decimals in rows_of(
            sqlite_store,
            "SELECT at, register.key, value, decimals FROM reading"
            " JOIN register ON register.id = register_id",
        )
    }
    assert stored.keys() == {
        (NOW + n * 10_000, register)
        for n in range(POLLS)
        for register in ("energy_import", "power")
    }
    assert {one: decoded[one] for one in stored} == stored
    since = ["--since", "2025-11-23T12:13:30Z", "--until", "2025-11-23T12:13:40Z"]
    assert cloud([*words, "meter", *since]) == 0
    assert capsys.readouterr().out.splitlines() == lines.splitlines()[1:2]
    for gateway, device in (("gw-1", "unheard-of"), ("gw-9", "meter")):
        assert cloud([*words[:-1], gateway, device]) == FAILED


@pytest.mark.parametrize("option", ["", "keep_telegrams = false"])
async def test_without_the_option_readings_come_and_no_telegram(
    sqlite_store: Store, tmp_path: Path, option: str
) -> None:
    await polled(tmp_path, sqlite_store, option)
    assert rows_of(sqlite_store, "SELECT count(DISTINCT at) FROM reading") == [(POLLS,)]
    assert rows_of(sqlite_store, "SELECT count(*) FROM telegram") == [(0,)]


@pytest.mark.parametrize(("option", "known"), [("", False), ("keep_telegrams = true", True)])
async def test_the_journal_is_told_whether_there_are_telegrams_to_give_up_first(
    tmp_path: Path, option: str, known: bool
) -> None:
    file = tmp_path / "edge.toml"
    file.write_text(CONFIG.format(port=1, option=option))
    app = await build(load(file), SystemClock())
    assert app.journal.keeping.telegrams is known
    await app.close()
