"""Byte pipes to the field: today TCP; a serial port has the same shape."""

import asyncio
import contextlib
import socket
from typing import Final, Protocol
from urllib.parse import urlsplit

from common.errors import ConfigError, Disconnected, NoAnswer, Unreachable

MAX_UNREAD: Final = 65_536
"""A peer that babbles without being asked is hung up on at this many bytes."""


class Transport(Protocol):
    """An open connection. ``is_open`` turns false when the far end hangs up."""

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


class TcpTransport(asyncio.Protocol):
    """A TCP connection with TCP_NODELAY, so that a request leaves at once."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._arrived = asyncio.Event()
        self._closed = False

    @property
    def is_open(self) -> bool:
        return not self._closed

    def write(self, data: bytes) -> None:
        if self._transport is None or self._closed or self._transport.is_closing():
            raise Unreachable("the connection was closed")
        self._transport.write(data)

    async def read(self, timeout_s: float) -> bytes:
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
        # Two turns of the loop: the first lets it look at the socket, the second hands over.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return len(self._take())

    def close(self) -> None:
        self._closed = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows for the type checker
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        self._arrived.set()
        if len(self._unread) > MAX_UNREAD:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._arrived.set()

    def _take(self) -> bytes:
        data = bytes(self._unread)
        self._unread.clear()
        return data


def connector(url: str) -> Connect:
    """What opens ``tcp://host:port``. Raises ConfigError for anything else."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"line {url!r}: {error}") from None
    if parts.scheme != "tcp" or not host or not port or parts.path or parts.query:
        raise ConfigError(f"line {url!r}: expected tcp://HOST:PORT")

    async def connect(timeout_s: float) -> Transport:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                _, transport = await loop.create_connection(TcpTransport, host, port)
        except (OSError, TimeoutError) as error:
            reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or error
            raise Unreachable(f"{url}: no connection: {reason}") from None
        return transport

    return connect
