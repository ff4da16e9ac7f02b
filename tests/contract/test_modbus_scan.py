"""The scan: units that answer, what they say that they are, and what it says when none does."""

import asyncio
import json
import os
import signal
import sys
import tty
from collections.abc import Callable
from pathlib import Path

import pytest

from common.clock import ManualClock
from common.errors import FrameError, Unreachable
from common.registers import Medium
from edge_agent.__main__ import main
from edge_agent.drivers.modbus_line import ModbusLine
from edge_agent.drivers.modbus_scan import Found, Scan
from edge_agent.profiles.modbus import load_profile
from edge_agent.simulators.modbus import SimulatedModbusMeter
from edge_agent.simulators.modbus_rtu import ModbusRtuServer, Unit
from edge_agent.simulators.world import HOUR_MS, Curve, Meter, Timeline
from tests.contract.modbus_peer import registers, rtu, rtu_peer
from tests.contract.modbus_units import Registers, gateway, rtu_units
from tests.harness.ports import free_port

NOW_MS = 1_767_225_600_000
CLOCK = ManualClock(NOW_MS)
METER = Meter(
    "main",
    Medium.ELECTRICITY,
    12_345_678_000,
    (Curve((9_000_000, 30_000_000), HOUR_MS),),
    Timeline(NOW_MS - 10 * HOUR_MS),
)
GONE = bytes((0x83, 0x0B))
HERE = bytes((3, 2, 0, 7))


async def scan(url: str, units: range, timeout_s: float = 0.05) -> Scan:
    line = ModbusLine(url, timeout_s, 0.02, connect_s=5, patient=True)
    found = Scan(line, units)
    steps = [step async for step in found.run()]
    line.close()
    assert found.notes or {step.unit for step in steps} == set(units)
    assert {step.unit for step in steps if step.found} <= found.found.keys()
    assert found.next_unit is None
    return found


async def test_units_are_found_with_what_they_say_and_the_profile_that_fits() -> None:
    objects = {0: "Maker", 1: "M-1", 2: "V2.0", 4: "Meter", 6: "Greenhouse"}
    units: dict[int, Unit] = {
        3: Registers({0: 1}, objects),
        7: SimulatedModbusMeter(load_profile("schneider_iem3000"), METER, CLOCK),
        9: Registers({}),
    }
    server = await asyncio.start_server(ModbusRtuServer(units).serve, "127.0.0.1", 0)
    async with server:
        url = f"rtu+tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        found = (await scan(url, range(1, 11))).found
    assert list(found) == [3, 7, 9]
    assert found[3] == Found(
        3,
        "registers",
        {
            "vendor": "Maker",
            "product_code": "M-1",
            "revision": "V2.0",
            "product": "Meter",
            "application": "Greenhouse",
        },
    )
    assert found[7].profiles[0] == "schneider_iem3000"
    assert found[9] == Found(9, "exception 02 (illegal data address)")


async def test_a_gateway_that_says_who_is_not_there_is_believed() -> None:
    def answer(unit: int, pdu: bytes) -> bytes:
        if unit == 4:
            return bytes((pdu[0] | 0x80, 6))
        return HERE if unit == 2 and pdu[0] == 3 else bytes((pdu[0] | 0x80, 0x0B))

    async with gateway(answer) as url:
        found = (await scan(url, range(1, 21), 5)).found
    assert {unit: one.answer for unit, one in found.items()} == {
        2: "registers",
        4: "exception 06 (server device busy)",
    }


async def test_units_behind_a_gateway_that_is_slow_are_asked_again_with_more_time() -> None:
    """An answer that comes while the next units are asked is noticed, and not lost."""
    slow = True

    def held(unit: int) -> int:
        nonlocal slow
        late = slow and unit == 2
        slow = slow and unit < 5
        return 3 if late else 0

    async with gateway(lambda unit, _: HERE if unit == 2 else GONE, held) as url:
        line = ModbusLine(url, 0.2, connect_s=5, patient=True)
        found = Scan(line, range(1, 9))
        steps = [step.unit async for step in found.run()]
        line.close()
    assert list(found.found) == [2]
    assert steps == [1, 2, 3, 4, 2, 3, 4, 5, 6, 7, 8]


async def test_a_slow_unit_on_a_serial_line_is_asked_again_with_more_time() -> None:
    late: list[bytes] = []

    def reply(request: bytes) -> bytes:
        if request[0] == 2 and not late:
            late.append(registers(request, 7))
            return b""
        if request[0] == 3 and len(late) == 1:
            late.append(b"")
            return late[0]
        return registers(request, 7) if request[:2] == b"\x02\x03" else b""

    async with rtu_peer(reply) as (_, url):
        found = await scan(url, range(1, 5))
    assert list(found.found) == [2]


async def test_a_device_that_looks_at_no_unit_number_is_one_device() -> None:
    async with gateway(lambda _, pdu: HERE if pdu[0] == 3 else bytes((pdu[0] | 0x80, 1))) as url:
        found = await scan(url, range(1, 248), 5)
    assert list(found.found) == [1]
    assert found.notes == ["it answers to any unit number: this is one device"]


async def test_some_units_in_a_row_are_not_any_number() -> None:
    async with gateway(lambda unit, _: HERE if unit < 4 or unit == 9 else GONE) as url:
        found = await scan(url, range(1, 20), 5)
    assert list(found.found) == [1, 2, 3, 9]
    assert found.notes == []


async def test_two_units_with_one_number_are_noise_and_not_silence() -> None:
    def reply(request: bytes) -> bytes:
        whole = registers(request, 0x1234)
        return whole[:4] + b"\x00\x99\x98" if request[0] == 6 else b""

    async with rtu_peer(reply) as (_, url):
        found = await scan(url, range(5, 8))
    assert list(found.found) == [6]
    assert found.found[6].answer.startswith("noise: ")
    assert "two devices with the number 6" in found.found[6].answer


async def test_nothing_but_noise_ends_the_scan() -> None:
    async with rtu_peer(lambda _: b"\xf0" * 7) as (device, url):
        with pytest.raises(FrameError, match="wrong baud rate or parity"):
            await scan(url, range(1, 248))
        assert len(device.requests) == 3


async def test_a_line_that_is_gone_ends_the_scan_and_says_where_to_go_on() -> None:
    line = ModbusLine(f"tcp://127.0.0.1:{free_port()}", 0.1, patient=True)
    found = Scan(line, range(5, 9))
    with pytest.raises(Unreachable):
        _ = [step async for step in found.run()]
    assert found.next_unit == 5


async def run(*arguments: str) -> int:
    return await asyncio.to_thread(main, ["scan", "modbus", *arguments])


async def test_the_table_has_what_goes_into_the_configuration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    units: dict[int, Unit] = {
        1: Registers({0: 1}, {0: "Maker", 1: "M-1", 2: "1.0"}),
        2: SimulatedModbusMeter(load_profile("eastron_sdm120"), METER, CLOCK),
    }
    server = await asyncio.start_server(ModbusRtuServer(units).serve, "127.0.0.1", 0)
    async with server:
        url = f"rtu+tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await run(url, "--to", "3", "--timeout", "0.05") == 0
    output = capsys.readouterr()
    head, first, second, *rest = output.out.splitlines()
    assert head.startswith("unit  answers with")
    assert "Maker M-1 1.0" in first
    assert second.split()[0] == "2"
    assert "eastron_sdm" in second
    assert "unit = 2" in rest
    assert output.err == ""


async def test_what_the_scan_says_for_the_configuration_reads_the_unit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the count of requests that one poll takes is visible."""
    profile = load_profile("schneider_iem3000")
    units: dict[int, Unit] = {2: SimulatedModbusMeter(profile, METER, CLOCK)}
    server = await asyncio.start_server(ModbusRtuServer(units).serve, "127.0.0.1", 0)
    async with server:
        url = f"rtu+tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await run(url, "--from", "2", "--to", "2") == 0
        device = capsys.readouterr().out.partition("[[device]]")[2].replace("…", "bus")
        config = tmp_path / "edge.toml"
        config.write_text(f"""
[gateway]
id = "g"
name = "Gateway"
site = "s"
site_name = "Site"
timezone = "UTC"
data_dir = "data"
[[line]]
id = "bus"
url = "{url}"
[[device]]{device}""")
        assert await asyncio.to_thread(main, ["read", str(config), "--json"]) == 0
    [read] = json.loads(capsys.readouterr().out)
    assert (read["device"], read["error"]) == ("meter-2", None)
    assert read["requests"] == len(profile.requests) < len(profile.register)
    assert len(read["readings"]) == len(profile.register)


async def test_json_has_the_same_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    async with rtu_units({2: Registers({0: 1}, {0: "Maker", 1: "M-1", 2: "1.0"})}) as url:
        code = await run(url, "--from", "2", "--to", "3", "--timeout", "0.05", "--json")
    assert code == 0
    assert json.loads(capsys.readouterr().out) == {
        "url": url,
        "from": 2,
        "to": 3,
        "stopped": None,
        "resume": None,
        "units": [
            {
                "unit": 2,
                "answer": "registers",
                "identification": {"vendor": "Maker", "product_code": "M-1", "revision": "1.0"},
                "profiles": [],
            }
        ],
        "notes": [],
        "causes": [],
    }


async def test_silence_ends_with_the_likely_causes(capsys: pytest.CaptureFixture[str]) -> None:
    async with rtu_units({}) as url:
        assert await run(url, "--to", "2", "--timeout", "0.05") == 1
    output = capsys.readouterr().out
    assert output.startswith("no unit answers\n")
    for cause in ("baud rate or parity", "A and B are swapped", "try tcp://"):
        assert cause in output


async def test_the_wrong_kind_of_frames_is_found_out(capsys: pytest.CaptureFixture[str]) -> None:
    async with rtu_units({1: Registers({0: 1})}) as url:
        wrong = url.replace("rtu+tcp", "tcp")
        assert await run(wrong, "--to", "1", "--timeout", "0.05", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["units"] == []
    assert document["causes"] == [f"unit 1 answers as {url}: use that"]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", "a web server answers there"),
        (lambda _: rtu("03 02 0007", 99), "unit 99 answered instead"),
    ],
)
async def test_what_is_wrong_everywhere_is_said_once(
    reply: Callable[[bytes], bytes], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with rtu_peer(reply) as (_, url):
        assert await run(url, "--to", "4", "--timeout", "0.05") == 1
    assert reason in capsys.readouterr().out


async def test_a_scan_that_is_interrupted_shows_what_it_found_and_goes_on_later() -> None:
    """Ctrl-C: a serial line with unit 1, and then silence."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    asked = asyncio.Event()

    def reply() -> None:
        request = os.read(ours, 64)
        if request[:6] == bytes.fromhex("01 03 0000 0001"):
            os.write(ours, registers(request, 7))
        elif request[0] == 1:
            os.write(ours, rtu(f"{request[1] | 0x80:02x} 02"))
        else:
            asked.set()

    loop = asyncio.get_running_loop()
    loop.add_reader(ours, reply)
    url = f"serial://{os.ttyname(theirs)}?parity=N"
    command = (sys.executable, "-m", "edge_agent", "scan", "modbus", url, "--timeout", "30")
    process = await asyncio.create_subprocess_exec(
        *command, "--json", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        await asyncio.wait_for(asked.wait(), 60)
        process.send_signal(signal.SIGINT)
        output, errors = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        loop.remove_reader(ours)
        os.close(ours)
        os.close(theirs)
    document = json.loads(output)
    assert (document["stopped"], document["resume"]) == ("interrupted", 2)
    assert [one["unit"] for one in document["units"]] == [1]
    assert (process.returncode, errors) == (1, b"")


@pytest.mark.parametrize(
    "wrong", [["--from", "x"], ["--to", "256"], ["--timeout", "0"], ["--timeout", "nan"]]
)
def test_wrong_usage_ends_with_two(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["scan", "modbus", "tcp://127.0.0.1:502", *wrong])
    assert caught.value.code == 2


def test_an_empty_range_and_a_wrong_url_are_wrong_configuration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["scan", "modbus", "tcp://127.0.0.1:502", "--from", "9", "--to", "8"]) == 2
    assert main(["scan", "modbus", "udp://127.0.0.1:502"]) == 2
    assert "no unit from 9 to 8" in capsys.readouterr().err
