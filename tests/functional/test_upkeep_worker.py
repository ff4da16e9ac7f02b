"""The worker that sums up what came, beside everything else."""

import asyncio
import logging

import pytest

from cloud.domain.consumption import HOUR_MS
from cloud.domain.retention import DAY_MS, Retention
from cloud.services import installing, points
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.services.store import Store
from cloud.workers.upkeep import Upkeep
from common.clock import SystemClock
from common.registers import Kind, Medium
from tests.harness.eventually import eventually
from tests.harness.gateway import running
from tests.harness.masterdata import MasterData
from tests.harness.tables import rows_of


async def test_what_comes_is_summed_up_without_being_asked(store: Store, data: MasterData) -> None:
    register = data.add_register(data.add_device(data.add_gateway(data.add_site())))
    data.add_readings(register, [(1000, 1), (2000, 3)])

    def says(rows: list[tuple[int, int]]) -> bool:
        return rows_of(store, "SELECT high, readings FROM hourly") == rows

    async with running(Upkeep(store, SystemClock()).run()):
        await asyncio.to_thread(eventually, lambda: says([(3, 2)]), 20, "summed up")
        await asyncio.to_thread(data.add_readings, register, [(3000, 7)])
        await asyncio.to_thread(eventually, lambda: says([(7, 3)]), 20, "summed up again")
    assert rows_of(store, "SELECT readings FROM daily") == [(3,)]


async def test_what_is_found_in_consumption_is_told_without_being_asked(
    store: Store, data: MasterData
) -> None:
    gateway = data.add_gateway(data.add_site("mill", "UTC"))
    data.add_stream(gateway)
    register = data.add_register(data.add_device(gateway), interval_s=3600)
    hour = SystemClock().now_ms() // HOUR_MS
    readings = [(n * HOUR_MS, (n - hour + 30) * 12) for n in range(hour - 30, hour + 1)]
    data.add_readings(register, readings)
    change = Change("ana", readings[-1][0])
    wanted = NewPoint("flat-1", "Flat 1", "mill", Medium.COLD_WATER, Kind.VOLUME)
    point = points.create(store, wanted, change)
    installing.install(store, point.id, NewMeter(register), readings[0][0], change)

    def told() -> bool:
        return rows_of(store, "SELECT code FROM event") == [("continuous_flow",)]

    async with running(Upkeep(store, SystemClock()).run()):
        await asyncio.to_thread(eventually, told, 20, "told")


async def test_what_is_not_to_be_kept_goes_after_it_was_summed_up(
    sqlite_url: str,
) -> None:
    store, data = Store(sqlite_url), MasterData(sqlite_url)
    now = SystemClock().now_ms()
    register = data.add_register(data.add_device(data.add_gateway(data.add_site())))
    data.add_readings(register, [(now - 100 * DAY_MS, 1), (now, 3)])
    upkeep = Upkeep(store, SystemClock(), Retention(readings_months=1))

    def kept() -> list[tuple[int]]:
        return rows_of(store, "SELECT value FROM reading")

    async with running(upkeep.run()):
        await asyncio.to_thread(eventually, lambda: kept() == [(3,)], 20, "gone")
    assert rows_of(store, "SELECT high FROM daily ORDER BY at") == [(1,), (3,)]
    data.close()
    store.close()


async def test_a_database_that_is_away_is_waited_for_and_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store("sqlite:////nowhere/at/all.db")
    with caplog.at_level(logging.WARNING, "inmetter.events"):
        async with running(Upkeep(store, SystemClock()).run()):
            await asyncio.to_thread(eventually, lambda: "upkeep waits" in caplog.text, 20, "told")
    store.close()
    assert caplog.text.count("upkeep waits") == 1
