"""A TCP peer that answers each request with the bytes that a test gives it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

MBAP_BYTES = 7
Reply = Callable[[bytes], bytes | None]


class Peer:
    """``reply`` turns a whole request into raw bytes; None hangs up, empty bytes say nothing."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.requests: list[bytes] = []
        self.connections = 0
        self.asked = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while True:
                head = await reader.readexactly(MBAP_BYTES)
                request = head + await reader.readexactly(int.from_bytes(head[4:6], "big") - 1)
                self.requests.append(request)
                self.asked.set()
                answer = self.reply(request)
                if answer is None:
                    break
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def say(self, data: bytes) -> None:
        """Send something on the latest connection, unasked."""
        self._writers[-1].write(data)

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def peer(reply: Reply) -> AsyncIterator[tuple[Peer, str]]:
    """A peer on a free port, and the URL under which it is reached."""
    one = Peer(reply)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    try:
        yield one, f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        one.hang_up()
        await server.wait_closed()


def frame(request: bytes, pdu: bytes, *, transaction: int | None = None) -> bytes:
    """A frame that answers ``request`` with ``pdu``, whatever is in it."""
    number = request[:2] if transaction is None else transaction.to_bytes(2, "big")
    return number + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + request[6:7] + pdu


def zeros(request: bytes) -> bytes:
    """The right answer to a read of registers, all of them 0."""
    count = int.from_bytes(request[10:12], "big")
    return frame(request, bytes((request[7], 2 * count)) + bytes(2 * count))


def crc(data: bytes) -> bytes:
    """The checksum of a frame on a serial line (V1.02 §6.2.2), bit by bit."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")


def rtu(pdu: str, unit: int = 1) -> bytes:
    """A frame on a serial line: unit, PDU, checksum."""
    data = bytes((unit,)) + bytes.fromhex(pdu)
    return data + crc(data)


def registers(request: bytes, *words: int) -> bytes:
    """The RTU answer to a read with these words, or with zeros, as many as were asked for."""
    count = int.from_bytes(request[4:6], "big")
    words = words or (0,) * count
    text = "".join(f"{word:04x}" for word in words)
    return rtu(f"{request[1]:02x}{2 * len(words):02x}{text}", request[0])


class RtuPeer(Peer):
    """The far end of a serial line: requests of eight bytes, which reads and short writes have."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while True:
                request = await reader.readexactly(8)
                self.requests.append(request)
                self.asked.set()
                answer = self.reply(request)
                if answer is None:
                    break
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def rtu_peer(reply: Reply) -> AsyncIterator[tuple[RtuPeer, str]]:
    """As ``peer``, with RTU frames over TCP."""
    one = RtuPeer(reply)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    try:
        yield one, f"rtu+tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        one.hang_up()
        await server.wait_closed()
