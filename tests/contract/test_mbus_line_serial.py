"""M-Bus over serial ports: a pty, and a port server that nobody here wrote (pySerial's)."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import serial  # type: ignore[import-untyped]
from serial import rfc2217

from common.clock import ManualClock
from common.errors import ConfigError, NoAnswer, Retryable, Unreachable
from edge_agent.drivers import mbus_serial
from edge_agent.drivers.line import Line
from edge_agent.drivers.mbus import MbusMeter
from edge_agent.drivers.mbus_url import RemotePlace, SerialPlace, baud_rate, parse_url
from edge_agent.profiles.mbus import load_profile
from edge_agent.protocols.mbus.selection import parse_secondary
from edge_agent.simulators.faults import Troubles
from edge_agent.simulators.mbus import MbusConverter
from edge_agent.simulators.mbus_records import Divided, ElectricityRecords
from edge_agent.simulators.mbus_slave import Identity, Slave
from edge_agent.simulators.port import Pty, PtyPort
from edge_agent.simulators.wire import Wire
from tests.harness.eventually import eventually
from tests.harness.ports import free_port
from tests.unit.test_mbus_simulator import NOW_MS, Steady

CLOCK = ManualClock(NOW_MS)


def slave(address: int = 5, telegrams: int = 1) -> Slave:
    source = Divided(ElectricityRecords(Steady(), "10203040"), telegrams)
    return Slave(address, Identity("10203040", "INM", 1, 2), source)


def meter(
    line: Line, address: int | str = 5, timeout_s: float = 5.0, retries: int = 2
) -> MbusMeter:
    where = parse_secondary(address) if isinstance(address, str) else address
    profile = load_profile("mbus_electricity_3phase")
    return MbusMeter("m", line, where, profile, clock=CLOCK, timeout_s=timeout_s, retries=retries)


async def power(device: MbusMeter) -> object:
    return {one.key: one.value for one in (await device.read()).measured}["power"]


@asynccontextmanager
async def serial_bus(path: Path, *slaves: Slave) -> AsyncIterator[PtyPort]:
    converter = MbusConverter(slaves, CLOCK)
    port = PtyPort(Pty(path), converter.serve, Wire(Troubles("bus", CLOCK), CLOCK, "tests"))
    await port.start()
    try:
        yield port
    finally:
        await port.close()


@pytest.fixture
def tty(tmp_path: Path) -> Path:
    return tmp_path / "ttyMBUS"


async def test_meters_are_read_over_a_serial_port(tty: Path) -> None:
    async with serial_bus(tty, slave(5), slave(6, telegrams=3)):
        line = Line(f"serial://{tty}?baud=2400&parity=E&stop=1")
        for _ in range(2):
            assert await power(meter(line, 5)) == 5123
            assert await power(meter(line, 6)) == 5123
        assert line.connection == 1
        await line.close()


async def test_a_silent_meter_does_not_close_the_port_and_its_neighbour_is_read(tty: Path) -> None:
    async with serial_bus(tty, slave(5)):
        line = Line(f"serial://{tty}?baud=38400", quiet_s=0.01)
        with pytest.raises(NoAnswer):
            await meter(line, 77, timeout_s=0.01).read()
        assert await power(meter(line)) == 5123
        assert line.connection == 1
        await line.close()


async def test_an_adapter_that_is_unplugged_is_noticed_and_found_again(tty: Path) -> None:
    line = Line(f"serial://{tty}", quiet_s=0.01)
    device = meter(line, timeout_s=0.2)
    with pytest.raises(Unreachable, match="no such port; is the adapter plugged in"):
        await device.read()
    async with serial_bus(tty, slave()):
        assert await power(device) == 5123
    with pytest.raises(Retryable):
        await device.read()
    async with serial_bus(tty, slave()):
        assert await power(device) == 5123
    await line.close()


async def test_a_port_that_another_program_has_open_is_told(tty: Path) -> None:
    async with serial_bus(tty, slave()):
        first, second = Line(f"serial://{tty}"), Line(f"serial://{tty}")
        assert await power(meter(first)) == 5123
        with pytest.raises(Unreachable, match="another program has it open"):
            await meter(second).read()
        await first.close()
        assert await power(meter(second)) == 5123
        await second.close()


class WithoutModem(serial.Serial):  # type: ignore[misc]
    """A pty has no modem lines, and says so with errors."""

    cts = dsr = ri = cd = False

    def _update_dtr_state(self) -> None: ...

    def _update_rts_state(self) -> None: ...


class PortServer:
    """An RFC 2217 port server in front of a serial port, as in pySerial's own example."""

    def __init__(self, device: str) -> None:
        self.settings: list[tuple[int, str, int]] = []
        self._device = device
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ended = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        self._listener.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while not self._ended.is_set():
                connection, _ = self._listener.accept()
                with connection, WithoutModem(self._device, timeout=0.02) as port:
                    self._serve(connection, port)

    def _serve(self, connection: socket.socket, port: serial.Serial) -> None:
        lock = threading.Lock()

        class Connection:
            def write(self, data: bytes) -> None:
                with lock:
                    connection.sendall(data)

        manager = rfc2217.PortManager(port, Connection())
        gone = threading.Event()

        def to_master() -> None:
            with contextlib.suppress(OSError):
                while not (gone.is_set() or self._ended.is_set()):
                    data = port.read(port.in_waiting or 1)
                    Connection().write(b"".join(manager.escape(data)))

        pump = threading.Thread(target=to_master, daemon=True)
        pump.start()
        with contextlib.suppress(OSError):
            while data := connection.recv(1024):
                port.write(b"".join(manager.filter(data)))
        self.settings.append((port.baudrate, port.parity, port.stopbits))
        gone.set()
        pump.join()


@contextmanager
def port_server(device: Path) -> Iterator[PortServer]:
    server = PortServer(str(device))
    try:
        yield server
    finally:
        server.close()


async def test_meters_are_read_over_a_port_server(tty: Path) -> None:
    async with serial_bus(tty, slave(5, telegrams=3)):
        with port_server(tty) as server:
            line = Line(f"rfc2217://127.0.0.1:{server.port}?baud=9600&parity=N&stop=1")
            assert line.baud == 9600
            for device in (meter(line), meter(line, "10203040"), meter(line)):
                assert await power(device) == 5123
            with pytest.raises(NoAnswer):
                await meter(line, 77, timeout_s=0.05, retries=0).read()
            assert await power(meter(line)) == 5123
            assert line.connection == 1
            await line.close()
            heard = await asyncio.to_thread(eventually, lambda: server.settings)
            assert heard == [(9600, "N", 1)]


async def test_a_port_server_is_left_at_once_for_it_may_take_one_client_only(
    tty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mbus_serial, "LOOK_S", 60.0)
    async with serial_bus(tty, slave()):
        with port_server(tty) as server:
            line = Line(f"rfc2217://127.0.0.1:{server.port}?parity=N")
            assert await power(meter(line)) == 5123
            await line.close()
            await asyncio.to_thread(eventually, lambda: server.settings, what="the server is free")


async def test_a_port_server_that_goes_away_is_noticed(tty: Path) -> None:
    async with serial_bus(tty, slave()):
        with port_server(tty) as server:
            line = Line(f"rfc2217://127.0.0.1:{server.port}?parity=N")
            assert await power(meter(line)) == 5123
        await line.close()
    line = Line(f"rfc2217://127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable, match="cannot be opened"):
        await meter(line).read()


async def test_what_is_no_port_server_is_unreachable() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line = Line(f"rfc2217://127.0.0.1:{port}", connect_timeout_s=0.1)
    with pytest.raises(Unreachable, match="no answer"):
        await meter(line).read()
    server.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("serial://", "expected tcp://HOST:PORT, serial:///dev/"),
        ("serial://ttyUSB0", "expected tcp://HOST:PORT, serial:///dev/"),
        ("serial:///dev/ttyUSB0?baud=1234", "baud 1234: expected one of 300, 600"),
        ("serial:///dev/ttyUSB0?parity=X", "expected parity N, E or O"),
        ("serial:///dev/ttyUSB0?stop=3", "1 or 2 stop bits"),
        ("serial:///dev/ttyUSB0?speed=9600", "'speed' is not one of baud, parity, stop"),
        ("rfc2217://host", "expected tcp://HOST:PORT"),
        ("rfc2217://host:1?baud=x", "baud x: expected one of"),
        ("rfc2217://host:1/path", "expected tcp://HOST:PORT"),
        ("tcp://host:1?baud=2400", "expected tcp://HOST:PORT"),
    ],
)
def test_a_wrong_url_says_what_is_expected(url: str, reason: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Line(url)
    assert str(raised.value).startswith(f"line {url!r}: ")
    assert reason in str(raised.value)


def test_a_serial_url_says_how_the_port_is_set() -> None:
    place = parse_url("serial:///dev/ttyUSB0")
    assert isinstance(place, SerialPlace)
    assert place.device == "/dev/ttyUSB0"
    assert (place.settings.baud, place.settings.parity, place.settings.stop) == (2400, "E", 1)
    remote = parse_url("rfc2217://moxa:4001?baud=300&parity=N&stop=2")
    assert isinstance(remote, RemotePlace)
    assert (remote.host, remote.port, baud_rate(remote)) == ("moxa", 4001, 300)
    assert (remote.settings.parity, remote.settings.stop) == ("N", 2)
    assert baud_rate(parse_url("tcp://converter:10001")) is None


def test_at_a_slow_baud_rate_no_meter_is_given_less_than_it_may_take() -> None:
    line = Line("serial:///dev/ttyUSB0?baud=300")
    assert line.latest_s == pytest.approx(1.15)
    assert Line("tcp://converter:1").latest_s == pytest.approx(0.1875)
