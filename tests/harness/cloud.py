"""The cloud of a test: its configuration, its commands, an account, and its REST API."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cloud.services import accounts
from cloud.services.store import Store
from cloud.services.views import Role
from cloud.storage.migrations import migrate
from common.clock import SystemClock
from tests.harness.eventually import eventually
from tests.harness.ports import free_port

Ref = tuple[str, str, str]
"""Gateway, device, register."""

USER, PASSWORD = "operator", "a password of the tests"

CLOUD = """\
[database]
url = "{url}"

[mqtt]
port = {broker}
keepalive_s = 5

[web]
port = {web}
sessions_dir = "sessions"

"""

RULE = """\
[[rule]]
name = "{name}"
above = "{above}"
below = "{below}"
hold_s = {hold_s}
max_age_s = {max_age_s}
command_ttl_s = {ttl_s}
source = {{ gateway = "{source[0]}", device = "{source[1]}", register = "{source[2]}" }}
output = {{ gateway = "{output[0]}", device = "{output[1]}", register = "{output[2]}" }}
"""


@dataclass(slots=True)
class CloudFiles:
    """Writes what ``inmetter-cloud`` is started with into ``directory``."""

    directory: Path
    url: str
    broker: int
    web: int = field(default_factory=free_port)
    rules: list[str] = field(default_factory=list)
    token: str = ""

    @property
    def config(self) -> Path:
        return self.directory / "cloud.toml"

    def add_rule(
        self,
        name: str,
        source: Ref,
        above: int,
        below: int,
        output: Ref,
        *,
        hold_s: int = 0,
        max_age_s: int = 60,
        ttl_s: int = 60,
    ) -> None:
        """One more rule; thresholds are in the source's base unit."""
        self.rules.append(
            RULE.format(
                name=name,
                source=source,
                above=above,
                below=below,
                output=output,
                hold_s=hold_s,
                max_age_s=max_age_s,
                ttl_s=ttl_s,
            )
        )

    def write(self) -> None:
        """The file, the database's structure, an operator's account and a token for it."""
        head = CLOUD.format(url=self.url, broker=self.broker, web=self.web)
        self.config.write_text(head + "\n".join(self.rules))
        migrate(self.url)
        store, now_ms = Store(self.url), SystemClock().now_ms()
        accounts.create(store, USER, PASSWORD, Role.OPERATOR, now_ms)
        self.token = accounts.create_token(store, USER, "test", now_ms, None)
        store.close()

    def command(self, role: str) -> list[str]:
        """Starts ``role`` in a process of its own."""
        return [sys.executable, "-m", "cloud", "--config", str(self.config), role]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.web}"

    def wait_until_ready(self) -> None:
        """Until the web server answers that it is ready."""

        def ready() -> bool:
            try:
                return httpx.get(f"{self.address}/readyz", timeout=5).status_code == 200
            except httpx.TransportError:
                return False

        eventually(ready, 40, "the web server is ready")

    def get(self, path: str) -> Any:
        """The JSON at /api/v1/``path``."""
        return self._request("GET", path)

    def post(self, path: str, body: dict[str, object]) -> Any:
        """The JSON answer of /api/v1/``path``."""
        return self._request("POST", path, body)

    def output_id(self, gateway: str, device: str, register: str) -> int:
        """The number of an output's register; waits until the cloud knows it."""

        wanted = (gateway, device, register)

        def find() -> int:
            for one in self.get("outputs"):
                if (one["gateway"], one["device"], one["register"]["key"]) == wanted:
                    return int(one["register"]["id"])
            return 0

        return eventually(find, 30, f"output {device}/{register} known")

    def order(self, register_id: int, value: int, ttl_s: int = 60) -> str:
        """Issue a command; returns its id."""
        body = {"register_id": register_id, "value": value, "ttl_s": ttl_s}
        return str(self.post("commands", dict(body))["id"])

    def wait_for_state(self, command: str, state: str, timeout_s: float = 30) -> dict[str, Any]:
        """The command, once it is in ``state``."""

        def look() -> dict[str, Any]:
            found: dict[str, Any] = self.get(f"commands/{command}")
            assert found["state"] == state, found
            return found

        return eventually(look, timeout_s, f"command {command} {state}")

    def _request(self, method: str, path: str, body: dict[str, object] | None = None) -> Any:
        answer = httpx.request(
            method,
            f"{self.address}/api/v1/{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=20,
        )
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()
