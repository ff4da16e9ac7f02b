"""The M-Bus driver against the simulated converter over a socket, and against bad peers."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from common.clock import ManualClock
from common.errors import ConfigError, Disconnected, FrameError, NoAnswer, Undecodable
from common.reading import Quality
from edge_agent.drivers.base import Polled
from edge_agent.drivers.line import Line
from edge_agent.drivers.mbus import MbusMeter
from edge_agent.profiles.mbus import load_profile
from edge_agent.protocols.mbus import encode, link
from edge_agent.protocols.mbus.answers import sealed_response
from edge_agent.protocols.mbus.header import Header
from edge_agent.protocols.mbus.selection import Secondary
from edge_agent.protocols.mbus.telegram import decode_frame
from edge_agent.simulators.mbus import Bus, MbusConverter
from edge_agent.simulators.mbus_records import ElectricityRecords, VolumeRecords
from edge_agent.simulators.mbus_slave import Identity, Slave
from tests.contract.mbus_site import BusTransport, line_through
from tests.contract.test_mbus_line import peer
from tests.unit.test_mbus_simulator import NOW_MS, Steady, ThreeTelegrams

TIMEOUT_S = 5.0
SHORT_S = 0.05
IDENTITY = Header(1, 0, 0, "10203040", "INM", 1, 2)


class Counting(Steady):
    """Energy that grows by 100 Wh a second."""

    def energy_import_wh(self, at_ms: int) -> int:
        return 1000 + (at_ms - NOW_MS) // 10


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
async def converter(clock: ManualClock) -> AsyncIterator[MbusConverter]:
    slaves = [
        Slave(1, Identity("10203040", "INM", 1, 2), ElectricityRecords(Counting(), "10203040")),
        Slave(2, Identity("00000007", "INM", 1, 7), VolumeRecords(Steady(), "00000007")),
        Slave(3, Identity("00000008", "INM", 1, 2), ThreeTelegrams()),
    ]
    simulated = MbusConverter(slaves, clock)
    yield simulated
    await simulated.close()


def meter(
    line: Line,
    address: int,
    clock: ManualClock,
    profile: str = "mbus_electricity",
    timeout_s: float = TIMEOUT_S,
) -> MbusMeter:
    loaded = load_profile(profile)
    return MbusMeter(
        f"meter-{address}", line, address, loaded, clock=clock, interval_s=900, timeout_s=timeout_s
    )


def answer(watts: int, address: int = 1, more_follows: bool = False) -> bytes:
    records = [encode.bcd(b"\x03", 1000, 4), encode.integer(b"\x2b", watts, 4)]
    return encode.response(address, IDENTITY, records, more_follows).to_bytes()


async def test_a_meter_is_read_over_a_real_socket(
    converter: MbusConverter, clock: ManualClock
) -> None:
    line = Line(f"tcp://127.0.0.1:{await converter.start()}")
    electricity = meter(line, 1, clock, "mbus_electricity_3phase")
    assert isinstance(electricity, Polled)
    assert electricity.registers[0].interval_s == 900
    for seconds in (0, 10, 20):
        clock.advance(0 if seconds == 0 else 10)
        sample = await electricity.read()
        assert (sample.device, sample.at_ms) == ("meter-1", NOW_MS + 1000 * seconds)
        values = {one.key: one.value for one in sample.measured}
        assert values["energy_import"] == 1000 + 100 * seconds
        assert values["voltage_l1"] == Decimal("230.1")
        assert {one.quality for one in sample.measured} == {Quality.GOOD}
    assert line.connection == 1
    await line.close()


async def test_meters_on_one_line_are_read_at_the_same_time(
    converter: MbusConverter, clock: ManualClock
) -> None:
    line = Line(f"tcp://127.0.0.1:{await converter.start()}")
    first, second = meter(line, 1, clock), meter(line, 2, clock, "mbus_water")
    samples = await asyncio.gather(*(one.read() for one in (first, second) * 5))
    for electricity, water in zip(samples[::2], samples[1::2], strict=True):
        assert electricity.measured[0].value == 1000
        assert water.measured[0].value == Decimal("12345.678")
    await line.close()


async def test_all_telegrams_that_follow_are_read_and_the_next_read_starts_again(
    converter: MbusConverter, clock: ManualClock
) -> None:
    line = Line(f"tcp://127.0.0.1:{await converter.start()}")
    many = meter(line, 3, clock)
    for _ in range(2):
        sample = await many.read()
        assert [one.value for one in sample.measured] == [None, 1]
    await line.close()


async def test_a_converter_that_hangs_up_is_connected_to_again(
    converter: MbusConverter, clock: ManualClock
) -> None:
    line = Line(f"tcp://127.0.0.1:{await converter.start()}")
    electricity = meter(line, 1, clock)
    await electricity.read()
    converter.cut()
    assert (await electricity.read()).measured[0].quality is Quality.GOOD
    await line.close()


async def test_a_meter_that_is_not_there_gives_no_answer_after_two_repeats(
    converter: MbusConverter, clock: ManualClock
) -> None:
    line = Line(f"tcp://127.0.0.1:{await converter.start()}", quiet_s=0.01)
    with pytest.raises(NoAnswer):
        await meter(line, 99, clock, timeout_s=SHORT_S).read()
    assert line.connection == 3
    assert (await meter(line, 1, clock).read()).measured[1].value == 5123
    await line.close()


class Scripted:
    """A slave that answers requests by script, and keeps what it heard."""

    def __init__(self, *answers: bytes, step: int = 1000) -> None:
        self._answers = list(answers)
        self._step = step
        self.heard: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await reader.readexactly(5)
            self.heard.append(request.hex())
            frame = link.parse_one(request)
            assert isinstance(frame, link.ShortFrame)
            reply = b"\xe5" if frame.control == link.SND_NKE else self._answers.pop(0)
            if reply == b"hang up":
                return
            for start in range(0, len(reply), self._step):
                writer.write(reply[start : start + self._step])
                await writer.drain()


async def test_the_link_is_reset_once_and_then_the_bit_toggles(clock: ManualClock) -> None:
    scripted = Scripted(*[answer(1)] * 3)
    async with peer(scripted.serve) as url:
        line = Line(url)
        one = meter(line, 1, clock)
        for _ in range(3):
            await one.read()
        await line.close()
    assert [request[2:6] for request in scripted.heard] == ["4001", "7b01", "5b01", "7b01"]


async def test_a_meter_of_several_telegrams_is_reset_before_each_read(clock: ManualClock) -> None:
    scripted = Scripted(*[answer(1, more_follows=True), answer(2)] * 2)
    async with peer(scripted.serve) as url:
        line = Line(url)
        many = meter(line, 1, clock)
        for _ in range(2):
            assert (await many.read()).measured[1].value == 1
        await line.close()
    assert [request[2:4] for request in scripted.heard] == ["40", "7b", "5b", "40", "7b", "5b"]


async def test_a_busy_meter_is_reset_and_asked_again(clock: ManualClock) -> None:
    busy = link.LongFrame(8, 1, 0x70, b"\x08").to_bytes()
    scripted = Scripted(busy, answer(7))
    async with peer(scripted.serve) as url:
        line = Line(url)
        assert (await meter(line, 1, clock).read()).measured[1].value == 7
        await line.close()
    assert [request[2:4] for request in scripted.heard] == ["40", "7b", "40", "7b"]


async def test_an_answer_split_into_single_bytes_is_read(clock: ManualClock) -> None:
    async with peer(Scripted(answer(42), step=1).serve) as url:
        line = Line(url)
        assert (await meter(line, 1, clock).read()).measured[1].value == 42
        await line.close()


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (b"", NoAnswer),
        (b"\x00\xff\x00", FrameError),
        (answer(1)[:-2] + b"\x00\x16", FrameError),
        (answer(1)[:20], FrameError),
        (b"hang up", Disconnected),
        (answer(1, address=2), NoAnswer),
        (b"\xe5", NoAnswer),
        (link.LongFrame(8, 1, 0x70, b"\x08").to_bytes(), NoAnswer),
    ],
    ids=["silence", "noise", "checksum", "cut", "hang-up", "other-meter", "ack", "busy"],
)
async def test_a_bad_answer_is_repeated_twice_and_then_told(
    bad: bytes, error: type[Exception], clock: ManualClock
) -> None:
    async with peer(Scripted(bad, bad, answer(7), bad, bad, bad).serve) as url:
        line = Line(url, quiet_s=0.01)
        one = meter(line, 1, clock, timeout_s=SHORT_S)
        assert (await one.read()).measured[1].value == 7
        with pytest.raises(error):
            await one.read()
        await line.close()


async def test_a_late_answer_of_another_meter_is_passed_over(clock: ManualClock) -> None:
    async with peer(Scripted(answer(666, address=2) + answer(7)).serve) as url:
        line = Line(url)
        assert (await meter(line, 1, clock).read()).measured[1].value == 7
        await line.close()


async def test_at_254_any_meter_may_answer(clock: ManualClock) -> None:
    async with peer(Scripted(answer(7, address=33)).serve) as url:
        line = Line(url)
        assert (await meter(line, 254, clock).read()).measured[1].value == 7
        await line.close()


async def test_an_encrypted_telegram_is_undecodable(clock: ManualClock) -> None:
    header = Header(1, 0, 0x0510, "10203040", "INM", 1, 2)
    secret = encode.response(1, header, [b"\x55" * 16]).to_bytes()
    async with peer(Scripted(secret).serve) as url:
        line = Line(url)
        with pytest.raises(Undecodable, match="encrypted"):
            await meter(line, 1, clock).read()
        await line.close()


async def test_an_encrypted_telegram_is_read_with_its_key_and_with_no_other(
    clock: ManualClock,
) -> None:
    pytest.importorskip("Crypto")
    key = bytes(range(16))
    records = [encode.integer(b"\x2b", 7, 4)]
    secret = sealed_response(1, IDENTITY, records, key).to_bytes()
    profile = load_profile("mbus_electricity")
    async with peer(Scripted(secret, secret).serve) as url:
        line = Line(url)
        for aes_key, readable in ((key, True), (bytes(16), False)):
            one = MbusMeter("one", line, 1, profile, clock=clock, aes_key=aes_key)
            if readable:
                assert (await one.read()).measured[1].value == 7
            else:
                with pytest.raises(Undecodable, match="key"):
                    await one.read()
        await line.close()


async def test_another_meter_at_the_address_is_not_read(clock: ManualClock) -> None:
    async with peer(Scripted(answer(7), answer(8)).serve) as url:
        line = Line(url)
        profile = load_profile("mbus_electricity")
        for identification, expected in (("10203040", True), ("10203041", False)):
            one = MbusMeter("one", line, 1, profile, clock=clock, identification=identification)
            if expected:
                assert (await one.read()).measured[1].value == 7
            else:
                with pytest.raises(Undecodable, match="meter 10203040 answers at address 1"):
                    await one.read()
            assert one.header == IDENTITY
        await line.close()


async def test_the_converter_passes_over_noise_and_takes_frames_in_pieces(
    converter: MbusConverter,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", await converter.start())
    writer.write(b"\x00\xff\x10garbage")
    for byte in encode.snd_nke(1).to_bytes() + encode.snd_nke(77).to_bytes():
        writer.write(bytes((byte,)))
        await writer.drain()
    writer.write(encode.snd_nke(2).to_bytes())
    assert await reader.readexactly(2) == b"\xe5\xe5"
    writer.close()


async def test_a_new_connection_starts_at_the_first_telegram(converter: MbusConverter) -> None:
    port = await converter.start()
    request = encode.req_ud2(3, fcb=True).to_bytes()
    for access in (1, 2):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        head = await reader.readexactly(4)
        frame = head + await reader.readexactly(head[1] + 2)
        telegram = decode_frame(frame)
        assert telegram.header is not None
        assert telegram.header.access == access
        assert telegram.records[0].value == Decimal(1)
        writer.close()


async def test_the_retries_are_as_many_as_are_set(clock: ManualClock) -> None:
    for retries in (0, 1, 4):
        scripted = Scripted(*[b""] * 9)
        async with peer(scripted.serve) as url:
            line = Line(url, quiet_s=0.01)
            profile = load_profile("mbus_electricity")
            one = MbusMeter(
                "one", line, 1, profile, clock=clock, timeout_s=SHORT_S, retries=retries
            )
            with pytest.raises(NoAnswer):
                await one.read()
            await line.close()
        assert len(scripted.heard) == 2 * (1 + retries)


def test_an_address_that_cannot_be_is_a_configuration_error(clock: ManualClock) -> None:
    for address in (-1, 251, 253, 255):
        with pytest.raises(ConfigError, match="0 to 250"):
            meter(Line("tcp://127.0.0.1:1"), address, clock)
    with pytest.raises(ConfigError, match="no wildcards"):
        profile = load_profile("mbus_electricity")
        MbusMeter("m", Line("tcp://127.0.0.1:1"), Secondary("1FFFFFFF"), profile, clock=clock)


async def test_after_a_telegram_without_sense_the_first_one_is_asked_for_again(
    clock: ManualClock,
) -> None:
    empty = encode.response(1, IDENTITY, []).to_bytes()
    scripted = Scripted(answer(1, more_follows=True), empty, answer(7))
    async with peer(scripted.serve) as url:
        line = Line(url)
        one = meter(line, 1, clock)
        with pytest.raises(Undecodable):
            await one.read()
        assert (await one.read()).measured[1].value == 7
        await line.close()
    assert [request[2:4] for request in scripted.heard] == ["40", "7b", "5b", "40", "7b"]


class Unheard(BusTransport):
    """A serial port whose next answer never arrives, though the meter has given it."""

    is_port = True

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self.lost = False
        self.waits = asyncio.Event()

    async def read(self, timeout_s: float) -> bytes:
        if self.lost and isinstance(self.asked[-1], link.ShortFrame):
            self._heard = b""
            self.waits.set()
            await asyncio.Future()
        return await super().read(timeout_s)


async def test_after_a_cancelled_read_no_old_telegram_is_taken(clock: ManualClock) -> None:
    """A port stays open, and the meter would repeat its last telegram for the same count bit."""
    slave = Slave(1, Identity("10203040", "INM", 1, 2), ElectricityRecords(Counting(), "10203040"))
    transport = Unheard(Bus([slave]))
    one = meter(line_through(transport), 1, clock)
    await one.read()
    transport.lost = True
    cancelled = asyncio.ensure_future(one.read())
    await transport.waits.wait()
    asked = len(transport.asked)
    cancelled.cancel()
    await asyncio.wait({cancelled})
    transport.lost = False
    await one.read()
    assert [frame.to_bytes()[1] for frame in transport.asked[asked:]] == [0x40, 0x7B]
