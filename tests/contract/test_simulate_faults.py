"""Every fault does on the wire what its name says, to the device or line that it is meant for."""

import socket
from pathlib import Path

import pytest

from common.clock import SystemClock
from common.errors import Refused
from edge_agent.protocols.mbus import encode, link
from edge_agent.protocols.mbus.telegram import decode
from edge_agent.simulators.mbus_slave import Slave
from tests.contract.playing import (
    HEAD,
    MBUS,
    MODBUS,
    TWO_OF_EACH,
    happens,
    modbus_request,
    playing,
    talking,
)

ASK_1 = encode.req_ud2(1, True).to_bytes()
NKE_1 = encode.snd_nke(1).to_bytes()


async def test_a_device_that_drops_is_silent_and_its_neighbour_is_not(tmp_path: Path) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, said):
        site.conductor.order("drop", "mbus-1", "", {})
        site.conductor.order("drop", "modbus-1", "", {})
        async with talking(said, "mbus-1") as bus, talking(said, "modbus-1") as lan:
            assert await bus.hears_nothing(ASK_1)
            assert await bus.hears_nothing(NKE_1)
            assert (await bus.read_mbus(2))[5] == 2
            assert await lan.hears_nothing(modbus_request(1))
            assert (await lan.read_modbus(2))[6] == 2
            await site.conductor.clear("mbus-1")
            assert (await bus.read_mbus(1))[5] == 1


async def test_a_line_that_drops_is_silent_for_everybody(tmp_path: Path) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, said):
        site.conductor.order("drop", "mbus1", "", {})
        async with talking(said, "mbus-1") as bus, talking(said, "modbus-2") as lan:
            assert await bus.hears_nothing(ASK_1)
            assert await bus.hears_nothing(encode.req_ud2(2, True).to_bytes())
            assert (await lan.read_modbus(2))[6] == 2


async def test_a_delayed_answer_comes_late_and_whole(tmp_path: Path) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, said):
        site.conductor.order("delay", "modbus-1", "", {"ms": 300})
        async with talking(said, "modbus-1") as lan:
            assert await lan.hears_nothing(modbus_request(1, 41))
            late = await lan.hears(6 + 11)
            assert late[:2] == bytes((0, 41))
            assert (await lan.read_modbus(2, 42))[:2] == bytes((0, 42))


async def test_a_split_answer_is_the_same_bytes_in_pieces(tmp_path: Path) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, said), talking(said, "mbus-1") as bus:
        assert await bus.ask(NKE_1, 1) == b"\xe5"
        whole = await bus.read_mbus(1)
        site.conductor.order("split", "mbus1", "", {"ms": 1, "bytes": 7})
        assert await bus.read_mbus(1) == whole


async def test_a_corrupted_answer_differs_in_just_so_many_bits(tmp_path: Path) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, said), talking(said, "mbus-1") as bus:
        whole = await bus.read_mbus(1)
        site.conductor.order("corrupt", "mbus-1", "", {"bits": 3})
        wrong = await bus.ask(ASK_1, len(whole))
        pairs = zip(whole, wrong, strict=True)
        assert sum((a ^ b).bit_count() for a, b in pairs) == 3


async def test_garbage_comes_in_the_place_of_an_answer(tmp_path: Path) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, said):
        site.conductor.order("garbage", "mbus1", "", {"bytes": 5})
        async with talking(said, "mbus-1") as bus:
            assert len(await bus.ask(NKE_1, 5)) == 5
            assert await bus.hears_nothing(b"")


async def test_an_echo_comes_before_the_answer(tmp_path: Path) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, said):
        site.conductor.order("echo", "mbus1", "", {})
        async with talking(said, "mbus-1") as bus:
            assert await bus.ask(NKE_1, len(NKE_1) + 1) == NKE_1 + b"\xe5"


async def test_a_stale_answer_is_the_one_before(tmp_path: Path) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, said), talking(said, "modbus-1") as lan:
        first = await lan.read_modbus(1, 41)
        site.conductor.order("stale", "modbus-1", "", {})
        assert await lan.read_modbus(1, 42) == first
        assert (await lan.read_modbus(1, 43))[:2] == bytes((0, 42))
        assert (await lan.read_modbus(2, 44))[:2] == bytes((0, 44))


async def test_a_busy_device_says_so_in_the_words_of_its_protocol(tmp_path: Path) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, said):
        site.conductor.order("busy", "mbus-1", "", {})
        site.conductor.order("busy", "modbus-1", "", {})
        async with talking(said, "mbus-1") as bus, talking(said, "modbus-1") as lan:
            frame = link.parse_one(await bus.read_mbus(1))
            assert isinstance(frame, link.LongFrame)
            assert (frame.ci, frame.data) == (0x70, b"\x08")
            assert (await lan.read_modbus(1))[7:] == b"\x83\x06"


async def test_hanging_up_ends_connections_and_new_ones_may_come(tmp_path: Path) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, said):
        async with talking(said, "mbus-1") as bus:
            await bus.read_mbus(1)
            site.conductor.order("hang_up", "mbus1", "", {})
            assert await bus.is_hung_up()
        async with talking(said, "mbus-1") as bus:
            assert (await bus.read_mbus(1))[5] == 1
            site.conductor.order("hang_up", "mbus1", "1h", {})
            assert await bus.is_hung_up(ASK_1)


async def test_while_the_network_is_down_nobody_listens(tmp_path: Path) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, said):
        async with talking(said, "mbus-1") as bus:
            await bus.read_mbus(1)
            site.conductor.order("network_down", "all", "", {})
            assert await bus.is_hung_up()
        with pytest.raises(OSError, match=r"."):
            async with talking(said, "mbus-1"):
                pass
        await site.conductor.clear("all")
        async with talking(said, "mbus-1") as bus:
            assert (await bus.read_mbus(1))[5] == 1


async def test_a_network_that_is_down_for_a_time_comes_back_by_itself(tmp_path: Path) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, said):
        async with talking(said, "modbus-1") as lan:
            site.conductor.order("network_down", "modbus1", "300ms", {})
            assert await lan.is_hung_up()
        await happens(lambda: not site.conductor.now() and site.lines["modbus1"].listens)
        async with talking(said, "modbus-1") as lan:
            assert (await lan.read_modbus(1))[6] == 1


async def test_a_reset_meter_counts_from_0_and_an_exchanged_one_has_another_number(
    tmp_path: Path,
) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, said), talking(said, "mbus-1") as bus:
        before = _energy(await bus.read_mbus(1))
        assert before >= 5_000_000
        site.conductor.order("reset", "mbus-1", "", {})
        assert _energy(await bus.read_mbus(1, fcb=False)) < 1000
        assert _energy(await bus.read_mbus(2)) >= before
        number = _header(await bus.read_mbus(1))
        site.conductor.order("exchange", "mbus-1", "", {"start": 777_000})
        device = site.devices["mbus-1"]
        assert isinstance(device, Slave)
        await happens(lambda: device.identity.identification != "10000001")
        assert _header(await bus.read_mbus(1)) != number
        assert 777_000 <= _energy(await bus.read_mbus(1, fcb=False)) < 778_000


async def test_a_rollover_by_hand_goes_over_at_the_next_count(tmp_path: Path) -> None:
    text = HEAD.replace("base = 3600", "base = 3_600_000_000") + MBUS.format(address=1)
    async with playing(
        tmp_path, text.replace('key = "mbus-1"', 'key = "mbus-1"\nmodulus = 1000')
    ) as (site, said):
        site.conductor.order("rollover", "mbus-1", "", {})
        shown = site.devices["mbus-1"].counter
        jump = shown.jumps(SystemClock().now_ms())[-1]
        assert jump.after == 1_000_000 - 1
        async with talking(said, "mbus-1") as bus:
            assert 0 <= _energy(await bus.read_mbus(1)) < 1000


async def test_a_power_cut_silences_a_device_until_it_is_over(tmp_path: Path) -> None:
    async with (
        playing(tmp_path, TWO_OF_EACH) as (site, said),
        talking(said, "mbus-1") as bus,
        talking(said, "modbus-1") as lan,
    ):
        await bus.read_mbus(1)
        site.conductor.order("power_cut", "mbus-1", "1s", {})
        site.conductor.order("power_cut", "modbus-1", "1s", {})
        assert await bus.hears_nothing(ASK_1)
        assert await lan.hears_nothing(modbus_request(1))
        await happens(lambda: not site.conductor.now())
        assert (await bus.read_mbus(1))[5] == 1
        assert (await lan.read_modbus(1))[6] == 1


@pytest.mark.parametrize(
    ("kind", "target", "given", "reason"),
    [
        ("dorp", "mbus1", {}, "expected one of drop, delay"),
        ("drop", "mbus9", {}, "no device or line 'mbus9'"),
        ("drop", "mbus1", {"ms": 5}, "ms: drop takes no parameters"),
        ("delay", "mbus1", {"bits": 5}, "bits: delay takes ms"),
        ("split", "mbus1", {"bytes": 0}, "bytes: 0: expected 1 to"),
        ("reset", "mbus1", {}, "reset happens to a device, not to a line"),
        ("echo", "mbus-1", {}, "echo happens to a line, not to one device on it"),
        ("clock_jump", "modbus-1", {}, "clock_jump needs a clock"),
        ("rollover", "modbus-1", {}, "rollover needs the modulus"),
        ("reset", "all", {}, "reset happens to a device, not to a line"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_what_was_expected(
    tmp_path: Path, kind: str, target: str, given: dict[str, int], reason: str
) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, _):
        with pytest.raises(Refused, match=reason):
            site.conductor.order(kind, target, "10s", given)
        assert site.conductor.now() == {}


async def test_a_fault_of_the_time_line_begins_and_ends_by_itself(tmp_path: Path) -> None:
    """Three days before and a hundred years after: what is over and what lasts."""
    faults = """
[[fault]]
kind = "drop"
on = "mbus-1"
at = "1s"
for = "2s"

[[fault]]
kind = "drop"
on = "mbus-2"
at = "1s"
for = "36500d"

[[fault]]
kind = "network_down"
on = "modbus1"
at = "1s"
"""
    async with playing(tmp_path, TWO_OF_EACH + faults) as (site, said):
        assert set(site.conductor.now()) == {"mbus-2", "modbus1"}
        async with talking(said, "mbus-1") as bus:
            assert (await bus.read_mbus(1))[5] == 1
            assert await bus.hears_nothing(encode.req_ud2(2, True).to_bytes())


async def test_the_same_seed_corrupts_the_same_bits(tmp_path: Path) -> None:
    heard = []
    for _ in range(2):
        async with playing(tmp_path, HEAD + MODBUS.format(listen="127.0.0.1:0", unit=1)) as (
            site,
            said,
        ):
            site.conductor.order("garbage", "modbus1", "", {"bytes": 20})
            async with talking(said, "modbus-1") as lan:
                heard.append(await lan.ask(modbus_request(1), 20))
    assert heard[0] == heard[1]


def _energy(telegram: bytes) -> int:
    frame = link.parse_one(telegram)
    assert isinstance(frame, link.LongFrame)
    record = next(one for one in decode(frame).records if one.quantity == "energy")
    assert record.value is not None
    return int(str(record.value))


def _header(telegram: bytes) -> bytes:
    """The identification, as it stands in the frame."""
    return telegram[7:11]


async def test_a_meter_with_three_telegrams_gives_one_after_the_other(tmp_path: Path) -> None:
    text = HEAD + MBUS.format(address=1) + 'telegrams = 3\nmanufacturer = "XYZ"\nversion = 9\n'
    async with playing(tmp_path, text) as (_, said), talking(said, "mbus-1") as bus:
        frames = [await bus.read_mbus(1, fcb=fcb) for fcb in (True, False, True)]
        telegrams = [decode(frame) for frame in map(link.parse_one, frames)]  # type: ignore[arg-type]
        assert [telegram.more_follows for telegram in telegrams] == [True, True, False]
        assert {one.header.manufacturer for one in telegrams if one.header} == {"XYZ"}


async def test_a_line_whose_port_is_taken_meanwhile_comes_back_when_it_is_free(
    tmp_path: Path,
) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, said):
        site.conductor.order("network_down", "mbus1", "", {})
        await happens(lambda: not site.lines["mbus1"].listens)
        host, _, port = site.lines["mbus1"].where.rpartition(":")
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((host, int(port)))
            other.listen()
            await site.conductor.clear("mbus1")
            assert not site.lines["mbus1"].listens
        await happens(lambda: site.lines["mbus1"].listens)
        async with talking(said, "mbus-1") as bus:
            assert (await bus.read_mbus(1))[5] == 1


async def test_a_power_cut_cannot_be_cleared(tmp_path: Path) -> None:
    async with playing(tmp_path, TWO_OF_EACH) as (site, said), talking(said, "mbus-1") as bus:
        site.conductor.order("power_cut", "mbus-1", "1h", {})
        await site.conductor.clear("all")
        assert await bus.hears_nothing(ASK_1)
