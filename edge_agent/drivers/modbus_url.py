"""Where a Modbus line leads, from its URL."""

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, urlsplit

from common.errors import ConfigError

PARITIES = ("N", "E", "O")
SERIAL_DEFAULTS = {"baud": "9600", "parity": "E", "stop": "1"}
"""Even parity is the standard's default (Modbus over serial line V1.02 §2.5.1)."""


@dataclass(frozen=True, slots=True)
class TcpPort:
    """Modbus TCP, or RTU frames over TCP as transparent serial servers carry them."""

    host: str
    port: int
    rtu: bool
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SerialPort:
    """RTU on a serial port, 8 data bits."""

    device: str
    baud: int
    parity: str
    stop: int
    rtu: bool = True

    @property
    def frame(self) -> str:
        """``8E1``."""
        return f"8{self.parity}{self.stop}"

    @property
    def pause_s(self) -> float:
        """Silence before a frame: 3.5 characters of 11 bits, 1.75 ms above 19200 baud (V1.02
        §2.5.1.1). Without it the other units take an answer and the next request for one frame."""
        return 1.75e-3 if self.baud > 19200 else 3.5 * 11 / self.baud


def parse_url(url: str) -> TcpPort | SerialPort:
    """``tcp://HOST:PORT``, ``rtu+tcp://HOST:PORT`` or
    ``serial:///dev/ttyUSB0?baud=9600&parity=E&stop=1``. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        return _serial(parts) if parts.scheme == "serial" else _tcp(parts)
    except ValueError as error:
        raise ConfigError(f"Modbus line {url!r}: {error}") from error


def _tcp(parts: SplitResult) -> TcpPort:
    if parts.scheme not in ("tcp", "rtu+tcp"):
        raise ValueError("expected tcp, rtu+tcp or serial")
    if not parts.hostname or not parts.port:
        raise ValueError("expected a host and a port")
    return TcpPort(parts.hostname, parts.port, rtu=parts.scheme == "rtu+tcp")


def _serial(parts: SplitResult) -> SerialPort:
    query = parse_qs(parts.query, strict_parsing=bool(parts.query))
    unknown = query.keys() - SERIAL_DEFAULTS.keys()
    if unknown:
        raise ValueError(f"{min(unknown)!r} is not one of {', '.join(SERIAL_DEFAULTS)}")
    baud, parity, stop = (
        query.get(name, [default])[-1] for name, default in SERIAL_DEFAULTS.items()
    )
    port = SerialPort(parts.path, int(baud), parity, int(stop))
    if not port.device or port.baud < 1 or parity not in PARITIES or port.stop not in (1, 2):
        raise ValueError("expected a device, a baud rate, parity N, E or O, 1 or 2 stop bits")
    return port
