"""Byte pipes to the field: what a line needs of one, and TCP."""

import asyncio
import contextlib
import socket
from typing import Final, Protocol

from common.errors import Disconnected, NoAnswer, Unreachable

MAX_UNREAD: Final = 65_536
"""A peer that babbles without being asked is hung up on at this many bytes."""


class Transport(Protocol):
    """An open connection. ``is_open`` turns false when the far end hangs up.

    ``is_port`` says that it is a serial port: late bytes come all the same when it is closed
    and opened again, and its control lines may feed the level converter.
    """

    is_port: bool

    @property
    def is_open(self) -> bool: ...

    def write(self, data: bytes) -> None:
        """Send. Raises Unreachable when the connection is gone and nothing leaves."""

    async def read(self, timeout_s: float) -> bytes:
        """What has arrived, at least one byte. Raises NoAnswer or Disconnected."""

    async def discard(self) -> int:
        """Throw away what has arrived up to now; the number of bytes."""

    def close(self) -> None: ...


class Connect(Protocol):
    """Opens a transport. Raises Unreachable."""

    async def __call__(self, timeout_s: float) -> Transport: ...


class Inbox:
    """The receiving half of a transport: what has arrived, until somebody reads it."""

    def __init__(self) -> None:
        self._unread = bytearray()
        self._arrived = asyncio.Event()
        self._closed = False

    @property
    def is_open(self) -> bool:
        return not self._closed

    async def read(self, timeout_s: float) -> bytes:
        """What has arrived, at least one byte. Raises NoAnswer or Disconnected."""
        if not self._unread and not self._closed:
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
        if self._unread:
            return self._take()
        if self._closed:
            raise Disconnected("the far end hung up")
        raise NoAnswer(f"nothing came within {timeout_s:g} s")

    async def discard(self) -> int:
        """Throw away what has arrived up to now; the number of bytes."""
        # Two turns of the loop: the first lets it look at the socket, the second hands over.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return len(self._take())

    def close(self) -> None:
        """Hang up; what has arrived can still be read."""
        self._end()

    def _heard(self, data: bytes) -> None:
        self._unread += data
        self._arrived.set()
        if len(self._unread) > MAX_UNREAD:
            self.close()

    def _end(self) -> None:
        self._closed = True
        self._arrived.set()

    def _take(self) -> bytes:
        data = bytes(self._unread)
        self._unread.clear()
        return data


class TcpTransport(Inbox, asyncio.Protocol):
    """A TCP connection with TCP_NODELAY, so that a request leaves at once."""

    is_port = False

    def __init__(self) -> None:
        super().__init__()
        self._transport: asyncio.Transport | None = None

    def write(self, data: bytes) -> None:
        if self._transport is None or self._closed or self._transport.is_closing():
            raise Unreachable(
                "it hung up before anything was asked: another program may hold its only connection"
            )
        self._transport.write(data)

    def close(self) -> None:
        self._end()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows for the type checker
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._heard(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()


async def connect_tcp(host: str, port: int, timeout_s: float) -> TcpTransport:
    """Open a TCP connection. Raises Unreachable with the likely cause."""
    try:
        async with asyncio.timeout(timeout_s):
            _, transport = await asyncio.get_running_loop().create_connection(
                TcpTransport, host, port
            )
    except ConnectionRefusedError:
        raise Unreachable(
            f"{host} is there, but nothing listens on port {port}: wrong port, or no converter"
        ) from None
    except (OSError, TimeoutError) as error:
        reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or error
        raise Unreachable(f"no connection to {host} port {port}: {reason}") from None
    return transport
