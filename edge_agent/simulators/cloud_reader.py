"""Reads the indexes of a gateway's meters from the cloud's REST API (docs/api.md)."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

import msgspec
from msgspec import Struct

from common.clock import to_ms
from common.errors import ConfigError, Undecodable, Unreachable
from common.settings import read_secret
from edge_agent.simulators.conservation import Indexed

Answer = TypeVar("Answer")

INDEXES = ("energy_import", "volume")
MAX_ANSWER = 64 * 2**20
PAGE = 10_000
BEGINNING = "1970-01-02T00:00:00Z"


class _Register(Struct, frozen=True):
    id: int
    key: str


class _Latest(Struct, frozen=True):
    register: _Register


class _Meter(Struct, frozen=True):
    key: str
    gateway: str
    registers: tuple[_Latest, ...]


class _Reading(Struct, frozen=True):
    at: datetime
    value: Decimal | None


class _Page(Struct, frozen=True):
    items: tuple[_Reading, ...]
    next: str | None


class CloudReader:
    """Asks the cloud at ``url`` with the token in a file. Raises ConfigError."""

    def __init__(self, url: str, token_file: Path, timeout_s: float = 30) -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ConfigError(f"--check: {url!r}: expected http://HOST:PORT or https://HOST")
        self._url = url.rstrip("/")
        self._token = read_secret(token_file)
        self._timeout_s = timeout_s

    def indexes(self, gateway: str) -> dict[str, list[Indexed]]:
        """Everything that is stored of each meter's index, by device.

        Raises Unreachable, Undecodable, and ConfigError when there is no such gateway.
        """
        meters = self._get("meters", list[_Meter])
        own = [meter for meter in meters if meter.gateway == gateway]
        if not own:
            raise ConfigError(f"--gateway: the cloud knows no meters of {gateway!r}")
        return {
            meter.key: list(self._readings(latest.register.id))
            for meter in own
            for latest in meter.registers
            if latest.register.key in INDEXES
        }

    def _readings(self, register: int) -> Iterator[Indexed]:
        cursor: str | None = None
        while True:
            query: dict[str, str | int] = {"start": BEGINNING, "limit": PAGE}
            if cursor is not None:
                query["cursor"] = cursor
            path = f"registers/{register}/readings?{urlencode(query)}"
            page = self._get(path, _Page)
            for one in page.items:
                if one.value is not None:
                    yield Indexed(to_ms(one.at), one.value)
            cursor = page.next
            if cursor is None:
                return

    def _get(self, path: str, kind: type[Answer]) -> Answer:
        request = Request(  # noqa: S310 (the scheme is checked)
            f"{self._url}/api/v1/{path}", headers={"Authorization": f"Bearer {self._token}"}
        )
        try:
            with urlopen(request, timeout=self._timeout_s) as answer:  # noqa: S310
                content: bytes = answer.read(MAX_ANSWER)
        except (URLError, OSError) as error:
            raise Unreachable(f"{self._url}: {error}") from error
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError as error:
            raise Undecodable(f"{self._url}: /{path}: not what was expected: {error}") from error
