"""Units with registers of a test's choice, behind TCP or RTU frames."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from edge_agent.simulators.modbus_rtu import ModbusRtuServer


class Registers:
    """Holding registers by address, and perhaps an identification; all else is refused."""

    def __init__(self, words: Mapping[int, int], objects: Mapping[int, str] | None = None) -> None:
        self.words = words
        self.objects = objects
        self.requests: list[bytes] = []

    def answer(self, pdu: bytes) -> bytes:
        self.requests.append(pdu)
        if pdu[0] == 0x2B and self.objects is not None:
            return self._identification(pdu[2], pdu[3])
        if pdu[0] != 3:
            return bytes((pdu[0] | 0x80, 1))
        address, count = struct.unpack(">HH", pdu[1:])
        own = [self.words.get(address + offset, -1) for offset in range(count)]
        if -1 in own:
            return bytes((0x83, 2))
        return struct.pack(f">BB{count}H", 3, 2 * count, *own)

    def _identification(self, category: int, first: int) -> bytes:
        """One object an answer, as small devices do it (V1.1b3 §6.21)."""
        assert self.objects is not None
        last = 2 if category == 1 else 6
        ids = [key for key in sorted(self.objects) if first <= key <= last]
        if not ids:
            return bytes((0xAB, 2))
        value = self.objects[ids[0]].encode()
        more = (0xFF, ids[1]) if len(ids) > 1 else (0, 0)
        return bytes((0x2B, 0x0E, category, 2, *more, 1, ids[0], len(value))) + value


Units = Mapping[int, Registers]


@asynccontextmanager
async def rtu_units(units: Units) -> AsyncIterator[str]:
    """The units behind RTU over TCP; gives the URL."""
    server = await asyncio.start_server(ModbusRtuServer(units).serve, "127.0.0.1", 0)
    async with server:
        yield f"rtu+tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def gateway(
    answer: Callable[[int, bytes], bytes | None], held: Callable[[int], int] = lambda _: 0
) -> AsyncIterator[str]:
    """A Modbus TCP gateway; ``answer(unit, pdu)`` gives a PDU, or None for silence.

    The answer for a unit is held back until ``held(unit)`` more requests have come, as by a gateway
    that is slow.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        late: list[tuple[int, bytes]] = []
        try:
            while True:
                head = await reader.readexactly(7)
                pdu = await reader.readexactly(int.from_bytes(head[4:6], "big") - 1)
                given = answer(head[6], pdu)
                late = [(left - 1, data) for left, data in late]
                for _, data in [one for one in late if one[0] <= 0]:
                    writer.write(data)
                late = [one for one in late if one[0] > 0]
                if given is not None:
                    size = (len(given) + 1).to_bytes(2, "big")
                    data = head[:4] + size + head[6:7] + given
                    if wait := held(head[6]):
                        late.append((wait, data))
                    else:
                        writer.write(data)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
