"""The profile files of this package: M-Bus ones are called ``mbus_….toml``, others are Modbus."""

from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from common.errors import ConfigError
from common.settings import MAX_FILE_BYTES

MBUS = "mbus_"


@cache
def names(*, mbus: bool) -> tuple[str, ...]:
    """The device types that are known, sorted."""
    files = (path.name for path in resources.files("edge_agent.profiles").iterdir())
    found = (name.removesuffix(".toml") for name in files if name.endswith(".toml"))
    return tuple(sorted(name for name in found if name.startswith(MBUS) is mbus))


def read(name: str, *, mbus: bool) -> bytes:
    """The file of the profile ``name``; raises ConfigError that lists those that are known."""
    known = names(mbus=mbus)
    if name not in known:
        raise ConfigError(f"profile {name[:60]!r} is not one of {', '.join(known)}")
    return (resources.files("edge_agent.profiles") / f"{name}.toml").read_bytes()


def is_path(name: str) -> bool:
    """Whether ``name`` means a file of one's own, not a profile of this package."""
    return name.endswith(".toml")


def read_own(path: Path, known: Sequence[str]) -> bytes:
    """The file at ``path``; raises ConfigError, which lists the ``known`` ones of this package."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        expected = f"expected a file beside the configuration, or one of {', '.join(known)}"
        raise ConfigError(f"profile {path}: {error.strerror}: {expected}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"profile {path}: larger than {MAX_FILE_BYTES} bytes")
    return content
