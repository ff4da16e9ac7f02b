"""What becomes of counts that jump, of records without a time, and of those without a meaning."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from common.clock import ManualClock
from common.messages.uplink import Event, Readings
from common.reading import Quality
from common.registers import Medium
from edge_agent.device_state import DeviceStates
from edge_agent.drivers.c11do1eth import C11Module
from edge_agent.intake import PATIENCE_MS, Intake
from edge_agent.metering.counters import CounterRule
from edge_agent.metering.gas import Conversion, Factor
from edge_agent.protocols.c11do1eth import Clock, Evt, Hello, Reason, Rec, Unreadable
from edge_agent.store.journal import Journal
from tests.unit.edge_parts import NOW, bodies, opened, turns
from tests.unit.test_edge_intake import rec

DAY, MINUTE = 86_400_000, 60_000
NUMBERS = {"water": {"volume": 1, "flow": 2, "energy": 4}}


@dataclass
class Taking:
    """An intake, its journal and its clock."""

    journal: Journal
    intake: Intake
    module: C11Module
    clock: ManualClock

    async def hello(self, oldest: int, last: int, boot: int = 1) -> int:
        greeting = Hello("water", 1, "C11DO1ETH", "1.0", boot, last, oldest, 1)
        return await self.intake.resume("water", greeting)

    async def store(self, *items: Rec | Evt | Unreadable) -> int:
        return await self.intake.store("water", items)

    async def values(self, no: int = 1) -> list[tuple[int, int | None, int]]:
        """(time, value, quality) of every reading of a register, as it was stored."""
        return [(body.at, one.value, one.quality) for body in await bodies(self.journal)
                if isinstance(body, Readings) for one in body.r if one.no == no]  # fmt: skip

    async def events(self) -> list[Event]:
        return [body for body in await bodies(self.journal) if isinstance(body, Event)]

    async def codes(self) -> list[str]:
        return [event.code for event in await self.events()]


@asynccontextmanager
async def taking(path: Path, **more: Any) -> AsyncIterator[Taking]:
    """A module of 10 l a pulse, unless ``more`` says otherwise; a file may be opened again."""
    clock = ManualClock(NOW)
    settings: dict[str, Any] = {"medium": Medium.COLD_WATER, "weight": Fraction(1, 100)} | more
    module = C11Module("water", b"0123456789abcdef", clock=clock, **settings)
    async with opened(path, clock) as journal:
        states = DeviceStates(["water"])
        yield Taking(
            journal, Intake(journal, {"water": module}, NUMBERS, states, clock), module, clock
        )


def undated(seq: int, total: int, uptime_ms: int, boot: int = 1) -> Rec:
    record = rec(seq, total, 0, boot, Clock.UNKNOWN)
    return replace(record, uptime_ms=uptime_ms, reason=Reason.BACKLOG)


def synced(seq: int, total: int, at_ms: int, uptime_ms: int, boot: int = 1) -> Rec:
    return replace(rec(seq, total, at_ms, boot), uptime_ms=uptime_ms)


async def test_a_record_of_unknown_time_waits_for_the_first_synced_one_of_its_boot(
    tmp_path: Path,
) -> None:
    async with taking(tmp_path) as at:
        await at.hello(1, 9, boot=2)
        live = synced(9, 90, NOW, 5_000, boot=2)
        assert await at.store(live) == 0
        assert await at.store(undated(1, 10, 1_000), undated(2, 20, 61_000)) == 2
        assert len(await at.values()) == 1, "acknowledged, since it is stored; not yet dated"
    async with taking(tmp_path) as at:
        assert await at.hello(3, 9, boot=2) == 2
        assert await at.store(synced(3, 30, NOW - DAY, 121_000)) == 3
        uncertain = Quality.TIME_UNCERTAIN
        assert sorted(await at.values()) == [
            (NOW - DAY - 120_000, 100, uncertain),
            (NOW - DAY - 60_000, 200, uncertain),
            (NOW - DAY, 300, Quality.GOOD),
            (NOW, 900, Quality.GOOD),
        ]
        assert await at.codes() == []


async def test_boots_whose_time_nobody_can_tell_ended_when_the_next_one_began(
    tmp_path: Path,
) -> None:
    async with taking(tmp_path) as at:
        await at.hello(1, 6, boot=3)
        await at.store(synced(6, 60, NOW, 5_000, boot=3))
        assert await at.store(undated(1, 10, 1_000), undated(2, 20, 61_000)) == 2
        assert await at.store(undated(3, 30, 2_000, boot=2), undated(4, 40, 9_000, boot=2)) == 4
        assert len(await at.values()) == 1
        assert await at.store(synced(5, 50, NOW - 1_000, 4_000, boot=3)) == 6
        found = sorted(await at.values())
        assert [value for _, value, _ in found] == [100, 200, 300, 400, 500, 600]
        assert [time - NOW for time, *_ in found[:4]] == [-74_002, -14_002, -12_001, -5_001]
        assert {quality for *_, quality in found[:4]} == {Quality.TIME_UNCERTAIN}
        assert await at.codes() == [], "an older count is no reset"


async def test_an_undated_record_that_is_read_back_is_not_given_a_second_time(
    tmp_path: Path,
) -> None:
    async with taking(tmp_path) as at:
        await at.hello(50, 60)
        await at.store(replace(undated(40, 400, 9), reason=Reason.READ_BACK))
        assert await at.values() == []


async def test_what_a_full_ring_has_lost_is_told_and_holds_up_nothing(tmp_path: Path) -> None:
    async with taking(tmp_path) as at:
        await at.hello(6, 20)
        values = ("1", "9")
        lost = Evt("water", 11, 1, NOW, Clock.SYNCED, 1000, "OVERFLOW", values)
        assert await at.store(rec(10, 500), lost) == 11
        [event] = await at.events()
        assert (event.code, event.data) == ("backlog_overflow", {"values": "1,9"})
        assert [value for _, value, _ in await at.values()] == [5000]


async def test_a_module_that_does_not_come_back_leaves_nothing_waiting(tmp_path: Path) -> None:
    async with taking(tmp_path) as at:
        await at.hello(1, 9, boot=2)
        assert await at.store(undated(1, 10, 1_000)) == 1
        watching = asyncio.ensure_future(at.intake.run(at.module))
        while not await at.values():
            await turns(5)
            at.clock.advance(3600)
        watching.cancel()
        assert at.clock.now_ms() - NOW >= PATIENCE_MS
        assert [value for _, value, _ in await at.values()] == [100]


async def test_a_live_record_of_a_module_without_a_clock_has_the_time_at_which_it_came(
    tmp_path: Path,
) -> None:
    async with taking(tmp_path) as at:
        await at.hello(1, 9)
        await at.store(replace(undated(9, 90, 5_000), reason=Reason.TIMED))
        assert await at.values() == [(NOW, 900, Quality.TIME_UNCERTAIN)]


async def test_a_record_without_a_meaning_is_kept_as_it_came_and_does_not_come_again(
    tmp_path: Path,
) -> None:
    async with taking(tmp_path) as at:
        await at.hello(1, 3)
        line = "IM1,water,REC,2,1,0,Z,5"
        spoilt = Unreadable("water", 2, 1, line, "REC: 4 fields instead of 12")
        assert await at.store(rec(1, 1), spoilt, spoilt, rec(3, 3)) == 3
        assert await at.store(spoilt) == 3
        [event] = await at.events()
        assert (event.code, event.data) == ("record_unreadable", {"seq": 2, "line": line})


async def test_records_that_are_read_back_are_stored_though_they_are_acknowledged(
    tmp_path: Path,
) -> None:
    async with taking(tmp_path) as at:
        assert await at.hello(50, 60) == 49
        await at.store(rec(60, 600))
        again = replace(rec(40, 400, NOW - MINUTE), reason=Reason.READ_BACK)
        assert await at.store(again) == 49
        assert await at.values() == [(NOW, 6000, 0), (NOW - MINUTE, 4000, 0)]


async def test_a_rollover_is_consumption(tmp_path: Path) -> None:
    rule = CounterRule(modulus=10_000)
    async with taking(tmp_path, rule=rule) as at:
        await at.store(rec(1, 9_990, NOW), rec(2, 5, NOW + MINUTE))
        assert [value for _, value, _ in await at.values()] == [99_900, 100_050]
        [event] = await at.events()
        assert (event.code, event.severity) == ("counter_rollover", "info")


async def test_a_count_beyond_the_range_is_left_out(tmp_path: Path) -> None:
    async with taking(tmp_path, rule=CounterRule(modulus=10_000)) as at:
        assert await at.store(rec(1, 5), rec(2, 10_000)) == 2
        assert await at.codes() == ["record_unstorable"]


async def test_implausible_counts_are_counted_and_told_once(tmp_path: Path) -> None:
    async with taking(tmp_path, rule=CounterRule(max_rate=Fraction(1))) as at:
        for seq, total in enumerate((0, 100, 200, 201, 400), 1):
            await at.store(replace(rec(seq, total, NOW + seq * MINUTE), uptime_ms=seq * MINUTE))
        assert [value for _, value, _ in await at.values()] == [0, 1000, 2000, 2010, 4000]
        assert await at.codes() == ["counter_implausible"] * 2


async def test_a_preset_of_the_module_changes_no_index(tmp_path: Path) -> None:
    async with taking(tmp_path, start_index=Decimal(5)) as at:
        await at.store(rec(1, 100))
        event = Evt("water", 2, 1, NOW + 1, Clock.SYNCED, 1000, "PRESET", ("103", "9000"))
        await at.store(event, rec(3, 9001, NOW + 2))
        assert [value for _, value, _ in await at.values()] == [6000, 6040]
        assert await at.codes() == ["counter_preset"]


async def test_another_module_is_an_exchange_and_its_first_records_are_not_old(
    tmp_path: Path,
) -> None:
    async with taking(tmp_path) as at:
        await at.hello(1, 500, boot=9)
        await at.store(*(rec(seq, 1000 + seq, NOW + seq, boot=9) for seq in range(1, 501)))
        await at.hello(1, 2, boot=1)
        await at.store(rec(1, 3, NOW + 1000), rec(2, 8, NOW + 2000))
        assert [value for _, value, _ in await at.values()][-3:] == [15_000, 15_000, 15_050]
        assert await at.codes() == ["counter_exchange"]


async def test_a_meter_is_exchanged_by_serial_number_start_index_and_total(tmp_path: Path) -> None:
    old = {"meter": "A-1001", "start_index": Decimal("1200.5")}
    new = {"meter": "B-2002", "start_index": Decimal("0.012"), "start_total": 300}
    async with taking(tmp_path, **old) as at:
        await at.hello(1, 9)
        await at.store(rec(1, 100, NOW), rec(4, 300, NOW + 3000))
    async with taking(tmp_path, **new) as at:
        await at.hello(2, 9)
        await at.store(rec(5, 310, NOW + 4000))
        await at.store(rec(2, 150, NOW + 1000), rec(3, 290, NOW + 2000))
        await at.store(rec(6, 320, NOW + 5000))
        assert sorted(await at.values()) == [
            (NOW, 1_201_500, 0),
            (NOW + 1000, 1_202_000, 0),
            (NOW + 2000, 1_203_400, 0),
            (NOW + 3000, 1_203_500, 0),
            (NOW + 4000, 112, 0),
            (NOW + 5000, 212, 0),
        ]
        [event] = await at.events()
        assert event.code == "meter_exchanged"
        assert event.data == {
            "old": "A-1001", "old_index": "1203.500", "new": "B-2002", "new_index": "0.012",
            "total": 300,
        }  # fmt: skip


async def test_a_meter_is_exchanged_after_a_reset_of_the_module_too(tmp_path: Path) -> None:
    async with taking(tmp_path, meter="A") as at:
        await at.store(rec(1, 1000, NOW), rec(2, 40, NOW + 1))
    new = {"meter": "B", "start_index": Decimal(7), "start_total": 50}
    async with taking(tmp_path, **new) as at:
        await at.store(rec(3, 60, NOW + 2))
        assert [value for _, value, _ in await at.values()] == [10_000, 10_000, 7_100]


async def test_a_corrected_start_index_of_the_same_meter_is_no_exchange(tmp_path: Path) -> None:
    async with taking(tmp_path, meter="A", start_index=Decimal(1)) as at:
        await at.store(rec(1, 100, NOW))
    async with taking(tmp_path, meter="A", start_index=Decimal(2)) as at:
        await at.store(rec(2, 200, NOW + 1))
        assert [value for _, value, _ in await at.values()] == [2000, 4000]
        assert await at.codes() == []


async def test_gas_has_an_energy_that_bends_with_its_factor_and_survives_a_restart(
    tmp_path: Path,
) -> None:
    gas = Conversion((Factor(0, Fraction(10_000)), Factor(NOW + MINUTE, Fraction(12_000))))
    more = {"medium": Medium.GAS, "gas": gas}
    async with taking(tmp_path, **more) as at:
        await at.hello(1, 9)
        await at.store(rec(1, 100, NOW))
    async with taking(tmp_path, **more) as at:
        await at.store(rec(4, 300, NOW + 2 * MINUTE))
        await at.store(rec(2, 150, NOW + 1), rec(3, 250, NOW + 2))
        await at.store(rec(5, 400, NOW + 3 * MINUTE))
        assert [value for _, value, _ in await at.values(4)] == [
            10_000, 32_000, 15_000, 26_000, 44_000,
        ]  # fmt: skip
        assert [value for _, value, _ in await at.values()] == [1000, 3000, 1500, 2500, 4000]


async def test_a_gas_bill_comes_out(tmp_path: Path) -> None:
    factor = Fraction("1.02264") * 40 * 10_000 / 36
    more = {"medium": Medium.GAS, "gas": Conversion((Factor(0, factor),))}
    async with taking(tmp_path, **more) as at:
        await at.store(rec(1, 0, NOW), rec(2, 12_000, NOW + 1))
        energies = [value for _, value, _ in await at.values(4)]
        assert energies == [0, 1_363_520]
        assert round(Decimal(energies[1] or 0) / 1000) == 1364


@pytest.mark.parametrize(
    ("code", "values", "told", "data"),
    [
        ("RATE", ("1", "900", "500"), ("rate_exceeded", "alarm"),
         {"rate_mhz": "900", "limit_mhz": "500"}),
        ("LEAK", ("1", "86400"), ("leak", "alarm"), {"flow_s": "86400"}),
        ("LEAK", ("0", "0"), ("leak_over", "info"), {"flow_s": "0"}),
        ("STANDSTILL", ("1", "7200"), ("standstill", "warning"), {"still_s": "7200"}),
        ("LINEBREAK", ("1",), ("line_break", "alarm"), {}),
        ("LINEBREAK", ("0",), ("line_break_over", "info"), {}),
        ("STUCK", ("1", "60"), ("input_stuck", "warning"), {"closed_s": "60"}),
    ],
)  # fmt: skip
async def test_what_the_module_finds_is_an_event_for_people(
    tmp_path: Path, code: str, values: tuple[str, ...], told: tuple[str, str], data: dict[str, str]
) -> None:
    async with taking(tmp_path) as at:
        await at.store(Evt("water", 1, 1, NOW, Clock.SYNCED, 1, code, values))
        [event] = await at.events()
        assert (event.code, event.severity) == told
        assert event.data == {"values": ",".join(values)} | data
