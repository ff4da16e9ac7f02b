"""MQTT 3.1.1 in plain bytes: a publisher that costs little beside what it measures.

QoS 1 both ways, packets as in MQTT 3.1.1 (OASIS, 29 October 2014), chapter 3.
"""

import select
import socket
from collections.abc import Iterator
from itertools import count

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE = 0x10, 0x20, 0x32, 0x40, 0x82
SUBACK = 0x90
PROTOCOL = b"\x00\x04MQTT\x04\x02\x00\x00"
"""Version 4, clean session, no keep-alive."""

_AT_ONCE = 1 << 18


class Wire:
    """A connection to a broker on this machine; a context manager."""

    def __init__(self, port: int, client: str, *topics: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._out, self._in = bytearray(), bytearray()
        self._ids = count(1)
        self._send(CONNECT, PROTOCOL + _text(client))
        assert self._next()[0] == CONNACK
        for topic in topics:
            self._send(SUBSCRIBE, self._id() + _text(topic) + b"\x01")
            kind, body = self._next()
            assert (kind, body[2]) == (SUBACK, 1), "the subscription is refused"

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def publish(self, topic: str, payload: bytes) -> None:
        """Goes with the next ``exchange``."""
        self._packet(PUBLISH, _text(topic) + self._id() + payload)

    def exchange(self, patience_s: float) -> list[tuple[str, bytes]]:
        """Send what there is; topic and payload of what comes, nothing after ``patience_s``."""
        self._flush()
        if not select.select([self._socket], [], [], patience_s)[0]:
            return []
        self._receive()
        heard = []
        while packet := self._received():
            kind, body = packet
            if kind & 0xF0 == PUBLISH & 0xF0:
                start = 2 + int.from_bytes(body[:2])
                topic, quality = body[2:start].decode(), kind >> 1 & 3
                if quality:
                    self._packet(PUBACK, body[start : start + 2])
                    start += 2
                heard.append((topic, body[start:]))
        return heard

    def _id(self) -> bytes:
        return (next(self._ids) % 65_535 + 1).to_bytes(2)

    def _packet(self, kind: int, body: bytes) -> None:
        self._out += bytes((kind, *_length(len(body)))) + body

    def _send(self, kind: int, body: bytes) -> None:
        self._packet(kind, body)
        self._flush()

    def _flush(self) -> None:
        self._socket.sendall(self._out)
        self._out.clear()

    def _next(self) -> tuple[int, bytes]:
        while (packet := self._received()) is None:
            self._receive()
        return packet

    def _receive(self) -> None:
        received = self._socket.recv(_AT_ONCE)
        assert received, "the broker has closed the connection"
        self._in += received

    def _received(self) -> tuple[int, bytes] | None:
        """The next one that is whole: type with flags, and what follows the length."""
        length, shift, at = 0, 0, 1
        while at < len(self._in):
            length |= (self._in[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if self._in[at - 1] < 0x80:
                end = at + length
                if len(self._in) < end:
                    return None
                packet = self._in[0], bytes(self._in[at:end])
                del self._in[:end]
                return packet
        return None


def _length(size: int) -> Iterator[int]:
    """The remaining length (2.2.3): seven bits a byte, the lowest first."""
    while size > 0x7F:
        yield size & 0x7F | 0x80
        size >>= 7
    yield size


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2) + data
