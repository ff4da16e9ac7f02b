"""The profile files of this package: M-Bus ones are called ``mbus_….toml``, others are Modbus."""

from functools import cache
from importlib import resources

from common.errors import ConfigError

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
