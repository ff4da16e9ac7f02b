"""One accepted connection of the communication server: bytes in, bytes out, in the clear or TLS."""

import asyncio
import ipaddress
import logging
from collections.abc import Callable
from typing import Protocol, cast

from common.logs import wire
from edge_agent.drivers.c11do1eth_limits import Limits
from edge_agent.drivers.tls import RECORD, TlsFailed, TlsServer

MODULES_FIRST_BYTE = ord("$")


class Listener(Protocol):
    """Who takes what arrives. ``lost``: nothing more can be sent."""

    def received(self, data: bytes) -> None: ...

    def hung_up(self) -> None: ...

    def lost(self, why: str) -> None: ...

    def not_understood(self, why: str) -> None: ...


class Wire(asyncio.BufferedProtocol):
    """A socket and, with ``tls``, its encryption. ``begin`` gives the listener, or None: go away.

    ``buffer`` is shared by all connections of a server; it bounds what one of them may bring
    before it is the others' turn.
    """

    def __init__(
        self,
        buffer: bytearray,
        tls: TlsServer | None,
        begin: Callable[["Wire"], Listener | None],
    ) -> None:
        self._buffer = buffer
        self._tls = tls
        self._begin = begin
        self._fresh = True
        self._reading = True
        self._aborted = ""
        self._transport: asyncio.Transport | None = None
        self._listener: Listener | None = None

    # -- for the session

    @property
    def address(self) -> str:
        """Where the connection comes from, as host:port."""
        host, port, *_ = self._peer()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def origin(self) -> str:
        """Whose connection it is: the IPv4 address, or the /64 that an IPv6 host has for itself."""
        host = self._peer()[0].partition("%")[0]
        if ":" not in host:
            return host
        return str(ipaddress.IPv6Network((host, 64), strict=False))

    @property
    def closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._transport is None or self._transport.is_closing()

    def send(self, data: bytes) -> None:
        """Send without waiting; who does not read what he is sent is hung up on."""
        if self._transport is None or self._transport.is_closing():
            return
        self._log("<", data)
        if self._tls:
            self._tls.send(data)
            data = self._tls.outgoing()
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > Limits.UNSENT_BYTES:
            self._aborted = "it does not read what it is sent"
            self._transport.abort()

    def read(self, reading: bool) -> None:
        """Go on reading, or pause: what comes meanwhile waits in the network."""
        if self._transport is None or reading == self._reading or self._transport.is_closing():
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def close(self) -> None:
        """Hang up; what was not taken from us by now is lost."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._tls:
            self._tls.close()
            self._transport.write(self._tls.outgoing())
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    # -- for asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._listener = self._begin(self)
        if self._listener is None:
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(memoryview(self._buffer)[:nbytes])
        if self._listener is None:
            return
        fresh, self._fresh = self._fresh, False
        if fresh and self._tls and data[0] == MODULES_FIRST_BYTE:
            self._listener.not_understood("it speaks plain text to a port with TLS")
        elif fresh and not self._tls and data[0] == RECORD:
            self._listener.not_understood("it speaks TLS to a port without")
        elif self._tls:
            self._decrypt(self._tls, self._listener, data)
        else:
            self._log(">", data)
            self._listener.received(data)

    def _decrypt(self, tls: TlsServer, listener: Listener, data: bytes) -> None:
        failure = ""
        try:
            data = tls.receive(data)
        except TlsFailed as error:
            failure = f"TLS failed: {error}"
        if (out := tls.outgoing()) and self._transport:
            self._transport.write(out)
        if failure:
            listener.not_understood(failure)
            return
        if data:
            self._log(">", data)
            listener.received(data)
        if tls.closed:
            listener.hung_up()

    def eof_received(self) -> bool:
        if self._listener:
            self._tell_broken_off(self._listener)
            self._listener.hung_up()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._listener:
            self._tell_broken_off(self._listener)
            self._listener.lost(str(exc or self._aborted or "closed"))
        self._listener = None

    def _tell_broken_off(self, listener: Listener) -> None:
        if self._tls and self._tls.begun and not self._tls.established:
            listener.not_understood("it broke off the TLS handshake: does it trust us?")

    def _log(self, direction: str, data: bytes) -> None:
        if wire.isEnabledFor(logging.DEBUG):
            wire.debug("%s %s %s", self.address, direction, data.hex())

    def _peer(self) -> tuple[str, int]:
        peer = self._transport.get_extra_info("peername") if self._transport else None
        return peer[:2] if peer else ("?", 0)
