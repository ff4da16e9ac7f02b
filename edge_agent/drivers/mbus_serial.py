"""Serial ports: of this computer, and of a port server by RFC 2217."""

import asyncio
import contextlib
import os
import termios
import threading
from collections.abc import Callable
from typing import Final

import serial  # type: ignore[import-untyped]
from serial import rfc2217

from common.errors import Unreachable
from edge_agent.drivers.mbus_url import RemotePlace, SerialPlace
from edge_agent.drivers.transport import Inbox

READ: Final = 1024
LOOK_S: Final = 1.0
"""How often the thread of a remote port looks whether its port is still wanted."""


class SerialTransport(Inbox):
    """An open serial port, read by the event loop."""

    is_port = True

    def __init__(self, port: serial.Serial) -> None:
        super().__init__()
        self._port = port
        self._fd: int = port.fileno()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._receive)

    def write(self, data: bytes) -> None:
        if self._closed:
            raise Unreachable("the port was closed")
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            self.close()
            raise Unreachable(f"the port takes nothing: {error.strerror}") from None
        if written < len(data):
            # A request is shorter than any port's buffer: somebody else's bytes are stuck in it.
            self.close()
            raise Unreachable("the port's buffer is full")

    def close(self) -> None:
        if self._closed:
            return
        self._end()
        self._loop.remove_reader(self._fd)
        self._port.close()

    def _receive(self) -> None:
        try:
            data = os.read(self._fd, READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._heard(data)
        else:
            self.close()


class RemoteTransport(Inbox):
    """A port of a port server (RFC 2217); pySerial's blocking client is read in a thread."""

    is_port = True

    def __init__(self, port: rfc2217.Serial) -> None:
        super().__init__()
        self._port = port
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._receive, name=f"reads {port.name}", daemon=True).start()

    def write(self, data: bytes) -> None:
        if self._closed:
            raise Unreachable("the port server hung up")
        try:
            # Never waits: a request is far shorter than a socket's buffer, and the next one
            # leaves only when this one is answered or given up.
            self._port.write(data)
        except (serial.SerialException, OSError) as error:
            self.close()
            raise Unreachable(f"the port server takes nothing: {error}") from None

    def close(self) -> None:
        if self._closed:
            return
        self._end()
        # The connection ends at once, for a port server may take one only; then pySerial sleeps.
        threading.Thread(target=self._port.close, daemon=True).start()

    def _receive(self) -> None:
        """In its own thread, until the port is closed or lost."""
        with contextlib.suppress(serial.SerialException, OSError, RuntimeError):
            while not self._closed:
                data = self._port.read(1)
                data += self._port.read(self._port.in_waiting)
                if data:
                    self._loop.call_soon_threadsafe(self._heard, data)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self.close)


async def open_serial(place: SerialPlace, timeout_s: float) -> SerialTransport:
    """Open a port of this computer for nobody else. Raises Unreachable with the likely cause."""
    return SerialTransport(await _opened(lambda: _local(place), place.device, timeout_s))


async def open_remote(place: RemotePlace, timeout_s: float) -> RemoteTransport:
    """Open a port server's port. Raises Unreachable with the likely cause."""
    url = f"rfc2217://{place.host}:{place.port}"
    return RemoteTransport(await _opened(lambda: _remote(url, place), url, timeout_s))


def _local(place: SerialPlace) -> serial.Serial:
    def opened(parity: str) -> serial.Serial:
        settings = place.settings
        return serial.Serial(
            place.device,
            settings.baud,
            parity=parity,
            stopbits=settings.stop,
            timeout=0,
            exclusive=True,
        )

    try:
        return opened(place.settings.parity)
    except termios.error:
        # A Linux pty can refuse even parity with EINVAL (field.md, section 2).
        return opened(serial.PARITY_NONE)


def _remote(url: str, place: RemotePlace) -> rfc2217.Serial:
    settings = place.settings
    return rfc2217.Serial(
        url, settings.baud, parity=settings.parity, stopbits=settings.stop, timeout=LOOK_S
    )


async def _opened(
    opening: Callable[[], serial.SerialBase], where: str, timeout_s: float
) -> serial.SerialBase:
    """What ``opening`` gives, in a thread that nobody waits for at the end of the program.

    A port that is open too late is closed again.
    """
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[serial.SerialBase] = loop.create_future()

    def settle(port: serial.SerialBase | None, error: Exception | None) -> None:
        if opened.done():
            if port is not None:
                threading.Thread(target=port.close, daemon=True).start()  # it may take its time
        elif error is not None:
            opened.set_exception(error)
        else:
            opened.set_result(port)

    def work() -> None:
        port, failure = None, None
        try:
            port = opening()
        except (serial.SerialException, OSError, ValueError, termios.error) as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, port, failure)

    threading.Thread(target=work, name=f"opens {where}", daemon=True).start()
    try:
        async with asyncio.timeout(timeout_s):
            return await opened
    except TimeoutError:
        raise Unreachable(f"{where}: no answer") from None
    except (serial.SerialException, OSError, ValueError, termios.error) as error:
        raise Unreachable(f"{where}: cannot be opened: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == 2:
        return "there is no such port; is the adapter plugged in?"
    if number == 13:
        return "not allowed; the user must be in the group dialout"
    if number == 11:
        return "another program has it open"
    return str(error)
