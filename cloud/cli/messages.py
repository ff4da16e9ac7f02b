"""``inmetter-cloud messages``: what gateways sent, and taking it apart again."""

import os
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from cloud.cli.export import moment
from common.clock import SystemClock

if TYPE_CHECKING:
    from cloud.services.store import Store

BY = "command line"


def add_arguments(parser: ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    listed = commands.add_parser("list", help="the messages of a gateway that are kept")
    shown = commands.add_parser("show", help="a message, taken apart")
    again = commands.add_parser(
        "decode-again", help="take messages apart again and compare with what is stored"
    )
    for one in (listed, shown, again):
        one.add_argument("gateway", metavar="GATEWAY", help="its key")
    shown.add_argument("id", metavar="ID", help="as in the list")
    shown.add_argument("--raw", action="store_true", help="its bytes as they came")
    listed.add_argument("--limit", type=int, default=100, metavar="N", help="the newest N; 100")
    for one, needed in ((listed, False), (again, True)):
        one.add_argument(
            "--from", dest="start", type=moment, required=needed, metavar="TIME",
            help="received then or later; ISO 8601 with Z or an offset",
        )  # fmt: skip
        one.add_argument("--to", dest="end", type=moment, metavar="TIME", help="and before this")
    again.add_argument(
        "--store", action="store_true", help="put in what is missing; without, it is only compared"
    )
    again.add_argument("--reason", default="", help="why; it is written down")


def run(arguments: Namespace, database_url: str) -> None:
    """Raises InMetterError."""
    # Not before: a worker loads this module for its arguments only.
    from cloud.services import gateways
    from cloud.services.store import Store

    store = Store(database_url)
    try:
        gateway_id = gateways.id_of(store, arguments.gateway)
        if arguments.what == "list":
            _list(store, gateway_id, arguments)
        elif arguments.what == "show":
            _show(store, gateway_id, arguments.id, arguments.raw)
        else:
            _decode_again(store, gateway_id, arguments, SystemClock().now_ms())
    finally:
        store.close()


def _list(store: "Store", gateway_id: int, arguments: Namespace) -> None:
    from cloud.services import messages

    start, end = messages.span_of(arguments.start, arguments.end)
    for one in messages.messages(
        store, gateway_id, start_ms=start, end_ms=end, limit=max(1, arguments.limit)
    ):
        entries = "" if one.first is None else f"{one.first}..{one.last}"
        print(
            f"{one.id}\t{one.received_at.isoformat(timespec='milliseconds')}\t{one.kind}"
            f"\t{one.stream}\t{entries}\t{one.size}\t{one.outcome}"
        )


def _show(store: "Store", gateway_id: int, message_id: str, raw: bool) -> None:
    from cloud.services import messages

    if raw:
        with os.fdopen(1, "wb", closefd=False) as file:
            file.write(messages.raw(store, gateway_id, message_id))
        return
    found = messages.opened(store, gateway_id, message_id)
    print(f"{found.message.kind}  {found.message.outcome}  {found.problem}".rstrip())
    if found.body is not None:
        print(found.body)
    for entry in found.entries:
        if entry.body is not None:
            print(f"{entry.seq}\t{entry.problem or entry.body}")
        for one in entry.readings:
            name = f"{one.device}/{one.register}" if one.device else f"number {one.no}"
            at = "" if entry.at is None else entry.at.isoformat(timespec="milliseconds")
            value = "" if one.value is None else format(one.value, "f")
            print(f"{entry.seq}\t{at}\t{name}\t{value}\t{one.quality}")
    if found.count > len(found.entries):
        print(f"and {found.count - len(found.entries):,} more entries")


def _decode_again(store: "Store", gateway_id: int, arguments: Namespace, now_ms: int) -> None:
    from cloud.services.decoding import Found, decode_again
    from cloud.services.messages import span_of
    from cloud.services.points import Change

    change = Change(BY, now_ms, arguments.reason) if arguments.store else None
    start, end = span_of(arguments.start, arguments.end)
    result = decode_again(store, gateway_id, start, end, change)
    print(
        f"{result.messages:,} messages, {result.unreadable:,} unreadable;"
        f" {result.nameless:,} readings that nothing names; {result.stored:,} readings put in"
    )
    for (device, register), counts in sorted(result.registers.items()):
        told = ", ".join(f"{counts[one]:,} {one}" for one in Found if counts[one])
        print(f"{device}/{register}\t{told}")
