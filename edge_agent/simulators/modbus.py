"""Simulated Modbus units on the wire: a Modbus TCP server."""

import asyncio
import contextlib
import struct
from collections.abc import Mapping

from edge_agent.simulators.modbus_unit import SimulatedModbusMeter

__all__ = ["ModbusServer", "SimulatedModbusMeter"]

NO_TARGET = 0x0B
MBAP = struct.Struct(">HHHB")
MAX_PDU = 253


class ModbusServer:
    """Serves units by number on one TCP port; port 0 takes a free one."""

    MAX_CONNECTIONS = 32

    def __init__(self, host: str, port: int, units: Mapping[int, SimulatedModbusMeter]) -> None:
        self._address = (host, port)
        self._units = units
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> int:
        """Listen, and give the port. OSError: the port cannot be had."""
        self._server = await asyncio.start_server(self.serve, *self._address)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await self._server.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, or a serial line, until its other end goes."""
        if len(self._writers) >= self.MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._exchange(reader, writer):
                    await writer.drain()
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False when the peer does not speak Modbus TCP."""
        transaction, protocol, length, unit = MBAP.unpack(await reader.readexactly(MBAP.size))
        if protocol != 0 or not 2 <= length <= 1 + MAX_PDU:
            return False
        pdu = await reader.readexactly(length - 1)
        meter = self._units.get(unit)
        answer = bytes((pdu[0] | 0x80, NO_TARGET)) if meter is None else meter.answer(pdu)
        writer.write(MBAP.pack(transaction, 0, 1 + len(answer), unit) + answer)
        return True
