"""The edge agent's configuration file. Every key is described in docs/configuration-edge.md."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

from common.errors import ConfigError, Undecodable
from common.ids import check_key
from common.mqtt import MqttSettings
from common.settings import load_toml, parse_toml, read_secret
from edge_agent.drivers.tls import ServerCertificate
from edge_agent.protocols.mbus.selection import parse_secondary
from edge_agent.pulse_settings import C11Settings as C11Settings  # noqa: PLC0414  (named from here)
from edge_agent.pulse_settings import Text

Port = Annotated[int, Meta(ge=1, le=65535)]
FreePort = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=86400)]


class GatewaySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Who the gateway is, and where it keeps its data."""

    id: str
    name: Text
    site: str
    site_name: Text
    timezone: str
    data_dir: str = "data"
    keep_days: Annotated[int, Meta(ge=1, le=3650)] = 30
    journal_bytes: Annotated[int, Meta(ge=1_000_000, le=10**13)] = 2_000_000_000
    overflow: Literal["drop_oldest", "drop_newest", "thin"] = "drop_oldest"
    thin: Annotated[int, Meta(ge=2, le=1000)] = 10
    config_trial_s: Annotated[float, Meta(gt=0, le=3600)] = 120


class ServerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where C11DO1ETH modules connect to, and what they may do. Certificate and key turn TLS on."""

    host: str = "127.0.0.1"
    port: FreePort = 7700
    connections: Annotated[int, Meta(ge=0, le=20_000)] = 0
    connections_per_address: Annotated[int, Meta(ge=0, le=20_000)] = 0
    handshake_s: Annotated[float, Meta(gt=0, le=600)] = 10
    idle_s: Seconds = 120
    lines_per_s: Annotated[float, Meta(gt=0, le=10_000)] = 50
    tls_cert_file: str = ""
    tls_key_file: str = ""


class LineSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """A connection that M-Bus or Modbus devices share."""

    id: str
    url: Text
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 1.0
    retries: Annotated[int, Meta(ge=0, le=10)] = 2


class MbusSettings(Struct, frozen=True, forbid_unknown_fields=True, tag="mbus", tag_field="driver"):
    """An M-Bus meter by its primary address, or else by its secondary one."""

    key: str
    name: Text
    line: str
    profile: str
    address: Annotated[int, Meta(ge=0, le=254)] | None = None
    secondary: str = ""
    key_file: str = ""
    interval_s: Seconds = 60
    budget_s: Seconds | None = None
    keep_telegrams: bool = False


class ModbusSettings(
    Struct, frozen=True, forbid_unknown_fields=True, tag="modbus", tag_field="driver"
):
    """A Modbus unit."""

    key: str
    name: Text
    line: str
    unit: Annotated[int, Meta(ge=0, le=255)]
    profile: str
    interval_s: Seconds = 60
    budget_s: Seconds | None = None


DeviceSettings = C11Settings | MbusSettings | ModbusSettings


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. Without ``mqtt`` the agent keeps everything and sends nothing."""

    gateway: GatewaySettings
    mqtt: MqttSettings | None = None
    c11do1eth: ServerSettings = ServerSettings()
    line: tuple[LineSettings, ...] = ()
    device: tuple[DeviceSettings, ...] = ()

    @property
    def keep_telegrams(self) -> bool:
        """Whether there is a device whose telegrams go to the cloud."""
        return any(isinstance(one, MbusSettings) and one.keep_telegrams for one in self.device)


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration that holds together: the file's, or a ``version`` that the cloud pushed."""

    path: Path
    settings: Settings
    version: int = 0

    @property
    def name(self) -> str:
        """How errors name it."""
        return pushed_name(self.version) if self.version else str(self.path)

    def beside(self, name: str) -> Path:
        """A path as the file means it: relative to the file's own directory."""
        return self.path.parent / name

    @property
    def database(self) -> Path:
        """The gateway's one data file."""
        return self.beside(self.settings.gateway.data_dir) / "edge.db"

    @property
    def mqtt(self) -> MqttSettings | None:
        """The broker's settings, with paths that can be opened."""
        mqtt = self.settings.mqtt
        if mqtt is None:
            return None
        return msgspec.structs.replace(
            mqtt,
            password_file=str(self.beside(mqtt.password_file)) if mqtt.password_file else "",
            tls_ca_file=str(self.beside(mqtt.tls_ca_file)) if mqtt.tls_ca_file else "",
        )


def load(path: Path) -> Config:
    """Read and check the file.

    Raises ConfigError: one line for each problem found, each with file, key and what was expected.
    """
    return _checked(Config(path, load_toml(path, Settings)))


def parse(toml: str, path: Path, version: int) -> Config:
    """``version`` from the cloud, which stands for the file at ``path``; checked as by ``load``."""
    settings = parse_toml(toml.encode(), Settings, pushed_name(version))
    return _checked(Config(path, settings, version))


def pushed_name(version: int) -> str:
    """How errors and events name what the cloud pushed."""
    return f"version {version} from the cloud"


def _checked(config: Config) -> Config:
    problems = [f"{config.name}: {key}: {reason}" for key, reason in _problems(config)]
    if problems:
        raise ConfigError("\n".join(problems))
    return config


Problems = Iterator[tuple[str, str]]


def _problems(config: Config) -> Problems:
    """Key and reason of what the types alone do not rule out."""
    settings = config.settings
    yield from _key("gateway.id", settings.gateway.id)
    yield from _key("gateway.site", settings.gateway.site)
    try:
        ZoneInfo(settings.gateway.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield "gateway.timezone", f"{settings.gateway.timezone!r}: expected Europe/Bucharest, …"
    yield from _mqtt(config)
    yield from _certificate(config, settings.c11do1eth)
    yield from _lines(settings)
    keys: set[str] = set()
    places: set[tuple[str, int | str]] = set()
    for number, device in enumerate(settings.device, 1):
        where = f"device[{number}]"
        yield from _key(f"{where}.key", device.key)
        if device.key in keys:
            yield f"{where}.key", f"{device.key!r} is taken by another device"
        keys.add(device.key)
        if isinstance(device, C11Settings):
            yield from _module(config, where, device)
            continue
        if device.line not in {line.id for line in settings.line}:
            yield f"{where}.line", f"there is no [[line]] with the id {device.line!r}"
        name, place = _place(device)
        if isinstance(device, MbusSettings):
            yield from _meter_address(where, device)
            yield from _meter_key(config, where, device)
        if (device.line, place) in places:
            yield f"{where}.{name}", f"{place} is taken by another device on {device.line}"
        places.add((device.line, place))


def _place(device: MbusSettings | ModbusSettings) -> tuple[str, int | str]:
    """The key that says where on its line a device is, and what it says."""
    if isinstance(device, ModbusSettings):
        return "unit", device.unit
    if device.address is None:
        return "secondary", device.secondary
    return "address", device.address


def _meter_key(config: Config, where: str, device: MbusSettings) -> Problems:
    if not device.key_file:
        return
    try:
        parse_key(read_secret(config.beside(device.key_file)))
    except (ConfigError, Undecodable) as error:
        yield f"{where}.key_file", str(error)


def parse_key(text: str) -> bytes:
    """An M-Bus meter's AES key from its 32 hex digits. Raises Undecodable, which says no digit."""
    if not re.fullmatch("[0-9A-Fa-f]{32}", text):
        raise Undecodable("expected the meter's key, 32 hex digits")
    return bytes.fromhex(text)


def _meter_address(where: str, device: MbusSettings) -> Problems:
    if (device.address is None) == (not device.secondary):
        yield where, "expected either address (0 to 250) or secondary (12345678)"
        return
    if device.secondary:
        try:
            parse_secondary(device.secondary)
        except Undecodable as error:
            yield f"{where}.secondary", str(error)


def _certificate(config: Config, server: ServerSettings) -> Problems:
    missing = [
        *_files(config, "c11do1eth.tls_cert_file", server.tls_cert_file),
        *_files(config, "c11do1eth.tls_key_file", server.tls_key_file),
    ]
    yield from missing
    if bool(server.tls_cert_file) != bool(server.tls_key_file):
        yield "c11do1eth", "tls_cert_file and tls_key_file go together"
    elif server.tls_cert_file and not missing:
        try:
            ServerCertificate(
                config.beside(server.tls_cert_file), config.beside(server.tls_key_file)
            )
        except ConfigError as error:
            yield "c11do1eth.tls_cert_file", str(error)


def _lines(settings: Settings) -> Problems:
    seen: set[str] = set()
    for number, line in enumerate(settings.line, 1):
        yield from _key(f"line[{number}].id", line.id)
        if line.id in seen:
            yield f"line[{number}].id", f"{line.id!r} is taken by another line"
        seen.add(line.id)
        users = {
            device.__struct_config__.tag
            for device in settings.device
            if not isinstance(device, C11Settings) and device.line == line.id
        }
        if len(users) > 1:
            yield f"line[{number}]", "M-Bus and Modbus devices cannot share a line"


def _mqtt(config: Config) -> Problems:
    mqtt = config.mqtt
    if mqtt is None:
        return
    if not mqtt.host:
        yield "mqtt.host", "expected a host name or address"
    if not 1 <= mqtt.port <= 65535:
        yield "mqtt.port", f"{mqtt.port}: expected 1 to 65535"
    if not 1 <= mqtt.keepalive_s <= 3600:
        yield "mqtt.keepalive_s", f"{mqtt.keepalive_s}: expected 1 to 3600"
    yield from _secret(config, "mqtt.password_file", mqtt.password_file)
    yield from _files(config, "mqtt.tls_ca_file", mqtt.tls_ca_file)


def _module(config: Config, where: str, device: C11Settings) -> Problems:
    if not device.key_file:
        yield f"{where}.key_file", "expected the file with the module's secret"
    yield from _secret(config, f"{where}.key_file", device.key_file, least=16)
    for key, reason in device.problems():
        yield f"{where}.{key}", reason


def _key(where: str, text: str) -> Problems:
    try:
        check_key(text, "it")
    except Undecodable as error:
        yield where, str(error)


def _secret(config: Config, where: str, name: str, least: int = 1) -> Problems:
    if not name:
        return
    try:
        secret = read_secret(config.beside(name))
    except ConfigError as error:
        yield where, str(error)
        return
    if len(secret) < least:
        yield where, f"{name}: the secret is shorter than {least} characters"


def _files(config: Config, where: str, name: str) -> Problems:
    if not name:
        return
    path = config.beside(name)
    try:
        is_file = path.is_file()
    except OSError as error:
        yield where, f"{path}: {error.strerror}"
    else:
        if not is_file:
            yield where, f"{path}: there is no such file"
