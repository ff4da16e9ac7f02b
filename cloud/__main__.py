"""``inmetter-cloud``: the cloud's parts, its database's structure, its accounts, its data."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cloud.cli import export, importing, messages, telegrams
from common import logs
from common.clock import SystemClock
from common.errors import ConfigError, InMetterError
from common.garbage import collect_seldom
from common.settings import read_secret

if TYPE_CHECKING:
    from cloud.config import Config

GOOD, FAILED, USAGE = 0, 1, 2
CONFIG = "INMETTER_CLOUD_CONFIG"
ROLES = {
    "all": ("web", "ingest", "dispatch", "upkeep"),
    "web": ("web",),
    "ingest": ("ingest",),
    "dispatch": ("dispatch",),
    "upkeep": ("upkeep",),
    "outward": ("outward",),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 good, 1 it failed, 2 wrong usage or configuration."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.config is None:
        parser.error(f"no configuration: give --config or set {CONFIG}")
    logs.configure(arguments.log_level)
    try:
        _run(arguments)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return USAGE
    except InMetterError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    return GOOD


def _run(arguments: argparse.Namespace) -> None:
    # Each command imports what it needs: an ingest worker loads no web server.
    from cloud.config import load

    config = load(arguments.config)
    if arguments.command in ROLES:
        from cloud.app import run

        collect_seldom()
        roles = roles_of(arguments.command, config)
        asyncio.run(run(config, roles, arguments.metrics_port))
    elif arguments.command == "migrate":
        from cloud.storage.migrations import migrate

        migrate(config.database_url)
    elif arguments.command == "export":
        export.run(arguments, config.database_url)
    elif arguments.command == "import":
        importing.run(arguments, config.database_url)
    elif arguments.command == "messages":
        messages.run(arguments, config.database_url)
    elif arguments.command == "telegrams":
        telegrams.run(arguments, config.database_url)
    else:
        _user(arguments, config.database_url)


def roles_of(command: str, config: "Config") -> tuple[str, ...]:
    """What runs for a command; others are told something only where that is configured."""
    outward = command == "all" and config.settings.outward is not None
    return (*ROLES[command], "outward") if outward else ROLES[command]


def _user(arguments: argparse.Namespace, database_url: str) -> None:
    from cloud.services import accounts
    from cloud.services.scopes import Scope
    from cloud.services.store import Store
    from cloud.services.views import Role

    store = Store(database_url)
    now_ms = SystemClock().now_ms()
    if arguments.user_command == "add":
        password = _password(arguments.password_file)
        accounts.create(store, arguments.name, password, Role(arguments.role), now_ms)
    elif arguments.user_command == "token":
        ttl = timedelta(days=arguments.days) if arguments.days else None
        scopes = [Scope(one) for one in arguments.scope]
        print(
            accounts.create_token(
                store, arguments.name, arguments.label, now_ms, ttl, scopes=scopes
            )
        )
    else:
        for account in accounts.accounts(store):
            print(f"{account.name}\t{account.role}{'  disabled' if account.disabled else ''}")
    store.close()


def _password(file: Path | None) -> str:
    """From the file, or a line of standard input: never from the command line, which others see."""
    if file is not None:
        return read_secret(file)
    if sys.stdin.isatty():
        import getpass

        return getpass.getpass()
    return sys.stdin.readline().rstrip("\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inmetter-cloud", description=__doc__)
    given = os.environ.get(CONFIG)
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(given) if given else None,
        metavar="FILE",
        help=f"the configuration file (TOML); also {CONFIG}",
    )
    parser.add_argument(
        "--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"]
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for role, text in (
        (
            "all",
            "web, ingest, dispatch and upkeep in one process; outward too, if it is configured",
        ),
        ("web", "the REST API and the dashboard"),
        ("ingest", "takes in what gateways say"),
        ("dispatch", "sends commands"),
        ("upkeep", "sums up readings by hour and day, analyses consumption"),
        ("outward", "publishes metering points over MQTT for others, Home Assistant too"),
    ):
        commands.add_parser(role, help=text).add_argument(
            "--metrics-port",
            type=int,
            metavar="PORT",
            help="answer Prometheus on this port too, to programs of this machine",
        )
    commands.add_parser("migrate", help="bring the database to this version's structure")
    export.add_arguments(commands.add_parser("export", help="take data out as a file"))
    importing.add_arguments(commands.add_parser("import", help="take a file's data in"))
    messages.add_arguments(commands.add_parser("messages", help="what gateways sent"))
    telegrams.add_arguments(commands.add_parser("telegrams", help="what a device answered"))
    user = commands.add_parser("user", help="accounts").add_subparsers(
        dest="user_command", required=True
    )
    add = user.add_parser("add", help="a new account; the password comes from standard input")
    add.add_argument("name")
    add.add_argument("--role", default="viewer", choices=["viewer", "operator", "admin"])
    add.add_argument("--password-file", type=Path, metavar="FILE")
    user.add_parser("list", help="all accounts")
    token = user.add_parser("token", help="a new API token; it is shown once")
    token.add_argument("name")
    token.add_argument("--label", default="command line", help="what it is for")
    token.add_argument("--days", type=int, help="valid so long; for ever without")
    token.add_argument(
        "--scope",
        action="append",
        default=[],
        choices=["read", "command", "bill", "configure"],
        help="what it is for, and nothing else; give it again for more. All that the account's"
        " role has without",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
