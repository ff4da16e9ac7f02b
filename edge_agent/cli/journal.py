"""``inmetter-edge journal``: how full it is, whether it is sound, what is in it; and salvage."""

import asyncio
import csv
import json
import sqlite3
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from common.clock import SystemClock
from common.errors import ConfigError, NotFound, Permanent, Undecodable
from common.messages.uplink import Readings, decode_body
from edge_agent.cli.arguments import add_config, add_json
from edge_agent.cli.progress import show
from edge_agent.cli.table import table
from edge_agent.config import Config, load
from edge_agent.store.database import Database, StorageError, is_in_use, read_only
from edge_agent.store.figures import Figures, figures
from edge_agent.store.journal import Journal
from edge_agent.store.salvage import salvage
from edge_agent.store.tables import get
from edge_agent.store.tail import COLUMNS
from edge_agent.store.verify import problems

MB = 1_000_000
GOOD, FINDING = 0, 1


def add_arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    status = actions.add_parser("status", help="how full it is, and what the cloud lacks")
    verify = actions.add_parser("verify", help="look for damage and for holes; 1 if there are any")
    export = actions.add_parser("export", help="print its entries: JSON lines, or CSV of readings")
    rescue = actions.add_parser("salvage", help="queue what a damaged file still holds")
    for action in (status, verify, export, rescue):
        add_config(action)
    for action in (status, verify, rescue):
        add_json(action)
    export.add_argument("--csv", action="store_true", help="a line for each value")
    export.add_argument("--from", dest="first", type=int, default=1, metavar="SEQ")
    export.add_argument("--to", dest="last", type=int, default=2**62, metavar="SEQ")
    export.add_argument("--since", type=_moment, default=0, metavar="TIME", help="appended then")
    export.add_argument("--until", type=_moment, default=2**62, metavar="TIME", help="or before")
    rescue.add_argument("file", type=Path, metavar="FILE", help="such as edge.db.damaged-…")


def run(arguments: Namespace) -> int:
    """All but salvage read only, and beside a running agent. Raises InMetterError."""
    config = load(arguments.config)
    if arguments.action == "salvage":
        _check_file(config, arguments.file)
        return asyncio.run(_salvage(config, arguments.file, arguments.json))
    if not config.database.exists():
        raise NotFound(f"{config.database}: is not there; the agent makes it at its first start")
    try:
        with closing(read_only(config.database)) as connection:
            if arguments.action == "status":
                return _status(config, connection, arguments.json)
            if arguments.action == "verify":
                return _verify(config, connection, arguments.json)
            _export(connection, arguments)
            return GOOD
    except sqlite3.Error as error:
        raise StorageError(f"{config.database}: cannot be read: {error}") from error


def _status(config: Config, connection: sqlite3.Connection, as_json: bool) -> int:
    gateway = config.settings.gateway
    found = figures(connection, gateway.journal_bytes, config.database)
    stream = get(connection, "stream")
    if as_json:
        running = is_in_use(config.database)
        print(json.dumps({"stream": stream, "running": running, **asdict(found)}))
        return GOOD
    rows = [["stream", stream or "none"], *_rows(found)]
    if found.lost:
        lost = connection.execute("SELECT reason, sum(last - first + 1) FROM lost GROUP BY reason")
        rows += [["lost", f"{count}: {reason}"] for reason, count in lost]
    print(table(("journal", str(config.database)), rows))
    return GOOD


def _rows(found: Figures) -> list[list[str]]:
    hours = "not known" if found.hours_left is None else f"{found.hours_left:.0f} h"
    rate = "not known" if found.per_hour is None else f"{found.per_hour} entries an hour"
    share = 100 * found.used / found.quota
    return [
        ["entries", f"{found.entries}, the oldest of {_time(found.oldest_at)}"],
        ["in use", f"{found.used / MB:.1f} MB, {share:.1f} % of {found.quota / MB:.0f} MB"],
        ["the cloud lacks", f"{found.queued}, the oldest of {_time(found.queued_at)}"],
        ["rate", rate],
        ["outage", f"room for {hours} without the cloud"],
    ]


def _verify(config: Config, connection: sqlite3.Connection, as_json: bool) -> int:
    try:
        found = list(problems(connection))
    except sqlite3.Error as error:
        found = [f"the file is damaged: {error}"]
    if as_json:
        print(json.dumps({"file": str(config.database), "problems": found}))
    elif found:
        print("\n".join(found))
    else:
        print(f"{config.database}: sound; nothing is missing without a reason")
    return FINDING if found else GOOD


def _export(connection: sqlite3.Connection, arguments: Namespace) -> None:
    bounds = (arguments.first, arguments.last, arguments.since, arguments.until)
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM entry"  # noqa: S608
        " WHERE seq BETWEEN ? AND ? AND at >= ? AND at <= ? ORDER BY seq",
        bounds,
    )
    if not arguments.csv:
        for seq, at, boot, mono, clock, body in rows:
            stamp = {"seq": seq, "at": at, "boot": boot, "mono": mono, "clock": clock}
            print(json.dumps({**stamp, "body": json.loads(body)}, ensure_ascii=False))
        return
    names = {
        no: (device, key, decimals)
        for no, device, key, decimals in connection.execute(
            "SELECT no, device, key, decimals FROM register"
        )
    }
    writer = csv.writer(sys.stdout)
    writer.writerow(["seq", "time", "device", "register", "value", "quality", "raw"])
    for seq, _, _, _, _, body in rows:
        for line in _lines(body, names):
            writer.writerow([seq, *line])


def _lines(body: bytes, names: dict[int, tuple[str, str, int]]) -> Iterator[list[object]]:
    try:
        readings = decode_body(body)
    except Undecodable:
        return
    if not isinstance(readings, Readings):
        return
    for value in readings.r:
        device, key, decimals = names.get(value.no, ("", str(value.no), 0))
        scaled = "" if value.value is None else _decimal(value.value, decimals)
        raw = "" if value.raw is None else value.raw
        yield [_time(readings.at), device, key, scaled, value.quality, raw]


def _decimal(scaled: int, decimals: int) -> str:
    digits = f"{abs(scaled):0{decimals + 1}d}"
    text = f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits
    return f"-{text}" if scaled < 0 else text


def _check_file(config: Config, path: Path) -> None:
    if not path.exists():
        raise NotFound(f"{path}: is not there")
    if path.resolve() == config.database.resolve():
        raise ConfigError(f"{path}: is the journal in use; the agent sets a damaged one aside")
    if is_in_use(config.database):
        raise Permanent(
            f"{config.database}: an agent is running, which alone may write there; stop it "
            "(systemctl stop inmetter-edge), salvage, and start it again"
        )


async def _salvage(config: Config, path: Path, as_json: bool) -> int:
    database = Database(config.database)
    try:
        show(f"reading {path}")
        haul = await salvage(await Journal.open(database, SystemClock()), path)
    finally:
        show("")
        await asyncio.to_thread(database.close)
    if as_json:
        print(json.dumps({**asdict(haul), "unread": list(haul.unread)}))
        return GOOD
    print(f"{haul.queued} entries of stream {haul.stream} are queued")
    if haul.known:
        print(f"{haul.known} had been salvaged before")
    if haul.unread:
        print(f"{haul.unread.count()} numbers are on pages that cannot be read")
    return GOOD


def _time(at: int | None) -> str:
    if at is None:
        return "-"
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")


def _moment(text: str) -> int:
    """Epoch milliseconds of an ISO time; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time such as 2026-03-01T12:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
