"""Free ports on loopback, and waiting for a server to listen."""

import random
import socket
import threading
import time
from collections.abc import Callable

PATIENCE_S = 20.0
STEP_S = 0.005
SERVERS = (10_000, 32_000)
"""Below the range from which Linux gives ports to outgoing connections."""

_never = threading.Event()


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on just now, and that no client is given."""
    while True:
        port = random.randrange(*SERVERS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def wait_for_port(port: int, gone: Callable[[], bool]) -> None:
    """Return when something listens on ``port``; raises RuntimeError when ``gone()`` or late."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and not gone():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            _never.wait(STEP_S)
        else:
            return
    raise RuntimeError(f"nothing listens on port {port}")
