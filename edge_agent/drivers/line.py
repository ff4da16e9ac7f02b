"""A line: one connection shared by the devices behind it, one exchange at a time."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from common.errors import Disconnected, FrameError, NoAnswer, Unreachable
from edge_agent.drivers.transport import Connect, Transport, connector

Answer = TypeVar("Answer")
Accept = Callable[[bytes], tuple[Answer | None, int] | None]
"""Looks at the bytes received so far. None: more are needed. ``(answer, n)``: the first n bytes
are the answer. ``(None, n)``: they are none of ours, pass over them. FrameError: they are bad."""

MAX_ANSWER: Final = 4096
PATIENCE: Final = 5
"""An answer may take this many time-outs in all, if it never pauses for as long as one."""
MAX_DRAIN_S: Final = 1.0


class Line:
    """Asks and answers over one connection, which opens when it is needed.

    A late answer is never taken for the next one. Behind a gateway that answers the connection
    which asked, it dies with the connection: after any failed exchange the line hangs up.
    A transparent converter would send it into the new connection: so the next exchange first
    listens until the line has been silent for ``quiet_s``, and ``accept`` passes over answers
    of others. Stale bytes are thrown away before each request for the same reason.

    ``connection`` counts the connections: devices that keep state with their peer compare it.
    ``echoes`` says that the line may repeat what was sent (level converters do); it must be
    False where a device's answer can equal the request.
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
        self.url = url
        self.connection = 0
        self._connect = connect or connector(url)
        self._connect_timeout_s = connect_timeout_s
        self._quiet_s = quiet_s
        self._echoes = echoes
        self._lock = asyncio.Lock()
        self._transport: Transport | None = None
        self._suspicious = False

    async def exchange(self, request: bytes, accept: Accept[Answer], timeout_s: float) -> Answer:
        """Send a request and wait for the answer that ``accept`` takes.

        ``timeout_s`` is the longest silence. Raises Unreachable when nothing was sent;
        NoAnswer, Disconnected and FrameError afterwards.
        """
        async with self._lock:
            transport = await self._ready()
            answered = False
            try:
                transport.write(request)
                answer = await self._receive(transport, request, accept, timeout_s)
                answered = True
            except Unreachable as error:
                raise Unreachable(f"{self.url}: {error}") from None
            except NoAnswer as error:
                raise NoAnswer(f"{self.url}: {error}") from None
            except Disconnected as error:
                raise Disconnected(f"{self.url}: {error}") from None
            except FrameError as error:
                raise FrameError(f"{self.url}: {error}") from None
            finally:
                # Also when cancelled: an answer may still be under way.
                if not answered:
                    self._hang_up()
                    self._suspicious = True
        return answer

    async def close(self) -> None:
        """Hang up once the exchange under way is over; the next one would connect again."""
        async with self._lock:
            self._hang_up()

    async def _ready(self) -> Transport:
        transport = self._transport
        if transport is not None:
            await transport.discard()
        if transport is None or not transport.is_open:
            self._hang_up()
            transport = await self._connect(self._connect_timeout_s)
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
                await transport.read(self._quiet_s)
        except NoAnswer:
            self._suspicious = False
        except Disconnected as error:
            self._hang_up()
            raise Unreachable(f"{self.url}: {error}") from None

    async def _receive(
        self, transport: Transport, request: bytes, accept: Accept[Answer], timeout_s: float
    ) -> Answer:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + PATIENCE * timeout_s
        received = b""
        echo = request if self._echoes else b""
        while loop.time() < ends_at:
            received += await transport.read(timeout_s)
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

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None
