"""Where the gateway keeps its data and its secrets."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from edge_agent.config import C11Settings, Config
from edge_agent.doctor.finding import Finding, bad, good, unknown, warning
from edge_agent.store.database import is_in_use, read_only
from edge_agent.store.figures import figures

MB = 1_000_000
LITTLE_BYTES, TOO_LITTLE_BYTES = 1_000 * MB, 100 * MB
LITTLE_HOURS = 24
LOCKED_S = 1.0
"""So long the doctor waits for a data file that another program has locked."""

FORGETFUL = {"tmpfs", "ramfs", "overlay"}
NOT_DURABLE = {"vfat", "exfat", "nfs", "nfs4", "cifs", "fuse", "9p"}


def check_data(config: Config) -> Iterator[Finding]:
    """The data directory, the disk under it, the data file, the key files, the serial ports."""
    directory = config.database.parent
    standing = next(one for one in (directory, *directory.parents) if _is_there(one))
    yield _directory(directory, standing)
    yield _room(standing)
    yield _file_system(standing)
    yield _data_file(config.database)
    yield from _outage(config)
    for key, path in _secrets(config):
        yield _secret(key, path)
    for line in config.settings.line:
        parts = urlsplit(line.url)
        if parts.scheme == "serial":
            yield _port(line.id, Path(parts.path))


def _directory(directory: Path, standing: Path) -> Finding:
    if not os.access(standing, os.W_OK | os.X_OK):
        return bad(
            "data directory",
            f"{standing} cannot be written by this user",
            f"run this as the agent's user, or give it to that user: chown -R USER {standing}",
        )
    if directory != standing:
        return good("data directory", f"{directory} is made at the first start")
    if directory.stat().st_mode & 0o022:
        return warning(
            "data directory", f"others may write in {directory}", f"chmod 700 {directory}"
        )
    return good("data directory", str(directory))


def _is_there(path: Path) -> bool:
    """False also for what stands in a directory that is closed to this user."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def _room(standing: Path) -> Finding:
    found = os.statvfs(standing)
    free = found.f_bavail * found.f_frsize
    text = f"{free // MB} MB are free on the disk of {standing}"
    if free < TOO_LITTLE_BYTES or not found.f_favail:
        return bad("disk space", text, "make room now: when the disk is full, nothing is stored")
    if free < LITTLE_BYTES:
        return warning("disk space", text, "make room, or keep fewer days: gateway.keep_days")
    return good("disk space", text)


def _file_system(standing: Path, mounts: Path = Path("/proc/mounts")) -> Finding:
    try:
        lines = [line.split() for line in mounts.read_text("utf-8").splitlines()]
    except OSError as error:
        return unknown("file system", str(error), "look at df -T")
    path = standing.resolve()
    holding = [line for line in lines if path.is_relative_to(_unescaped(line[1]))]
    if not holding:
        return unknown("file system", f"no mount is known for {path}", "look at df -T")
    kind, options = max(holding, key=lambda line: len(line[1]))[2:4]
    if "ro" in options.split(","):
        return bad(
            "file system", f"{kind}, mounted read-only", "the card may be worn out: see dmesg"
        )
    if kind in FORGETFUL:
        return bad(
            "file system",
            f"{kind}: it may forget everything when the power goes",
            "set gateway.data_dir to a directory on a disk",
        )
    if kind in NOT_DURABLE or kind.startswith("fuse"):
        return warning(
            "file system",
            f"{kind} does not promise that what is written survives a power cut",
            "set gateway.data_dir to a directory on a local ext4 disk",
        )
    return good("file system", kind)


def _unescaped(mount: str) -> str:
    return mount.replace("\\040", " ")


def _data_file(path: Path) -> Finding:
    if not os.access(path.parent, os.X_OK) and _is_there(path.parent):
        return unknown("data file", f"{path}: not for this user", "run this as the agent's user")
    if not _is_there(path):
        return good("data file", f"{path} is made at the first start")
    if not os.access(path, os.R_OK | os.W_OK):
        return bad("data file", f"{path} may not be used by this user", f"chown USER {path}*")
    try:
        with closing(read_only(path, LOCKED_S)) as connection:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        return unknown("data file", f"{path}: {error}", "try again while the agent is running")
    except sqlite3.DatabaseError as error:
        found = str(error)
    used = ", in use by a running agent" if is_in_use(path) else ""
    if found != "ok":
        return bad(
            "data file",
            f"{path} is damaged: {found}",
            "copy it away; at its next start the agent sets it aside and begins a new one",
        )
    return good("data file", f"{path}: whole, {path.stat().st_size / MB:.1f} MB{used}")


def _outage(config: Config) -> Iterator[Finding]:
    """How long the journal would do without the cloud, where that can be said."""
    path = config.database
    if not os.access(path, os.R_OK):
        return
    try:
        with closing(read_only(path, LOCKED_S)) as connection:
            found = figures(connection, config.settings.gateway.journal_bytes, path)
    except sqlite3.Error:
        return  # which is the finding about the data file
    if found.hours_left is None:
        return
    text = (
        f"room for {found.hours_left:.0f} h without the cloud, at {found.per_hour} entries an hour"
    )
    if found.hours_left < LITTLE_HOURS:
        yield warning("outage", text, "make room on the disk, or raise gateway.journal_bytes")
    else:
        yield good("outage", text)


def _secrets(config: Config) -> Iterator[tuple[str, Path]]:
    mqtt = config.mqtt
    if mqtt and mqtt.password_file:
        yield "mqtt.password_file", Path(mqtt.password_file)
    if config.settings.c11do1eth.tls_key_file:
        yield "c11do1eth.tls_key_file", config.beside(config.settings.c11do1eth.tls_key_file)
    for device in config.settings.device:
        if isinstance(device, C11Settings):
            yield f"{device.key} key_file", config.beside(device.key_file)


def _secret(key: str, path: Path) -> Finding:
    subject = f"secret {key}"
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return bad(subject, f"{path}: {error.strerror}", "put the secret there, with mode 600")
    if not os.access(path, os.R_OK):
        return bad(subject, f"{path} cannot be read by this user", f"chown USER {path}")
    if mode & 0o077:
        return warning(subject, f"{path} can be read by others", f"chmod 600 {path}")
    return good(subject, str(path))


def _port(line: str, path: Path) -> Finding:
    subject = f"line {line}"
    if not _is_there(path):
        return bad(
            subject, f"there is no {path}", "is the adapter plugged in? ls /dev/serial/by-id"
        )
    if not os.access(path, os.R_OK | os.W_OK):
        return bad(
            subject,
            f"{path} may not be used by this user",
            "sudo usermod -aG dialout USER, and log in anew",
        )
    return good(subject, str(path))
