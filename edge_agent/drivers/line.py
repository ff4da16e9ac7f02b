"""A line: one connection shared by the devices behind it, one exchange at a time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from common.errors import Disconnected, FrameError, NoAnswer, Retryable, Unreachable
from common.logs import wire
from edge_agent.drivers.mbus_url import baud_rate, connector, parse_url
from edge_agent.drivers.transport import Connect, Transport
from edge_agent.drivers.turns import Turns

Answer = TypeVar("Answer")
Accept = Callable[[bytes], tuple[Answer | None, int] | None]
"""Looks at the bytes received so far. None: more are needed. ``(answer, n)``: the first n bytes
are the answer. ``(None, n)``: they are none of ours, pass over them. FrameError: they are bad."""

MAX_ANSWER: Final = 4096
PATIENCE: Final = 5
"""An answer may take this many time-outs in all, if it never pauses for as long as one."""
MAX_DRAIN_S: Final = 1.0
MAX_LISTEN_S: Final = 12.0
"""What comes once is listened to for so long: the longest frame at 300 baud takes 10 s."""
PORT_PATIENCE: Final = 10
"""A serial port is opened anew after so many failures one after another."""
CHARACTER_BITS: Final = 11
LATEST_BITS: Final = 330
LATEST_S: Final = 0.05
"""A slave answers within 330 bit times and 50 ms (EN 13757-2; field.md, section 2)."""
USUAL_BAUD: Final = 2400
"""That of a bus behind a converter, which does not tell; meters come with it."""


class Line:
    """Asks and answers over one connection, which opens when it is needed.

    ``url`` as in ``parse_url``. A device takes its turn (``async with line.turn()``) and may
    then make several exchanges that nobody gets in between; orders come before polls.

    A late answer is never taken for the next one. Behind a gateway that answers the connection
    which asked, it dies with the connection: after any failed exchange the line hangs up.
    A transparent converter would send it into the new connection: so the next exchange first
    listens until the line has been silent for ``quiet_s``, and ``accept`` passes over answers
    of others. Stale bytes are thrown away before each request for the same reason. A serial
    port stays open: closing it would not rid us of late bytes.

    ``connection`` counts the connections: devices that keep state with their peer compare it.
    ``echoes`` says that the line may repeat what was sent (level converters do), which is then
    noticed and dropped; it must be False where a device's answer can equal the request.
    Time-outs count from the end of a request: at a known baud rate its own time on the wire is
    added, and no slave is given less than the 330 bit times and 50 ms that it may take.
    """

    def __init__(
        self,
        url: str,
        *,
        connect: Connect | None = None,
        connect_timeout_s: float = 5.0,
        quiet_s: float = 0.1,
        echoes: bool = True,
    ) -> None:
        place = parse_url(url)
        self.url = url
        self.baud = baud_rate(place)
        self.connection = 0
        self.turns = Turns()
        self._connect = connect or connector(place)
        self._connect_timeout_s = connect_timeout_s
        self._quiet_s = quiet_s
        self._echoes = echoes
        self._transport: Transport | None = None
        self._suspicious = False
        self._failures = 0

    @property
    def latest_s(self) -> float:
        """How long a slave may take to answer (see LATEST_S)."""
        return LATEST_BITS / (self.baud or USUAL_BAUD) + LATEST_S

    @asynccontextmanager
    async def turn(self, *, order: bool = False) -> AsyncIterator["Turn"]:
        """Have the line for oneself; orders before polls, else whoever came first."""
        async with self.turns.turn(order=order):
            yield Turn(self)

    async def exchange(self, request: bytes, accept: Accept[Answer], timeout_s: float) -> Answer:
        """One exchange in a turn of its own; as ``Turn.exchange``."""
        async with self.turn() as turn:
            return await turn.exchange(request, accept, timeout_s)

    async def ready(self) -> None:
        """Have done now, after a failure, what would delay the next exchange: connect, and let
        late bytes pass. Raises Unreachable."""
        async with self.turns.turn():
            await self._ready()

    async def close(self) -> None:
        """Hang up once the turn under way is over; the next one would connect again."""
        async with self.turns.turn(order=True):
            self._hang_up()

    async def _ready(self) -> Transport:
        transport = self._transport
        if transport is not None:
            await transport.discard()
        if transport is None or not transport.is_open:
            self._hang_up()
            try:
                transport = await self._connect(self._connect_timeout_s)
            except Unreachable as error:
                raise Unreachable(f"{self.url}: {error}") from None
            self._transport = transport
            self.connection += 1
        if self._suspicious:
            await self._drain(transport)
        return transport

    async def _drain(self, transport: Transport) -> None:
        """Listen until nothing comes any more, so that a late answer has gone by."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + MAX_DRAIN_S
        try:
            while loop.time() < ends_at:
                self._log("<", await transport.read(self._quiet_s))
        except NoAnswer:
            self._suspicious = False
        except Disconnected as error:
            self._hang_up()
            raise Unreachable(f"{self.url}: {error}") from None

    def _send(self, transport: Transport, request: bytes) -> None:
        self._log(">", request)
        transport.write(request)

    async def _hear(self, transport: Transport, timeout_s: float) -> bytes:
        data = await transport.read(timeout_s)
        self._log("<", data)
        return data

    def _patience_s(self, request: bytes, timeout_s: float) -> float:
        """How long the first byte of an answer may take."""
        if self.baud is None:
            return timeout_s
        return max(timeout_s, self.latest_s) + len(request) * CHARACTER_BITS / self.baud

    def _settle(self, transport: Transport, good: bool) -> None:
        """After an exchange: what a failure, or a cancellation, leaves behind is dealt with."""
        if good:
            self._failures = 0
            return
        self._failures += 1
        self._suspicious = True
        if not transport.is_port or self._failures % PORT_PATIENCE == 0:
            self._hang_up()

    def _log(self, direction: str, data: bytes) -> None:
        if wire.isEnabledFor(logging.DEBUG):
            wire.debug("%s %s %s", self.url, direction, data.hex(" "))

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None


class Turn:
    """A line while one device has it."""

    def __init__(self, line: Line) -> None:
        self._line = line

    @property
    def connection(self) -> int:
        """Which connection of the line this is; devices that keep state with it compare it."""
        return self._line.connection

    @property
    def baud(self) -> int | None:
        """The line's baud rate; None where a converter has its own."""
        return self._line.baud

    async def exchange(self, request: bytes, accept: Accept[Answer], timeout_s: float) -> Answer:
        """Send a request and wait for the answer that ``accept`` takes.

        ``timeout_s`` is the longest silence. Raises Unreachable when nothing was sent;
        NoAnswer, Disconnected and FrameError afterwards.
        """
        line = self._line
        transport = await line._ready()
        answered = False
        try:
            line._send(transport, request)
            answer = await self._receive(transport, request, accept, timeout_s)
            answered = True
        except Retryable as error:
            raise type(error)(f"{line.url}: {error}") from None
        finally:
            # Also when cancelled: an answer may still be under way.
            line._settle(transport, good=answered)
        return answer

    async def listen(
        self,
        request: bytes,
        window_s: float,
        quiet_s: float,
        is_cut_off: Callable[[bytes], bool] = lambda _heard: False,
    ) -> bytes:
        """Send a request and give whatever comes, whole or garbled, without the echo.

        Waits ``window_s`` for the first byte, and then for more until there is none for
        ``quiet_s``, or for ``window_s`` after what ``is_cut_off``: converters pause within a
        frame. Silence is an answer like others: nothing is hung up on. Raises Unreachable and
        Disconnected.
        """
        line = self._line
        loop = asyncio.get_running_loop()
        transport = await line._ready()
        echo = request if line._echoes else b""
        heard = b""
        done = False
        try:
            line._send(transport, request)
            first_by = loop.time() + line._patience_s(request, window_s)
            while len(heard) < MAX_ANSWER and loop.time() < first_by + MAX_LISTEN_S:
                if echo.startswith(heard):
                    left_s = max(first_by - loop.time(), 0)
                elif is_cut_off(heard.removeprefix(echo)):
                    left_s = max(quiet_s, window_s)
                else:
                    left_s = quiet_s
                try:
                    heard += await line._hear(transport, left_s)
                except NoAnswer:
                    break
            done = True
        except Retryable as error:
            raise type(error)(f"{line.url}: {error}") from None
        finally:
            line._settle(transport, good=done)
        return heard.removeprefix(echo)

    async def _receive(
        self, transport: Transport, request: bytes, accept: Accept[Answer], timeout_s: float
    ) -> Answer:
        line = self._line
        loop = asyncio.get_running_loop()
        first_s = line._patience_s(request, timeout_s)
        ends_at = loop.time() + first_s + PATIENCE * timeout_s
        received = b""
        echo = request if line._echoes else b""
        while loop.time() < ends_at:
            try:
                received += await line._hear(transport, timeout_s if received else first_s)
            except NoAnswer as silence:
                if received and not echo:
                    raise FrameError(
                        f"{len(received)} bytes that are no whole frame, then {silence}"
                    ) from None
                raise
            if echo and echo.startswith(received):
                if len(received) < len(echo):
                    continue
                received, echo = b"", b""
            elif echo and received.startswith(echo):
                received, echo = received[len(echo) :], b""
            else:
                echo = b""
            while received:
                accepted = accept(received)
                if accepted is None:
                    break
                answer, consumed = accepted
                if answer is not None:
                    return answer
                received = received[consumed:]
            if len(received) > MAX_ANSWER:
                raise FrameError(f"more than {MAX_ANSWER} bytes and no answer among them")
        raise NoAnswer(f"no whole answer within {PATIENCE * timeout_s:g} s")
