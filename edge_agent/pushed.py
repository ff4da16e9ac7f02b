"""Configurations that the cloud pushed: which one runs, and what is kept of them.

Invariants:
- the gateway's own file is never written, and wins as soon as somebody has changed it;
- a configuration is kept as the last good one only after its trial;
- a trial that the agent did not outlive has failed;
- of the versions that were refused or taken back, the newest is remembered: it is not tried again.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from common.clock import Clock, SystemClock
from common.errors import ConfigError
from common.logs import events
from common.messages.uplink import ConfigStatus, Event, RefusedConfig
from common.settings import load_toml
from edge_agent.config import C11Settings, Config, MbusSettings, Settings, load, parse, pushed_name
from edge_agent.devices import Devices

FILE = "configuration.json"
LONGEST_REASON = 1800
"""Characters; an event has room for 2000."""


class Pushed(Struct, frozen=True):
    """A configuration as it came."""

    version: int
    toml: str


class Kept(Struct, frozen=True):
    """What is remembered over a restart. ``own`` is the SHA-256 of the gateway's own file for which
    ``good`` and ``candidate`` stand."""

    own: str = ""
    good: Pushed | None = None
    candidate: Pushed | None = None
    refused: RefusedConfig | None = None

    @property
    def newest(self) -> int:
        """The greatest version that was dealt with, or is being tried."""
        known = (self.good, self.candidate, self.refused)
        return max((one.version for one in known if one), default=0)

    @property
    def status(self) -> ConfigStatus:
        """What is said to the cloud."""
        runs = self.candidate or self.good
        return ConfigStatus(runs.version if runs else 0, self.candidate is not None, self.refused)

    def refuse(self, version: int, reason: str) -> "Kept":
        """Without this version wherever it was, and knowing why."""
        before = self.refused
        if before is None or before.version <= version:
            before = RefusedConfig(version, reason[:LONGEST_REASON])
        return msgspec.structs.replace(
            self,
            good=_unless(self.good, version),
            candidate=_unless(self.candidate, version),
            refused=before,
        )


def _unless(one: Pushed | None, version: int) -> Pushed | None:
    return None if one and one.version == version else one


@dataclass(frozen=True, slots=True)
class Start:
    """What to run when the agent starts, what to keep from now on, and what is to be told."""

    config: Config
    kept: Kept
    news: tuple[Event, ...] = ()


def decide(path: Path, clock: Clock) -> Start:
    """Which configuration runs: the last good one from the cloud, or the gateway's own file.

    Writes nothing. Raises ConfigError when it is the file's turn and the file is wrong.
    """
    own = Config(path, load_toml(path, Settings))
    kept, news = load_kept(own), []
    digest = _digest(path)
    if kept.own != digest:
        replaced = kept.candidate or kept.good
        if replaced:
            reason = f"{path.name} was changed on the gateway, and runs instead"
            for one in filter(None, (kept.good, kept.candidate)):
                kept = kept.refuse(one.version, reason)
            text = f"{pushed_name(replaced.version)}: {reason}"
            news.append(_event(clock, "config_local", "warning", text, replaced.version))
        kept = msgspec.structs.replace(kept, own=digest)
    if kept.candidate:
        version, reason = kept.candidate.version, "the agent ended before its trial was over"
        kept = kept.refuse(version, reason)
        news.append(rolled_back(clock, version, reason))
    if kept.good:
        version = kept.good.version
        try:
            return Start(_sound(kept.good, path, clock), kept, tuple(news))
        except ConfigError as error:
            kept = kept.refuse(version, str(error))
            news.append(refused(clock, version, str(error)))
    return Start(load(path), kept, tuple(news))


def running(path: Path) -> Config:
    """The configuration with which an agent would start; that which runs, unless it is on trial.

    Raises ConfigError.
    """
    return decide(path, SystemClock()).config


def instead(config: Config) -> str:
    """For people: that it runs instead of the gateway's own file; else nothing."""
    if not config.version:
        return ""
    return f"; it runs instead of {config.path} until somebody changes that file"


def pushed_text(config: Config) -> str:
    """The text of the configuration as the cloud pushed it; empty for the gateway's own file."""
    good = load_kept(config).good
    return good.toml if good and good.version == config.version else ""


def admit(pushed: Pushed, present: Config, clock: Clock) -> Config:
    """The configuration, if it can run on this gateway in place of ``present``.

    Raises ConfigError: one line for each reason against it.
    """
    config = _sound(pushed, present.path, clock)
    reasons = [f"{config.name}: {reason}" for reason in _reasons(config, present)]
    if reasons:
        raise ConfigError("\n".join(reasons))
    return config


def _sound(pushed: Pushed, path: Path, clock: Clock) -> Config:
    config = parse(pushed.toml, path, pushed.version)
    Devices(config, clock)
    return config


def _reasons(config: Config, present: Config) -> Iterator[str]:
    own = Config(config.path, load_toml(config.path, Settings))
    for key in ("id", "data_dir"):
        wanted = getattr(config.settings.gateway, key)
        mine = getattr(present.settings.gateway, key)
        if wanted != mine:
            yield f"gateway.{key}: {wanted!r}: is {mine!r} here and cannot be changed from afar"
    if config.settings.mqtt is None:
        yield "mqtt: without it nothing could be changed from afar any more"
    folder = config.path.parent.resolve()
    known = {name for _, name in _files(own.settings)}
    for key, name in _files(config.settings):
        if name not in known and not config.beside(name).resolve().is_relative_to(folder):
            yield f"{key}: {name}: is neither in {folder} nor named in {config.path.name}"


def _files(settings: Settings) -> Iterator[tuple[str, str]]:
    """Key and path of every file that a configuration names."""
    if settings.mqtt:
        yield "mqtt.password_file", settings.mqtt.password_file
        yield "mqtt.tls_ca_file", settings.mqtt.tls_ca_file
    yield "c11do1eth.tls_cert_file", settings.c11do1eth.tls_cert_file
    yield "c11do1eth.tls_key_file", settings.c11do1eth.tls_key_file
    for number, device in enumerate(settings.device, 1):
        if isinstance(device, C11Settings | MbusSettings):
            yield f"device[{number}].key_file", device.key_file
        if not isinstance(device, C11Settings):
            yield f"device[{number}].profile", device.profile


# What is kept


def load_kept(config: Config) -> Kept:
    """What is kept beside the data; nothing, if that cannot be read."""
    path = _path(config)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return Kept()
    except (OSError, msgspec.MsgspecError) as error:
        events.error("%s: cannot be read; the gateway's own file is taken: %s", path, error)
        return Kept()


def save_kept(config: Config, kept: Kept) -> None:
    """Keep it instead of what was kept; on return it survives a power cut. Raises OSError."""
    path = _path(config)
    draft = path.with_name(f"{FILE}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(kept))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _path(config: Config) -> Path:
    return config.database.with_name(FILE)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


# What is told


def applied(clock: Clock, version: int, changes: str) -> Event:
    text = f"{pushed_name(version)} runs: {changes}"
    return _event(clock, "config_applied", "info", text, version)


def on_trial(clock: Clock, version: int, changes: str) -> Event:
    text = f"{pushed_name(version)} is on trial: {changes}"
    return _event(clock, "config_trial", "info", text, version)


def refused(clock: Clock, version: int, reason: str) -> Event:
    text = f"{pushed_name(version)} is refused: {reason}"
    return _event(clock, "config_refused", "warning", text, version)


def rolled_back(clock: Clock, version: int, reason: str) -> Event:
    text = f"{pushed_name(version)} was taken back: {reason}"
    return _event(clock, "config_rolled_back", "alarm", text, version)


def _event(clock: Clock, code: str, severity: str, text: str, version: int) -> Event:
    return Event(clock.now_ms(), code, severity, text[:2000], data={"version": version})
