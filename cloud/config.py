"""The cloud's configuration file. Every key is described in docs/configuration-cloud.md."""

import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, structs

from cloud.domain.outward import OutwardSettings
from cloud.domain.retention import Retention
from common.errors import ConfigError, Undecodable
from common.ids import check_key
from common.mqtt import MqttSettings
from common.rules import RegisterRef, Rule
from common.settings import load_toml, read_secret
from common.topics import ROOT

DATABASE_URL = "INMETTER_DATABASE_URL"
"""The environment variable that goes before [database]."""

DECIMAL = re.compile(r"[+-]?\d{1,18}(\.\d{1,9})?", re.ASCII)
GROUP = re.compile(r"[A-Za-z0-9_-]{0,48}", re.ASCII)
SQLITE = "sqlite:///"


class DatabaseSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the database is. ``migrate`` None: at every start for SQLite, never for MySQL."""

    url: str = ""
    url_file: str = ""
    migrate: bool | None = None
    pool_size: Annotated[int, Meta(ge=1, le=200)] = 8


class IngestSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """``group`` shares the subscription between workers; empty for a broker that cannot."""

    group: str = "ingest"
    register_gateways: bool = True


class WebSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the REST API and the dashboard listen, what they keep, and how often a client of the
    API may ask."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 8080
    requests_per_s: Annotated[float, Meta(ge=0, le=100_000)] = 50
    requests_at_once: Annotated[int, Meta(ge=1, le=1_000_000)] = 200
    storage_secret_file: str = ""
    sessions_dir: str = ""


class OutwardSection(OutwardSettings, frozen=True, forbid_unknown_fields=True):
    """``mqtt``: a broker of its own; without it, the gateways'."""

    mqtt: MqttSettings | None = None


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    database: DatabaseSettings = DatabaseSettings()
    mqtt: MqttSettings = MqttSettings()
    ingest: IngestSettings = IngestSettings()
    web: WebSettings = WebSettings()
    retention: Retention = Retention()
    outward: OutwardSection | None = None
    rule: list[Rule] = []


@dataclass(frozen=True, slots=True)
class Config:
    """What was configured, checked; secrets are read, paths are seen from the file's folder."""

    settings: Settings
    database_url: str
    migrate: bool
    sessions: Path | None
    storage_secret: str


def load(path: Path) -> Config:
    """The configuration in ``path``; raises ConfigError with the file and the key."""
    settings = load_toml(path, Settings)
    _check_rules(path, settings.rule)
    if not settings.retention.hours_outlast_readings:
        raise ConfigError(f"{path}: retention.hours_months: less than readings_months")
    if not GROUP.fullmatch(settings.ingest.group):
        raise ConfigError(f"{path}: ingest.group: up to 48 letters, digits, - and _")
    folder = path.parent
    mqtt = _mqtt_seen_from(folder, settings.mqtt)
    outward = settings.outward
    if outward:
        _check_outward(path, outward)
        if outward.mqtt:
            outward = structs.replace(outward, mqtt=_mqtt_seen_from(folder, outward.mqtt))
    url = _database_url(path, settings.database)
    migrate = settings.database.migrate
    web = settings.web
    return Config(
        settings=structs.replace(settings, mqtt=mqtt, outward=outward),
        database_url=url,
        migrate=url.startswith("sqlite") if migrate is None else migrate,
        sessions=folder / web.sessions_dir if web.sessions_dir else None,
        storage_secret=(
            read_secret(folder / web.storage_secret_file)
            if web.storage_secret_file
            else secrets.token_urlsafe(32)
        ),
    )


def _mqtt_seen_from(folder: Path, mqtt: MqttSettings) -> MqttSettings:
    return structs.replace(
        mqtt,
        password_file=_seen_from(folder, mqtt.password_file),
        tls_ca_file=_seen_from(folder, mqtt.tls_ca_file),
    )


def _check_outward(path: Path, outward: OutwardSettings) -> None:
    """What is published clears what else is there: it must not meet the gateways' topics."""
    prefix, discovery = outward.prefix.split("/"), outward.discovery_prefix.split("/")
    gateways = ROOT.split("/")
    if prefix[0] == gateways[0] or discovery[0] == gateways[0]:
        raise ConfigError(f"{path}: outward: {gateways[0]}/ is the gateways'")
    if prefix[0] == discovery[0]:
        raise ConfigError(f"{path}: outward.prefix: begins as discovery_prefix does")


def _seen_from(folder: Path, name: str) -> str:
    return str(folder / name) if name else ""


def _database_url(path: Path, database: DatabaseSettings) -> str:
    url = os.environ.get(DATABASE_URL, "")
    if not url and database.url and database.url_file:
        raise ConfigError(f"{path}: database: either url or url_file, not both")
    if not url and database.url_file:
        url = read_secret(path.parent / database.url_file)
    url = url or database.url
    if not url:
        raise ConfigError(f"{path}: database.url: missing (or url_file, or {DATABASE_URL})")
    if url.startswith(SQLITE):
        return f"{SQLITE}{(path.parent / url.removeprefix(SQLITE)).resolve()}"
    return url


def _check_rules(path: Path, rules: Sequence[Rule]) -> None:
    names: set[str] = set()
    for number, rule in enumerate(rules, 1):
        where = f"{path}: rule[{number}]"
        if rule.name in names:
            raise ConfigError(f"{where}.name: {rule.name!r} stands twice")
        names.add(rule.name)
        for key in ("above", "below"):
            text: str = getattr(rule, key)
            if not DECIMAL.fullmatch(text):
                raise ConfigError(f"{where}.{key}: {text[:40]!r} is not an exact decimal")
        if not Decimal(rule.below) < Decimal(rule.above):
            raise ConfigError(f"{where}.below: {rule.below} is not less than above, {rule.above}")
        _check_ref(f"{where}.source", rule.source)
        _check_ref(f"{where}.output", rule.output)


def _check_ref(where: str, ref: RegisterRef) -> None:
    try:
        for key in ("gateway", "device", "register"):
            check_key(getattr(ref, key), key)
    except Undecodable as error:
        raise ConfigError(f"{where}: {error}") from error
