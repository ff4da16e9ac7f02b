"""A second opinion: pyMeterBus reads our telegrams as we mean them.

A frame whose length is 44 hex it takes for a wireless one: profiles' telegrams avoid that.
"""

import asyncio
from decimal import Decimal

import meterbus
import pytest
import serial  # type: ignore[import-untyped]

from common.clock import ManualClock
from edge_agent.profiles.mbus import load_profile, profile_names
from edge_agent.protocols.mbus import encode
from edge_agent.protocols.mbus.telegram import decode_frame
from edge_agent.simulators.mbus import MbusConverter
from edge_agent.simulators.mbus_records import ElectricityRecords
from edge_agent.simulators.mbus_slave import Identity, Slave
from tests.unit.test_mbus_simulator import NOW_MS, Steady


def simulated_meter() -> Slave:
    source = ElectricityRecords(Steady(), "10203040")
    return Slave(5, Identity("10203040", "INM", 1, 2), source)


def simulated() -> bytes:
    return simulated_meter().answer(encode.req_ud2(5, fcb=True), NOW_MS)


@pytest.mark.parametrize("name", ["simulated", *profile_names()])
def test_a_foreign_decoder_reads_the_same_values(name: str) -> None:
    frame = (
        simulated() if name == "simulated" else bytes.fromhex(load_profile(name).recorded.telegram)
    )
    ours = decode_frame(frame)
    theirs = meterbus.load(frame).records
    assert len(theirs) == len(ours.records)
    for own, foreign in zip(ours.records, theirs, strict=True):
        if isinstance(own.value, Decimal):
            assert abs(Decimal(str(foreign.value)) - own.value) < Decimal("0.000001")
        else:
            assert str(own.value).startswith(str(foreign.value))
        seen = foreign.interpreted
        assert seen["storage_number"] == own.storage
        assert seen.get("tariff", 0) == own.tariff


@pytest.mark.parametrize("address", [0, 5, 250, 254])
def test_a_foreign_decoder_understands_our_requests(address: int) -> None:
    for request in (
        encode.snd_nke(address),
        encode.req_ud2(address, fcb=True),
        encode.req_ud2(address, fcb=False),
    ):
        assert bytes(meterbus.load(request.to_bytes())) == request.to_bytes()


def read_with_foreign_master(port: int) -> list[bytes]:
    """Ping, two reads and a ping of nobody, with pyMeterBus's functions over pySerial."""
    with serial.serial_for_url(f"socket://127.0.0.1:{port}", timeout=1) as bus:
        meterbus.send_ping_frame(bus, 5)
        heard = [meterbus.recv_frame(bus, 1)]
        for _ in range(2):
            meterbus.send_request_frame(bus, 5)
            heard.append(meterbus.recv_frame(bus, meterbus.FRAME_DATA_LENGTH))
        bus.timeout = 0.1
        meterbus.send_ping_frame(bus, 6)
        heard.append(meterbus.recv_frame(bus, 1) or b"")
        return heard


def read_selected_with_foreign_master(port: int) -> list[bytes]:
    """Select by a mask that fits, and read; then by one that does not."""
    with serial.serial_for_url(f"socket://127.0.0.1:{port}", timeout=1) as bus:
        meterbus.send_select_frame(bus, "1020FFFFCD25FFFF")
        heard = [meterbus.recv_frame(bus, 1)]
        meterbus.send_request_frame(bus, meterbus.ADDRESS_NETWORK_LAYER)
        heard.append(meterbus.recv_frame(bus, meterbus.FRAME_DATA_LENGTH))
        bus.timeout = 0.1
        meterbus.send_select_frame(bus, "1021FFFFFFFFFFFF")
        heard.append(meterbus.recv_frame(bus, 1) or b"")
        meterbus.send_request_frame(bus, meterbus.ADDRESS_NETWORK_LAYER)
        heard.append(meterbus.recv_frame(bus, 1) or b"")
        return heard


async def test_a_foreign_master_selects_by_secondary_address() -> None:
    converter = MbusConverter([simulated_meter()], ManualClock(NOW_MS))
    port = await converter.start()
    try:
        heard = await asyncio.to_thread(read_selected_with_foreign_master, port)
    finally:
        await converter.close()
    ack, telegram, nobody, silence = heard
    assert isinstance(meterbus.load(ack), meterbus.TelegramACK)
    assert meterbus.load(telegram).records[1].value == 1_234_567_891
    assert (nobody, silence) == (b"", b"")


async def test_a_foreign_master_reads_the_simulated_converter() -> None:
    converter = MbusConverter([simulated_meter()], ManualClock(NOW_MS))
    port = await converter.start()
    try:
        ack, first, second, nobody = await asyncio.to_thread(read_with_foreign_master, port)
    finally:
        await converter.close()
    assert isinstance(meterbus.load(ack), meterbus.TelegramACK)
    for answer in (first, second):
        telegram = meterbus.load(answer)
        assert telegram.header.aField.parts == [5]
        assert telegram.records[1].value == 1_234_567_891
    assert nobody == b""
