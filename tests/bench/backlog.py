"""A journal full of what a gateway measured while nobody listened: 100 registers, each minute."""

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from common.clock import ManualClock
from common.messages.uplink import Readings, Value
from common.registers import Kind, Medium, Register
from edge_agent.store.catalog import Described, number_registers
from edge_agent.store.database import Database
from edge_agent.store.journal import Journal

MILLION = 1_000_000
DEVICES = 20
MINUTE_MS = 60_000
MINUTES_AT_ONCE = 200


class Meter(NamedTuple):
    """A register, the device's own count that it begins with, and by how much that changes in a
    minute at most. ``weight`` is what a count is worth; the count of an index goes with it."""

    register: Register
    start: int
    step: int
    weight: int = 1


def _register(kind: Kind, decimals: int, medium: Medium = Medium.ELECTRICITY) -> Register:
    return Register(kind.value, kind.value, medium, kind, decimals, interval_s=60)


METERS = (
    Meter(_register(Kind.ENERGY_IMPORT, 0), 4_821_345, 40, 10),
    Meter(_register(Kind.ENERGY_EXPORT, 0), 120_461, 4, 10),
    Meter(_register(Kind.VOLUME, 3, Medium.COLD_WATER), 123_456, 3, 10),
    Meter(_register(Kind.POWER, 1), 125_000, 9_000),
    Meter(_register(Kind.VOLTAGE, 1), 2_301, 12),
)
"""Of each device: three indexes, which stand still now and then, and two values that go up and
down."""

REGISTERS = DEVICES * len(METERS)


@dataclass(frozen=True, slots=True)
class Backlog:
    """A gateway's data file, which nothing has been sent of."""

    path: Path
    readings: int
    entries: int
    stream: str


def fill(directory: Path, readings: int) -> Backlog:
    """``readings`` (a multiple of a minute's 100) up to now, in a new data file in ``directory``.

    One entry for a device's five registers.
    """
    return asyncio.run(_fill(directory / f"late-{readings}.db", readings))


async def _fill(path: Path, readings: int) -> Backlog:
    minutes = readings // REGISTERS
    clock = ManualClock(time.time_ns() // 1_000_000 - (minutes + 1) * MINUTE_MS)
    database = Database(path)
    journal = await Journal.open(database, clock)
    registers = tuple(meter.register for meter in METERS)
    keys = [f"kept-{number}" for number in range(1, DEVICES + 1)]
    numbers = await number_registers(
        journal, [Described(key, key, "modbus", registers, "bench") for key in keys]
    )
    nos = [[numbers[key][register.key] for register in registers] for key in keys]
    polls = measured(nos, clock, minutes)
    while writes := [journal.append(*minute) for minute in islice(polls, MINUTES_AT_ONCE)]:
        await asyncio.gather(*writes)
    database.close()
    return Backlog(path, readings, journal.next_seq - 1, journal.stream)


def measured(
    nos: list[list[int]], clock: ManualClock, minutes: int, seed: int = 1
) -> Iterator[list[Readings]]:
    """What all devices said in each of so many minutes; ``nos`` are their registers' numbers.

    Devices are asked one after the other, and do not answer to the millisecond.
    """
    chance = random.Random(seed)
    counts = [[meter.start for meter in METERS] for _ in nos]
    for _ in range(minutes):
        clock.advance(MINUTE_MS / 1000)
        minute = []
        for place, (of_device, numbers) in enumerate(zip(counts, nos, strict=True)):
            of_device[:] = [
                _next(chance, meter, count) for meter, count in zip(METERS, of_device, strict=True)
            ]
            at = clock.now_ms() + 400 * place + chance.randrange(15)
            values = [
                Value(no, count * meter.weight, 0, count if meter.register.counting else None)
                for no, meter, count in zip(numbers, METERS, of_device, strict=True)
            ]
            minute.append(Readings(at, values))
        yield minute


def _next(chance: random.Random, meter: Meter, count: int) -> int:
    if meter.register.counting:
        return count + (chance.randrange(meter.step) if chance.random() < 0.7 else 0)
    return meter.start + chance.randrange(-meter.step, meter.step)
