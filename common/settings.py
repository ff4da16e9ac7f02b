"""Configuration files: TOML into typed structs. Unknown keys and wrong types are errors."""

import re
import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from common.errors import ConfigError

Settings = TypeVar("Settings")

MAX_FILE_BYTES = 4_194_304


def load_toml(path: Path, kind: type[Settings]) -> Settings:
    """The file as a ``kind`` (a msgspec struct with ``forbid_unknown_fields``).

    Raises ConfigError that names the file, the line or key, and what was expected.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
    return parse_toml(content, kind, str(path))


def parse_toml(content: bytes, kind: type[Settings], source: str) -> Settings:
    """As ``load_toml``, from bytes; ``source`` is how errors name them."""
    try:
        data = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{source}: line {line}: not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        end = f"(at line {len(content.splitlines())}, the last)"
        message = str(error).replace("(at end of document)", end)
        raise ConfigError(f"{source}: {message}") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: tables or lists are nested too deeply") from error
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {_in_toml_words(str(error))}") from error


def _in_toml_words(message: str) -> str:
    """msgspec's ``… - at `$.device[0].unit``` as ``device[1].unit: …``, counted from one."""
    text, _, place = message.partition(" - at `$")
    key = re.sub(r"\[(\d+)\]", lambda m: f"[{int(m[1]) + 1}]", place.rstrip("`").lstrip("."))
    text = text.replace("Object contains unknown field", "unknown key")
    text = text.replace("Object missing required field", "missing key")
    text = text[:1].lower() + text[1:]
    return f"{key}: {text}" if key else text


def read_secret(path: Path) -> str:
    """The first line of a secret's file; raises ConfigError when it cannot be had or is empty."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot read the secret: {error}") from error
    if not lines or not lines[0].strip():
        raise ConfigError(f"{path}: the secret is empty")
    return lines[0].strip()
