"""TLS of a server that accepts many small connections, without asyncio's own.

asyncio keeps a buffer of 256 KiB for each TLS connection (``SSLProtocol.max_size``), and hides a
connection until its handshake is done. Here a connection costs what OpenSSL needs, and one
that never ends its handshake is counted and timed like any other.
"""

import contextlib
import ssl
from pathlib import Path

from common.errors import ConfigError, FrameError
from common.logs import events

RECORD = 22
"""The first byte that a TLS client sends: a handshake record (RFC 8446, 5.1)."""

_CHUNK = 16_384


class TlsFailed(FrameError):
    """What has arrived is no TLS, or not one that both sides can speak."""


class ServerCertificate:
    """Certificate chain and key in PEM files; when they change, the next handshake has the new.

    Raises ConfigError when they cannot be used at the beginning. Later, what cannot be used is
    logged, and what was used before stays.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        try:
            self._seen = self._stamps()
            self._context = self._load()
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{certificate}, {key}: cannot be used: {error}") from error

    def context(self) -> ssl.SSLContext:
        """For one handshake: TLS 1.2 or newer."""
        try:
            stamps = self._stamps()
            if stamps != self._seen:
                self._seen = stamps
                self._context = self._load()
                events.info("%s: the new certificate is in use", self._files[0])
        except (OSError, ssl.SSLError) as error:
            events.error("%s: the new certificate cannot be used: %s", self._files[0], error)
        return self._context

    def _stamps(self) -> tuple[tuple[int, int], ...]:
        stats = (path.stat() for path in self._files)
        return tuple((stat.st_mtime_ns, stat.st_ino) for stat in stats)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.load_cert_chain(*self._files)
        return context


class TlsServer:
    """The server's end of one TLS connection, as bytes in and bytes out.

    After each call, what ``outgoing`` gives is to be sent. The handshake has ``begun``, it is done
    (``established``), the client said farewell (``closed``).
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.begun = self.established = False
        self.closed = False

    def receive(self, data: bytes) -> bytes:
        """What is readable now, from bytes of the wire. Raises TlsFailed."""
        self._incoming.write(data)
        plain = bytearray()
        try:
            if not self.established:
                self.begun = True
                self._object.do_handshake()
                self.established = True
            while chunk := self._object.read(_CHUNK):
                plain += chunk
            self.closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        except ssl.SSLError as error:
            raise TlsFailed(error.reason or str(error)) from error
        return bytes(plain)

    def send(self, data: bytes) -> None:
        """Encrypt; only after the handshake."""
        self._object.write(data)

    def close(self) -> None:
        """Say farewell."""
        with contextlib.suppress(ssl.SSLError):
            self._object.unwrap()

    def outgoing(self) -> bytes:
        """Bytes for the wire."""
        return self._outgoing.read()
