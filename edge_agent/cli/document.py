"""JSON of the commands: what ``--json`` prints, and what is kept to go on with later."""

from pathlib import Path

import msgspec

from common.errors import ConfigError


def document(value: object) -> str:
    """The one JSON document that a command prints."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def keep(file: Path, value: object) -> None:
    """Replace ``file`` as a whole. Raises ConfigError when it cannot be written."""
    part = file.with_name(f"{file.name}.part")
    try:
        part.write_bytes(msgspec.json.format(msgspec.json.encode(value)))
        part.replace(file)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from error
