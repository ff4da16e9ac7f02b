"""Where an M-Bus line leads, from its URL."""

from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from common.errors import ConfigError
from edge_agent.drivers.transport import Connect, Transport, connect_tcp

EXPECTED: Final = (
    "expected tcp://HOST:PORT, serial:///dev/ttyUSB0?baud=2400&parity=E&stop=1 "
    "or rfc2217://HOST:PORT?baud=2400&parity=E&stop=1"
)
BAUD_RATES: Final = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400)
"""EN 13757-2, 5.2; meters come with 2400."""
DEFAULTS: Final = {"baud": "2400", "parity": "E", "stop": "1"}
PARITIES: Final = ("N", "E", "O")


@dataclass(frozen=True, slots=True)
class Port:
    """How a serial port is set; M-Bus is 8E1 (EN 13757-2, 5.3), some converters want 8N1."""

    baud: int
    parity: str
    stop: int


@dataclass(frozen=True, slots=True)
class TcpPlace:
    """A transparent converter; only itself knows its baud rate."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class SerialPlace:
    """A serial port of this computer."""

    device: str
    settings: Port


@dataclass(frozen=True, slots=True)
class RemotePlace:
    """A serial port of a port server (RFC 2217)."""

    host: str
    port: int
    settings: Port


Place = TcpPlace | SerialPlace | RemotePlace


def parse_url(url: str) -> Place:
    """Where the line leads. Raises ConfigError with what was expected."""
    try:
        place = _place(urlsplit(url))
    except ValueError as error:
        raise ConfigError(f"line {url!r}: {error}") from None
    if place is None:
        raise ConfigError(f"line {url!r}: {EXPECTED}")
    return place


def _place(parts: SplitResult) -> Place | None:
    host, port = parts.hostname, parts.port
    match parts.scheme:
        case "tcp" if host and port and not parts.path and not parts.query:
            return TcpPlace(host, port)
        case "serial" if parts.path and not parts.netloc:
            return SerialPlace(parts.path, _port(parts))
        case "rfc2217" if host and port and not parts.path:
            return RemotePlace(host, port, _port(parts))
    return None


def _port(parts: SplitResult) -> Port:
    query = parse_qs(parts.query, strict_parsing=bool(parts.query))
    unknown = query.keys() - DEFAULTS.keys()
    if unknown:
        raise ValueError(f"{min(unknown)!r} is not one of {', '.join(DEFAULTS)}")
    baud, parity, stop = (query.get(name, [default])[-1] for name, default in DEFAULTS.items())
    if baud not in map(str, BAUD_RATES):
        raise ValueError(f"baud {baud}: expected one of {', '.join(map(str, BAUD_RATES))}")
    if parity not in PARITIES or stop not in ("1", "2"):
        raise ValueError("expected parity N, E or O, and 1 or 2 stop bits")
    return Port(int(baud), parity, int(stop))


def baud_rate(place: Place) -> int | None:
    """Bits a second on the wire; None where only the converter knows."""
    return None if isinstance(place, TcpPlace) else place.settings.baud


def connector(place: Place) -> Connect:
    """What opens the line."""
    if isinstance(place, TcpPlace):
        return partial(connect_tcp, place.host, place.port)
    return partial(_open_port, place)


async def _open_port(place: SerialPlace | RemotePlace, timeout_s: float) -> Transport:
    # A gateway whose lines are all TCP does without pyserial.
    from edge_agent.drivers import mbus_serial

    if isinstance(place, SerialPlace):
        return await mbus_serial.open_serial(place, timeout_s)
    return await mbus_serial.open_remote(place, timeout_s)
