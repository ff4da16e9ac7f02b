"""Simulated Modbus meters behind RTU frames: on a serial line, or on TCP as converters carry it."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final, Protocol

from edge_agent.protocols.modbus_pdu import WRITE_COIL, WRITE_REGISTERS
from edge_agent.protocols.modbus_rtu import MAX_FRAME_BYTES, frame, take_request

PAUSE_S: Final = 1.0
"""Bytes before such a pause belong to no later request. V1.02 §2.5.1.1 ends a frame after 3.5
characters; converters and pseudo-terminals keep no such time."""

BROADCAST = 0


class Unit(Protocol):
    """What answers one request: function code and data, without unit and checksum."""

    def answer(self, pdu: bytes) -> bytes: ...


class ModbusRtuServer:
    """Units by number on one line. Nobody answers for a number that is not there (V1.02 §2.2).

    A broadcast (number 0) is carried out by all if it writes, and answered by none (§2.1).
    ``units`` is looked at anew for each request.
    """

    def __init__(self, units: Mapping[int, Unit]) -> None:
        self._units = units

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, or a serial line, until its other end goes."""
        with contextlib.suppress(ConnectionError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        heard, heard_at = b"", loop.time()
        while data := await reader.read(MAX_FRAME_BYTES):
            if loop.time() - heard_at > PAUSE_S:
                heard = b""
            heard_at = loop.time()
            heard += data
            while (request := take_request(heard)) is not None:
                unit, pdu, size = request
                heard = heard[size:]
                answer = self._answer(unit, pdu)
                if answer:
                    writer.write(answer)
                    await writer.drain()
            heard = heard[-MAX_FRAME_BYTES:]

    def _answer(self, number: int, pdu: bytes) -> bytes:
        if number == BROADCAST:
            if WRITE_COIL <= pdu[0] <= WRITE_REGISTERS:
                for unit in self._units.values():
                    unit.answer(pdu)
            return b""
        if number not in self._units:
            return b""
        return frame(number, self._units[number].answer(pdu))
