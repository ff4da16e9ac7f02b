"""What the demo keeps under its state directory: secrets, configuration, data."""

import json
import os
import secrets
import shutil
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

HERE = Path(__file__).parent
MODULES = ("cold-water", "hot-water", "gas")
HISTORY = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Demo:
    """Where everything is, and the commands that start the parts."""

    state: Path
    web_port: int
    broker_port: int
    password: str
    mosquitto: str | None
    user: str = "admin"

    @property
    def ready_line(self) -> str:
        """What a person needs to begin."""
        address = f"http://127.0.0.1:{self.web_port}"
        return f"inMetter is ready: {address}  user {self.user} password {self.password}"

    @property
    def has_history(self) -> bool:
        return (self.state / "history.done").exists()

    @property
    def has_account(self) -> bool:
        return (self.state / "account.done").exists()

    @property
    def history_command(self) -> list[str]:
        return [sys.executable, "-m", "deploy.demo.history", str(self.state)]

    @property
    def account_command(self) -> list[str]:
        return [sys.executable, "-m", "deploy.demo.account", str(self.state), self.user]

    @property
    def broker_command(self) -> list[str]:
        if self.mosquitto:
            return [self.mosquitto, "-c", str(self.state / "mosquitto.conf")]
        return [
            str(Path(sys.executable).with_name("amqtt")),
            "-c",
            str(self.state / "amqtt.json"),
        ]

    @property
    def cloud_command(self) -> list[str]:
        return [sys.executable, "-m", "cloud", "--config", str(self.state / "cloud.toml"), "all"]

    @property
    def simulators_command(self) -> list[str]:
        scenario, truth = self.state / "scenario.toml", self.state / "truth.json"
        return [
            sys.executable,
            "-m",
            "edge_agent",
            "simulate",
            str(scenario),
            "--truth",
            str(truth),
        ]

    @property
    def edge_command(self) -> list[str]:
        return [sys.executable, "-m", "edge_agent", "run", str(self.state / "edge.toml")]


def find_mosquitto() -> str | None:
    """Where it is, if it is on the PATH, or where Debian puts it beside an ordinary user's PATH."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def prepare(state: Path, web_port: int, mosquitto: str | None) -> Demo:
    """Write the files anew, on ports that are free now; secrets are made once and kept."""
    for module in MODULES:
        _secret(state / f"{module}.key")
    _secret(state / "storage.secret")
    password = _secret(state / "password", length=9)
    broker, communication, mbus, modbus = _free_ports(4)
    values = {
        "BROKER_PORT": broker,
        "COMMUNICATION_PORT": communication,
        "MBUS_PORT": mbus,
        "MODBUS_PORT": modbus,
        "WEB_PORT": web_port,
        "SHARE_GROUP": "ingest" if mosquitto else "",
    }
    for name in ("edge.toml", "cloud.toml"):
        text = (HERE / name).read_text("utf-8")
        (state / name).write_text(Template(text).substitute(values), "utf-8")
    _write_scenario(state, communication, mbus, modbus)
    _write_broker_files(state, broker)
    return Demo(state, web_port, broker, password, mosquitto)


def _write_scenario(state: Path, communication: int, mbus: int, modbus: int) -> None:
    text = (HERE / "scenario.toml").read_text("utf-8")
    for usual, port in (("9750", communication), ("10001", mbus), ("1502", modbus)):
        text = text.replace(f'"127.0.0.1:{usual}"', f'"127.0.0.1:{port}"')
    (state / "scenario.toml").write_text(text, "utf-8")


def _write_broker_files(state: Path, port: int) -> None:
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "set_tcp_nodelay true"]
    lines += ["persistence false", "max_queued_messages 100000", "message_size_limit 2000000"]
    if os.geteuid() == 0:
        lines.append("user root")
    (state / "mosquitto.conf").write_text("\n".join([*lines, ""]), "utf-8")
    amqtt = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    (state / "amqtt.json").write_text(json.dumps(amqtt), "utf-8")


def history_span() -> tuple[datetime, datetime]:
    """The two weeks before the last full minute; the beginning is at a full quarter of an hour."""
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    start = end - HISTORY
    return start.replace(minute=start.minute // 15 * 15), end


def _secret(path: Path, length: int = 24) -> str:
    if not path.exists():
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(length) + "\n")
    return path.read_text("utf-8").strip()


def free_port() -> int:
    """A loopback port that nobody uses now."""
    return _free_ports(1)[0]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
