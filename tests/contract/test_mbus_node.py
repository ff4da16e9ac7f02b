"""A master that nobody here wrote, node-mbus over libmbus, on our simulated converter."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from common.clock import ManualClock
from edge_agent.simulators.mbus import MbusConverter
from edge_agent.simulators.mbus_records import Divided, ElectricityRecords, VolumeRecords
from edge_agent.simulators.mbus_slave import Identity, Slave
from tests.harness.services import find_program, without
from tests.unit.test_mbus_simulator import NOW_MS, Steady

PEERS = Path(__file__).parent.parent / "peers"
TIMEOUT_MS = "80"
"""libmbus waits so long for more after every answer."""

Foreign = Callable[..., Coroutine[None, None, list[Any]]]


def electricity(address: int, identification: str, telegrams: int = 1, latency: int = 11) -> Slave:
    source = Divided(ElectricityRecords(Steady(), identification), telegrams)
    identity = Identity(identification, "INM", 1, 2)
    return Slave(address, identity, source, latency_bits=latency)


@pytest.fixture
def slaves() -> list[Slave]:
    return [
        electricity(1, "10203040"),
        electricity(2, "10290000", telegrams=3),
        electricity(3, "10500000", latency=14),
        Slave(4, Identity("77000007", "INM", 2, 7), VolumeRecords(Steady(), "77000007")),
    ]


@pytest.fixture
async def foreign_master(slaves: list[Slave]) -> AsyncIterator[Foreign]:
    """Runs steps of the foreign master against the converter; what each gave."""
    node = find_program("node")
    if not (PEERS / "node_modules" / "node-mbus").is_dir():
        without("node-mbus (npm)")
    converter = MbusConverter(slaves, ManualClock(NOW_MS))
    port = await converter.start()

    async def run(*steps: str) -> list[Any]:
        process = await asyncio.create_subprocess_exec(
            *(node, str(PEERS / "mbus_master.js"), str(port), TIMEOUT_MS, *steps),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        results: list[Any] = json.loads(out)
        return results

    yield run
    await converter.close()


def records(result: Any) -> list[Any]:
    assert "DataRecord" in result, result
    found: list[Any] = result["DataRecord"]
    return found


async def test_a_foreign_master_reads_a_meter_of_one_telegram(foreign_master: Foreign) -> None:
    first, again = await foreign_master("get:1", "get:1")
    for result in (first, again):
        assert result["SlaveInformation"]["Id"] == 10203040
        assert result["SlaveInformation"]["Manufacturer"] == "INM"
        assert records(result)[1]["Value"] == 1_234_567_891
        assert len(records(result)) == 12
    assert again["SlaveInformation"]["AccessNumber"] > first["SlaveInformation"]["AccessNumber"]


@pytest.mark.parametrize("address", ["2", "10290000CD250102"])
async def test_a_foreign_master_reads_a_meter_of_three_telegrams(
    foreign_master: Foreign, address: str
) -> None:
    for result in await foreign_master(f"get:{address}", f"get:{address}"):
        values = [record["Value"] for record in records(result)]
        assert values.count(1_234_567_891) == 1
        assert values.count(10290000) == 1
        assert len(values) - values.count("") >= 12


async def test_a_foreign_master_finds_every_meter_by_its_secondary_address(
    foreign_master: Foreign,
) -> None:
    (found,) = await foreign_master("scan")
    assert sorted(found) == sorted(
        ["10203040CD250102", "10290000CD250102", "10500000CD250102", "77000007CD250207"]
    )


async def test_a_foreign_master_reads_a_meter_by_part_of_its_secondary_address(
    foreign_master: Foreign,
) -> None:
    one, several, nobody = await foreign_master(
        "get:77FFFFFFFFFFFFFF", "get:102FFFFFFFFFFFFF", "get:88FFFFFFFFFFFFFF"
    )
    assert one["SlaveInformation"]["Id"] == 77000007
    assert "error" in several
    assert "does not match any device" in nobody["error"]


async def test_a_foreign_master_sets_an_address(
    foreign_master: Foreign, slaves: list[Slave]
) -> None:
    taken, by_primary, by_secondary, moved = await foreign_master(
        "set:1:4", "set:1:9", "set:77000007CD250207:8", "get:9"
    )
    assert "response from new address" in taken["error"]
    assert (by_primary, by_secondary) == ("set", "set")
    assert [slave.address for slave in slaves] == [9, 2, 3, 8]
    assert moved["SlaveInformation"]["Id"] == 10203040
