"""What passes between pymodbus and the wire: logged, and only what answers is let through."""

import asyncio
from collections.abc import Callable

from common.errors import FrameError
from common.logs import wire
from edge_agent.protocols import modbus_rtu, modbus_tcp


class Tap:
    """``trace_packet`` of a pymodbus client.

    pymodbus takes what it is given for the answer, and what it cannot decode ends in the event
    loop's error handler: so it gets the one frame that answers its request, and nothing else.
    ``sent`` is the last request, ``received`` what has come since; ``refuse`` is called with the
    reason when that cannot become an answer any more. ``heard`` is set whenever something comes.
    """

    def __init__(self, url: str, *, rtu: bool, refuse: Callable[[str], None]) -> None:
        self.sent = b""
        self.received = b""
        self.heard = asyncio.Event()
        self._url = url
        self._rtu = rtu
        self._refuse = refuse
        self._echoes = False
        self._waiting = False
        self._kept = 0

    def watch(self, sending: bool, data: bytes) -> bytes:
        """What is to go on. Receiving, ``data`` has all that pymodbus has not been given yet."""
        if sending:
            wire.debug("%s > %s", self._url, data.hex(" "))
            self.sent, self.received, self._kept, self._waiting = data, b"", 0, True
            return data
        fresh = data[self._kept :] or data
        wire.debug("%s < %s", self._url, fresh.hex(" "))
        self.heard.set()
        self._kept = len(data)
        if not self._waiting:
            return b""
        self.received = data
        try:
            found = self._find_answer()
        except FrameError as error:
            self.stop()
            self._refuse(str(error))
            return b""
        if found is None:
            return b""
        self.stop()
        self._kept = len(data) - len(found)
        return found

    def stop(self) -> None:
        """Nobody waits for an answer any more."""
        self._waiting = False

    def others(self) -> set[int]:
        """Units of whose answers there are some in ``received``, though another was asked."""
        find = modbus_rtu.strangers if self._rtu else modbus_tcp.strangers
        return set(find(self.received, self.sent))

    def _find_answer(self) -> bytes | None:
        if not self._rtu:
            return modbus_tcp.find_answer(self.received, self.sent)
        self._echoes = self._echoes or modbus_rtu.is_echoed(self.received, self.sent)
        return modbus_rtu.find_answer(self.received, self.sent, echoes=self._echoes)
