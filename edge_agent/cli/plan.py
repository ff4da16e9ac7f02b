"""A configuration in the making: its text, and the secrets that go beside it."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import Undecodable
from common.ids import check_key

HEAD = "# Made by `inmetter-edge init`. Every key is described in docs/configuration-edge.md.\n"


@dataclass(slots=True)
class Plan:
    """For a file in ``directory``. ``secrets`` are contents by file name."""

    directory: Path
    secrets: dict[str, str] = field(default_factory=dict)
    devices: int = 0
    _blocks: list[str] = field(default_factory=list)
    _keys: set[str] = field(default_factory=set)

    @property
    def text(self) -> str:
        """The whole file."""
        return "\n".join([HEAD, *self._blocks])

    def add(self, table: str, **settings: object) -> None:
        """A table, ``gateway`` or ``[device]``; what is None is left out."""
        lines = [f"{key} = {_toml(value)}" for key, value in settings.items() if value is not None]
        self._blocks.append("\n".join([f"[{table}]", *lines, ""]))

    def add_device(self, key: str, **settings: object) -> None:
        """A device; its key is taken from now on."""
        self._keys.add(key)
        self.devices += 1
        self.add("[device]", key=key, **settings)

    def free_key(self, wanted: str) -> str:
        """``wanted``, or with a number behind it where that is taken."""
        key, number = wanted, 2
        while key in self._keys:
            key, number = f"{wanted}-{number}", number + 1
        return key

    def new_key(self, text: str) -> str:
        """``text``, if it can be another device's key; else Undecodable."""
        check_key(text, "key")
        if text in self._keys:
            raise Undecodable(f"{text!r} is taken by another device")
        return text


class Literal(str):
    """TOML as it stands."""

    __slots__ = ()


def _toml(value: object) -> str:
    if isinstance(value, Literal):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    # A basic string of TOML knows all of JSON's escapes; and JSON escapes what TOML must.
    return json.dumps(value).replace("\x7f", "\\u007f")
