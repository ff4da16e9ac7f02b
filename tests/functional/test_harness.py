"""The harness that the system tests trust is itself put to the test."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.eventually import eventually
from tests.harness.processes import Programs
from tests.harness.proxy import Proxy
from tests.harness.site import SiteFiles


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sockets: list[socket.socket] = []

        def serve(connection: socket.socket) -> None:
            with connection:
                while data := connection.recv(100):
                    connection.sendall(data)

        def accept() -> None:
            try:
                while True:
                    sockets.append(listener.accept()[0])
                    threading.Thread(target=serve, args=(sockets[-1],), daemon=True).start()
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _ask(client: socket.socket, text: bytes) -> bytes:
    client.sendall(text)
    return client.recv(100)


def test_a_proxy_passes_and_delays_and_cuts(echo_port: int) -> None:
    with Proxy(echo_port) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
            assert _ask(client, b"one") == b"one"
            proxy.delay(0.1)
            begun = time.monotonic()
            assert _ask(client, b"two") == b"two"
            assert time.monotonic() - begun >= 0.2
            proxy.cut()
            assert client.recv(100) == b""
        proxy.delay(0)
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
            assert _ask(client, b"three") == b"three"


def test_a_proxy_that_loses_packets_loses_no_byte_and_keeps_their_order(echo_port: int) -> None:
    sent = b"".join(b"%06d " % n for n in range(300))
    with (
        Proxy(echo_port) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as client,
    ):
        proxy.lose(0.3)
        begun = time.monotonic()
        for n in range(5):
            assert _ask(client, b"%d" % n) == b"%d" % n
        assert time.monotonic() - begun >= 0.2, "something must have been repeated"
        for start in range(0, len(sent), 70):
            client.sendall(sent[start : start + 70])
        proxy.lose(0)
        heard = b""
        while len(heard) < len(sent):
            heard += client.recv(1000)
        assert heard == sent


def test_a_slow_proxy_passes_so_many_bytes_a_second(echo_port: int) -> None:
    with (
        Proxy(echo_port) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client,
    ):
        proxy.slow_down(500)
        begun = time.monotonic()
        assert _ask(client, b"x" * 50) == b"x" * 50
        assert time.monotonic() - begun >= 0.2
        proxy.slow_down(0)
        proxy.drop()
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            _ask(client, b"lost without a FIN")
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as later:
            assert _ask(later, b"two") == b"two"


def test_a_black_hole_says_nothing_and_keeps_connections_open(echo_port: int) -> None:
    with (
        Proxy(echo_port) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as old,
    ):
        assert _ask(old, b"one") == b"one"
        proxy.black_hole()
        old.settimeout(0.1)
        with pytest.raises(TimeoutError):
            _ask(old, b"lost")
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=0.1) as new:
            with pytest.raises(TimeoutError):
                _ask(new, b"lost")
            proxy.resume()
            with pytest.raises(TimeoutError):
                _ask(old, b"still a black hole")
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as later:
            assert _ask(later, b"two") == b"two"


def test_a_killed_program_starts_again_and_goes_on_with_its_log(tmp_path: Path) -> None:
    script = "import sys, signal; print('up', flush=True); signal.pause()"
    with Programs(tmp_path) as programs:
        program = programs.add("sleeper", sys.executable, "-c", script).start()
        eventually(lambda: program.log_text().count("up") == 1, what="the first start")
        program.kill9()
        assert program.exit_code == -signal.SIGKILL
        program.start()
        eventually(lambda: program.log_text().count("up") == 2, what="the second start")
        assert program.running
        assert "up" in dict(programs.report())["log of sleeper"]
    assert not program.running


def test_a_forked_program_says_and_ends_as_it_does_by_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cloud", "--config", "nowhere.toml", "web"]
    alone = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    with Programs(tmp_path, forked=True) as programs:
        forked = programs.add("forked", *command).start()
        assert forked.ended() == alone.returncode == 2
        assert forked.log_text() == alone.stdout + alone.stderr != ""
        again = programs.add("again", sys.executable, "-m", "edge_agent", "--help").start()
        assert again.ended() == 0
        assert "inmetter-edge" in again.log_text()


def test_a_forked_program_is_killed_as_it_is_by_itself(tmp_path: Path) -> None:
    site = SiteFiles(tmp_path / "site", broker=1).write()
    with Programs(tmp_path, forked=True) as programs:
        program = programs.add("simulators", *site.simulator_command()).start()
        program.wait_for("simulated site is up")
        program.kill9()
        assert program.exit_code == -signal.SIGKILL
        program.start()
        eventually(lambda: program.log_text().count("site is up") == 2, what="the second start")
        program.stop()
        assert program.exit_code == 0


def test_eventually_tells_what_it_last_saw() -> None:
    with pytest.raises(AssertionError, match=r"the sky falls did not happen in 0.05 s; it was 0"):
        eventually(lambda: 0, 0.05, "the sky falls")
