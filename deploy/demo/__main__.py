"""The demo: a simulated site, its gateway, a broker and the cloud, each a process of its own."""

import argparse
import fcntl
import os
import shutil
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.demo.files import Demo, find_mosquitto, prepare
from deploy.demo.processes import Child, die_with_parent

STATE = Path("var/demo")
READY_WITHIN_S = 90


class DemoFailed(Exception):
    """The demo cannot go on; the text says why and what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run until interrupted. 0 after a clean stop, 1 when something failed, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="of the pages (default 8080)")
    parser.add_argument("--state", type=Path, default=STATE, help="where everything is kept")
    parser.add_argument("--fresh", action="store_true", help="forget everything and start anew")
    parser.add_argument(
        "--embedded-broker", action="store_true", help="do not use mosquitto, though it is there"
    )
    arguments = parser.parse_args(argv)
    if os.environ.get("MAKELEVEL"):
        die_with_parent(signal.SIGTERM)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    try:
        with sole_use_of(arguments.state, fresh=arguments.fresh):
            mosquitto = None if arguments.embedded_broker else find_mosquitto()
            run(prepare(arguments.state, arguments.port, mosquitto), stop)
    except DemoFailed as failure:
        print(f"inMetter's demo: {failure}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def sole_use_of(state: Path, *, fresh: bool) -> Iterator[None]:
    """No two demos share a state."""
    state.parent.mkdir(parents=True, exist_ok=True)
    with state.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFailed(f"another one is running in this checkout ({state})") from None
        if fresh:
            shutil.rmtree(state, ignore_errors=True)
        state.mkdir(mode=0o700, exist_ok=True)
        yield


def run(demo: Demo, stop: threading.Event) -> None:
    """Start everything in its order, say that it is ready, wait for the end, stop everything."""
    if answers(demo.web_port):
        raise DemoFailed(f"port {demo.web_port} is taken; choose another: make demo PORT=…")
    children: list[Child] = []

    def start(name: str, command: Sequence[str]) -> Child:
        children.append(Child(name, command, demo.state / f"{name}.log"))
        return children[-1]

    def wait(what: str, condition: Callable[[], bool], *needs: Child) -> None:
        for _ in range(READY_WITHIN_S * 10):
            for child in needs:
                if child.exit_code is not None:
                    raise DemoFailed(f"{child.name} ended early:\n{child.last_words()}")
            if stop.is_set() or condition():
                return
            stop.wait(0.1)
        raise DemoFailed(f"{what} did not come up; see the logs in {demo.state}")

    try:
        if not demo.has_history:
            print("inMetter: living through two weeks of the simulated site", flush=True)
            history = start("history", demo.history_command)
            wait("the history", lambda: history.exit_code is not None)
            if history.exit_code != 0 and not stop.is_set():
                raise DemoFailed(f"the history failed:\n{history.last_words()}")
        if not demo.has_account and not stop.is_set():
            account = start("account", demo.account_command)
            wait("the account", lambda: account.exit_code is not None)
            if account.exit_code != 0 and not stop.is_set():
                raise DemoFailed(f"the account could not be made:\n{account.last_words()}")
        broker = start("broker", demo.broker_command)
        wait("the broker", lambda: answers(demo.broker_port), broker)
        parts = [
            broker,
            start("cloud", demo.cloud_command),
            start("simulators", demo.simulators_command),
            start("edge", demo.edge_command),
        ]
        wait("the site", lambda: is_metering(demo.web_port), *parts)
        if not stop.is_set():
            print(demo.ready_line, flush=True)
        while not stop.wait(0.5):
            for child in parts:
                if child.exit_code is not None:
                    raise DemoFailed(f"{child.name} ended:\n{child.last_words()}")
    finally:
        for child in reversed(children):
            child.stop()


def answers(port: int) -> bool:
    """Whether something listens on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_metering(port: int) -> bool:
    """Whether the cloud is ready, the gateway online and readings stored."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            lines = answer.read().decode().splitlines()
    except (OSError, urllib.error.URLError):
        return False
    return all(
        any(line.startswith(name) and not line.endswith(" 0.0") for line in lines)
        for name in ("inmetter_gateway_online{", "inmetter_readings_stored_total ")
    )


if __name__ == "__main__":
    sys.exit(main())
