"""The small parts: downlink, health, supervisor, register numbers."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from common.clock import ManualClock
from common.errors import Unreachable
from common.messages.downlink import Ack, Command, Configuration, Rejection, Resume
from common.messages.envelope import MAX_BYTES, decode, encode
from common.messages.uplink import Catalog, CatalogDevice, Status
from common.registers import Kind
from edge_agent.device_state import DeviceStates
from edge_agent.downlink import Downlink
from edge_agent.health import INTERVAL_S, PAUSE_S, Health
from edge_agent.store.catalog import Described, number_registers
from edge_agent.store.retention import Retention
from edge_agent.supervisor import Supervisor
from tests.unit.edge_parts import NOW, POWER, ROOF, bodies, event, opened, turns

STREAM = "0" * 32
ROOT = "inmetter/v1/hall/down"


class Heard:
    """What the downlink handed on."""

    def __init__(self) -> None:
        self.messages: list[Ack | Resume | Command | Configuration] = []
        self.downlink = Downlink(
            "hall",
            on_ack=self.messages.append,
            on_resume=self._resume,
            on_command=self.messages.append,
            on_config=self.messages.append,
        )

    async def _resume(self, resume: Resume) -> None:
        self.messages.append(resume)


async def test_each_message_goes_to_whom_it_is_for() -> None:
    heard = Heard()
    messages = {
        "ack": Ack(STREAM, 1, 2, [Rejection(2, "bad")]),
        "resume": Resume(STREAM, [(1, 5)]),
        "command": Command("a" * 32, "water", "roof", 1, NOW, NOW),
        "config": Configuration(3, "[gateway]"),
    }
    for leaf, message in messages.items():
        await heard.downlink.receive(f"{ROOT}/{leaf}", encode(message))
    assert heard.messages == list(messages.values())
    assert heard.downlink.undecodable == 0


async def test_the_status_says_how_long_an_outage_may_last(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        for _ in range(180):
            clock.advance(60)
            await journal.append(event())
        told: asyncio.Queue[Status] = asyncio.Queue()

        async def publish(payload: bytes) -> None:
            await told.put(decode(payload, Status))

        health = Health(journal, list, publish, lambda: 1, clock)
        running = asyncio.ensure_future(health.run())
        status, figures = await told.get(), await journal.figures()
        running.cancel()
        assert (status.journal_entries, status.journal_quota) == (180, figures.quota)
        assert (status.queued, status.oldest_at) == (180, NOW + 60_000)
        assert figures.hours_left
        assert status.hours_left == int(figures.hours_left) > 1000


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("nonsense", b"{}"),
        (f"{ROOT}/ack", b"\xff\xfe"),
        (f"{ROOT}/ack", b'{"v":2}'),
        (f"{ROOT}/ack", b'{"v":1,"stream":"x","first":1,"last":2}'),
        (f"{ROOT}/ack", b"[" * 100_000),
        (f"{ROOT}/config", b'{"v":1}'),
        (f"{ROOT}/resume", encode(Resume(STREAM, [(5, 3)]))),
        (f"{ROOT}/resume", encode(Resume(STREAM, [(0, 3)]))),
        (f"{ROOT}/resume", encode(Resume(STREAM, [(1, 2**63)]))),
        (f"{ROOT}/command", b'{"v":1,"id":"' + b"a" * 32 + b'","value":2}'),
        ("inmetter/v1/other/down/ack", encode(Ack(STREAM, 1, 2))),
        ("inmetter/v1/hall/up/hello", encode(Ack(STREAM, 1, 2))),
    ],
)
async def test_what_cannot_be_decoded_is_dropped_and_counted(topic: str, payload: bytes) -> None:
    heard = Heard()
    await heard.downlink.receive(topic, payload)
    assert heard.messages == []
    assert heard.downlink.undecodable == 1


async def test_the_status_tells_the_queue_and_the_devices(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        told: asyncio.Queue[Status] = asyncio.Queue()
        troubles = [Unreachable("no broker")]

        async def publish(payload: bytes) -> None:
            if troubles:
                raise troubles.pop()
            await told.put(decode(payload, Status))

        states = DeviceStates(["meter"])
        health = Health(journal, states.all, publish, lambda: 3, clock)
        states.on_change = health.changed
        running = asyncio.ensure_future(health.run())
        while troubles:
            await turns(1)
        await journal.append(event(), event())
        states.failed("meter", NOW, "no answer")
        status = await told.get()
        assert (status.online, status.boot, status.session, status.queued) == (True, 1, 3, 2)
        assert status.oldest_at == NOW
        assert status.journal_bytes > 0
        assert [(one.key, one.state, one.error) for one in status.devices] == [
            ("meter", "failing", "no answer")
        ]
        await turns(3)
        clock.advance(INTERVAL_S)
        assert (await told.get()).at == NOW + INTERVAL_S * 1000
        for _ in range(100):
            states.failed("meter", NOW, "no answer")
            states.ok("meter", NOW)
            await turns(3)
        assert told.empty(), "not one for each change"
        clock.advance(PAUSE_S)
        assert (await told.get()).devices[0].state == "ok"
        await health.say_goodbye()
        assert (await told.get()).online is False
        running.cancel()


async def test_a_part_that_dies_is_started_again_and_harms_no_other() -> None:
    clock = ManualClock(NOW)
    supervisor = Supervisor(clock, fatal=(MemoryError,))
    starts: list[int] = []
    alive = asyncio.Event()

    async def dies() -> None:
        starts.append(clock.now_ms() - NOW)
        if len(starts) < 4:
            raise ZeroDivisionError("on purpose")
        raise ExceptionGroup("on purpose", [MemoryError("the end")])

    async def lives() -> None:
        alive.set()
        await asyncio.Event().wait()

    supervisor.add("dies", dies)
    supervisor.add("lives", lives)
    running = asyncio.ensure_future(supervisor.run())
    await alive.wait()
    while not running.done():
        await turns(3)
        clock.advance(1)
    with pytest.raises(MemoryError, match="the end"):
        running.result()
    assert starts == [0, 1000, 3000, 7000]
    assert supervisor.restarts == 3


async def test_a_registers_number_never_changes(tmp_path: Path) -> None:
    meter = Described("meter", "Meter", "mbus", (POWER,))
    roof = Described("roof", "Roof", "c11do1eth", (ROOF, POWER), "C11DO1ETH")
    async with opened(tmp_path) as journal:
        assert await number_registers(journal, [meter, roof]) == {
            "meter": {"power": 1},
            "roof": {"roof": 2, "power": 3},
        }
    async with opened(tmp_path) as journal:
        assert await number_registers(journal, [roof]) == {"roof": {"roof": 2, "power": 3}}
        assert await number_registers(journal, [roof, meter]) == {
            "roof": {"roof": 2, "power": 3},
            "meter": {"power": 1},
        }


@pytest.mark.parametrize(
    "changed", [{"decimals": 4}, {"kind": Kind.FLOW}], ids=["decimals", "kind"]
)
async def test_a_number_never_stands_for_another_scale_or_kind(
    tmp_path: Path, changed: dict[str, int | Kind]
) -> None:
    before = Described("meter", "Meter", "mbus", (POWER,))
    after = Described("meter", "Meter", "mbus", (msgspec.structs.replace(POWER, **changed),))
    renamed = Described("meter", "Meter", "mbus", (msgspec.structs.replace(POWER, name="New"),))
    async with opened(tmp_path) as journal:
        assert await number_registers(journal, [before]) == {"meter": {"power": 1}}
        assert await number_registers(journal, [after]) == {"meter": {"power": 2}}
        assert await number_registers(journal, [before]) == {"meter": {"power": 1}}
        assert await number_registers(journal, [renamed]) == {"meter": {"power": 1}}
        catalogs = [body for body in await bodies(journal) if isinstance(body, Catalog)]
        assert [one.devices[0].registers[0].no for one in catalogs] == [1, 2, 1, 1]


async def test_a_catalog_is_appended_only_when_it_has_changed(tmp_path: Path) -> None:
    meter = Described("meter", "Meter", "mbus", (POWER,))
    renamed = Described("meter", "Main meter", "mbus", (POWER,))
    for devices, count in [([meter], 1), ([meter], 1), ([renamed], 2), ([meter], 3)]:
        async with opened(tmp_path) as journal:
            await number_registers(journal, devices)
            found = [body for body in await bodies(journal) if isinstance(body, Catalog)]
            assert len(found) == count
            assert found[-1].devices[0].name == devices[0].name


async def test_a_catalog_of_a_thousand_devices_comes_in_parts_that_messages_can_carry(
    tmp_path: Path,
) -> None:
    registers = tuple(msgspec.structs.replace(POWER, key=f"power-{n}") for n in range(14))
    meters = [
        Described(f"meter-{number}", f"Meter {number}", "modbus", registers, "abb_b23")
        for number in range(1000)
    ]
    keys = [meter.key for meter in meters]
    async with opened(tmp_path) as journal:
        await number_registers(journal, meters)
        parts = [body for body in await bodies(journal) if isinstance(body, Catalog)]
        assert len(parts) > 5
        assert max(len(encode(part)) for part in parts) < MAX_BYTES / 4
        assert [device.key for part in parts for device in part.devices] == keys
        for part in parts:
            assert sorted([*part.others, *(device.key for device in part.devices)]) == sorted(keys)
    async with opened(tmp_path) as journal:
        await number_registers(journal, meters)
        assert len(await bodies(journal)) == len(parts), "nothing has changed"
        await number_registers(journal, meters[1:])
        assert len(await bodies(journal)) == 2 * len(parts)
        await number_registers(journal, meters[:1])
        assert len(await bodies(journal)) == 2 * len(parts) + 1
        await number_registers(journal, meters[:1])
        assert len(await bodies(journal)) == 2 * len(parts) + 1


async def test_all_parts_of_the_newest_catalog_are_kept(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        devices = [CatalogDevice(key, key, "mbus", []) for key in ("a", "b", "c")]
        for device in devices:
            others = [one.key for one in devices if one is not device]
            await journal.append(Catalog(NOW, [device], others))
        await journal.append(event())
        await journal.settle(journal.stream, 1, 4)
        clock.advance(60)
        assert await Retention(journal).prune(clock.now_ms()) == 1
        found = [body for body in await bodies(journal) if isinstance(body, Catalog)]
        assert [part.devices[0].key for part in found] == ["a", "b", "c"]
        assert journal.unsettled_catalogs() == []
