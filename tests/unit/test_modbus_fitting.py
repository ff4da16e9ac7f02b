"""Which profiles fit a device: it says so itself, or its values are plausible."""

from collections.abc import Mapping

import pytest

from common.clock import ManualClock
from common.registers import Medium
from edge_agent.profiles.modbus import fitting, load_profile, profile_names
from edge_agent.simulators.modbus_unit import SimulatedModbusMeter
from edge_agent.simulators.world import HOUR_MS, Curve, Meter, Timeline

NOW_MS = 1_767_225_600_000
METER = Meter(
    "main",
    Medium.ELECTRICITY,
    12_345_678_000,
    (Curve((9_000_000,), HOUR_MS),),
    Timeline(NOW_MS - 10 * HOUR_MS),
)
KNOWN_BY_NUMBER = ("abb_b21", "abb_b23", "abb_b24", "carlo_gavazzi_em24_e1")
SUNSPEC = ("sunspec_meter", "sunspec_meter_float")


class Device:
    """Answers from a map of registers; counts what it is asked."""

    def __init__(self, cells: Mapping[tuple[int, int], int]) -> None:
        self.cells = cells
        self.asked: list[tuple[int, int, int]] = []

    async def read(self, function: int, address: int, count: int) -> list[int] | None:
        self.asked.append((function, address, count))
        own = [(function, at) for at in range(address, address + count)]
        return [self.cells[cell] for cell in own] if self.cells.keys() >= set(own) else None


def simulated(name: str) -> Device:
    unit = SimulatedModbusMeter(load_profile(name), METER, ManualClock(NOW_MS))
    return Device(unit.words(NOW_MS))


@pytest.mark.parametrize("name", profile_names())
async def test_a_device_is_found_to_fit_its_own_profile(name: str) -> None:
    device = simulated(name)
    found = await fitting(device.read)
    assert name in found
    registers = load_profile(name).registers()
    assert load_profile(found[0]).registers() == registers, "the likeliest has the same map"
    assert len(device.asked) == len(set(device.asked)), "nothing is asked twice"
    if name in (*KNOWN_BY_NUMBER, *SUNSPEC):
        assert found == [name]


async def test_a_device_that_refuses_everything_fits_nothing() -> None:
    assert await fitting(Device({}).read) == []


async def test_a_device_that_says_0_to_everything_fits_nothing() -> None:
    async def read(function: int, address: int, count: int) -> list[int]:
        return [0] * count

    assert await fitting(read) == []


@pytest.mark.parametrize("word", [0x0102, 0x4248, 0x7FFF, 0x8000, 0xFFFF])
async def test_a_device_that_says_the_same_everywhere_fits_nothing(word: int) -> None:
    async def read(function: int, address: int, count: int) -> list[int]:
        return [word] * count

    assert await fitting(read) == []


async def test_a_short_answer_is_none() -> None:
    device = simulated("eastron_sdm120")

    async def read(function: int, address: int, count: int) -> list[int] | None:
        words = await device.read(function, address, count)
        return words[:-1] if words else None

    assert await fitting(read) == []


async def test_the_two_maps_of_one_name_are_told_apart() -> None:
    assert "carlo_gavazzi_em340" not in await fitting(simulated("carlo_gavazzi_em24").read)
    assert "carlo_gavazzi_em24" not in await fitting(simulated("carlo_gavazzi_em340").read)


async def test_a_swapped_word_order_is_not_plausible() -> None:
    cells = simulated("eastron_sdm630").cells
    swapped = {(f, a): cells.get((f, a ^ 1), 0) for f, a in cells}
    assert await fitting(Device(swapped).read) == []
