"""A bad neighbour, as a process: ``python -m tests.functional.c11do1eth_flooder PORT KIND``.

It goes on until it is stopped.
"""

import contextlib
import os
import selectors
import socket
import sys
from collections import deque

SECRET_LESS = b"$IM1,m1,HELLO,0,1,C11DO1ETH,1.0,7,3412,3380,3*AC71\r\n"
KINDS = {
    "silent": b"",
    "noise": b"\x00\xff noise\r\n" * 200,
    "no line end": b"x" * 16_384,
    "half a line": SECRET_LESS[:20],
    "known names": SECRET_LESS,
    "half a TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00",
    "junk as TLS": b"\x16\x03\x01\x00\x40" + os.urandom(64),
}
FROM = "127.0.0.66"
HELD = 400
"""Connections that it keeps open, as far as it is let."""


def main(port: int, kind: str) -> None:
    """New connections as fast as they are taken; on each, the same bytes again and again."""
    held: deque[socket.socket] = deque()
    selector = selectors.DefaultSelector()
    while True:
        with contextlib.suppress(OSError):
            one = socket.create_connection(("127.0.0.1", port), 5, source_address=(FROM, 0))
            one.setblocking(False)
            held.append(one)
            selector.register(one, selectors.EVENT_READ)
            one.send(KINDS[kind])
        for key, _ in selector.select(0):
            end = key.fileobj
            assert isinstance(end, socket.socket)
            try:
                gone = not end.recv(4096)
                if not gone and kind in ("noise", "no line end"):
                    end.send(KINDS[kind])
            except OSError:
                gone = True
            if gone:
                _drop(selector, held, end)
        if len(held) > HELD:
            _drop(selector, held, held[0])


def _drop(selector: selectors.BaseSelector, held: deque[socket.socket], one: socket.socket) -> None:
    selector.unregister(one)
    held.remove(one)
    one.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
