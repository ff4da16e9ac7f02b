"""Opens a pymodbus client to where a Modbus URL leads, and says why when it cannot."""

import asyncio
import errno
import socket
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.framer import FramerType

from common.errors import Unreachable
from edge_agent.drivers.modbus_url import SerialPort, TcpPort

Client = AsyncModbusTcpClient | AsyncModbusSerialClient
WatchConnection = Callable[[bool], None]
WatchBytes = Callable[[bool, bytes], bytes]

NEVER_S = 3600.0
"""pymodbus's own time-out, after which it would close in its own way: the line's is earlier."""

MAX_UNREAD = 4096
"""Bytes that pymodbus keeps; by itself it throws all away when two long answers come at once."""

SERIAL_REASONS = {
    errno.ENOENT: "there is no such port: is the adapter plugged in?",
    errno.EACCES: "no permission to open the port: the user must be in its group (dialout)",
    errno.EAGAIN: "another program uses the port",
    errno.EBUSY: "another program uses the port",
}


async def connect(
    to: TcpPort | SerialPort, timeout_s: float, connection: WatchConnection, data: WatchBytes
) -> Client:
    """A connected client that shows its connection and its bytes to the two functions.

    A new client for each connection: what is left of an old one cannot reach the new one.
    Raises Unreachable with the reason.
    """
    if isinstance(to, TcpPort):
        return await _open(_tcp(to, connection, data), timeout_s, "")
    try:
        return await _open(_serial(to, connection, data), timeout_s, to.device)
    except termios.error as error:
        raise Unreachable(f"no connection: the port refuses {to.baud} {to.frame}") from error


async def _open(client: Client, timeout_s: float, device: str) -> Client:
    """``client``, connected. Raises Unreachable, and termios.error for refused settings."""
    client.ctx.max_buffer_size = MAX_UNREAD
    reasons: list[str] = []
    create = client.ctx.call_create

    async def noting() -> Any:
        try:
            return await create()
        except OSError as error:
            reasons.append(_reason(error, device))
            raise

    client.ctx.call_create = noting
    # A task of its own: pymodbus waits in a way that can swallow a cancellation.
    connecting = asyncio.ensure_future(client.connect())
    connected = False
    try:
        done, _ = await asyncio.wait({connecting}, timeout=timeout_s)
        connected = bool(done) and connecting.result()
    finally:
        if not connected:
            connecting.cancel()
            connecting.add_done_callback(lambda _: client.close())
    if not connected:
        reason = reasons[-1] if reasons else f"no answer within {timeout_s:g} s"
        raise Unreachable(f"no connection: {reason}")
    return client


def _reason(error: OSError, device: str) -> str:
    if device:
        return SERIAL_REASONS.get(error.errno or 0, str(error))
    if isinstance(error, ConnectionRefusedError):
        return "refused: nothing listens on that port"
    if isinstance(error, socket.gaierror):
        return "the host's name is not known"
    return error.strerror or str(error)


def _tcp(to: TcpPort, connection: WatchConnection, data: WatchBytes) -> Client:
    return AsyncModbusTcpClient(
        to.host,
        port=to.port,
        framer=FramerType.RTU if to.rtu else FramerType.SOCKET,
        timeout=NEVER_S,
        retries=0,
        reconnect_delay=0,
        trace_connect=connection,
        trace_packet=data,
    )


def _serial(to: SerialPort, connection: WatchConnection, data: WatchBytes) -> Client:
    # A Linux pty has no parity, and can refuse to be set to one with EINVAL (field.md §2).
    is_pseudo_terminal = str(Path(to.device).resolve()).startswith("/dev/pts/")
    return AsyncModbusSerialClient(
        to.device,
        baudrate=to.baud,
        parity="N" if is_pseudo_terminal else to.parity,
        stopbits=to.stop,
        timeout=NEVER_S,
        retries=0,
        reconnect_delay=0,
        trace_connect=connection,
        trace_packet=data,
    )
