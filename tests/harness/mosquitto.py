"""A private Mosquitto broker on a free loopback port."""

import os
import subprocess
from pathlib import Path
from types import TracebackType

from common.mqtt import MqttSettings
from tests.harness.ports import free_port, wait_for_port
from tests.harness.services import find_program

CONFIGURATION = """\
listener {port} 127.0.0.1
persistence true
persistence_location {directory}/
autosave_interval 1
max_queued_messages 100000
max_inflight_messages 1000
set_tcp_nodelay true
"""


class Mosquitto:
    """A broker with a directory of its own; a context manager. ``kill`` is a power cut."""

    def __init__(self, directory: Path, access: str = "allow_anonymous true") -> None:
        """``access``: lines of the configuration that say who may come in and do what."""
        self.port = free_port()
        self._access = access
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> MqttSettings:
        """How to reach it."""
        return MqttSettings(port=self.port, keepalive_s=5)

    def __enter__(self) -> "Mosquitto":
        self._program = find_program("mosquitto")
        text = CONFIGURATION.format(port=self.port, directory=self._directory)
        text += f"{self._access}\n"
        if os.geteuid() == 0:
            text += "user root\n"
        (self._directory / "mosquitto.conf").write_text(text)
        self.start()
        return self

    def start(self) -> None:
        """Start the broker and wait until it listens."""
        with (self._directory / "log").open("ab") as log:
            process = subprocess.Popen(
                [self._program, "-c", str(self._directory / "mosquitto.conf")],
                stdout=log,
                stderr=log,
            )
        self._process = process
        wait_for_port(self.port, lambda: process.poll() is not None)

    def kill(self) -> None:
        """SIGKILL; connections break without a word."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def forget(self) -> None:
        """While it is down: lose all that it has kept for its clients, and what was retained."""
        (self._directory / "mosquitto.db").unlink(missing_ok=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()
