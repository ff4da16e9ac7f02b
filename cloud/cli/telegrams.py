"""``inmetter-cloud telegrams``: what a device answered, for ``inmetter-edge decode mbus -``."""

from argparse import ArgumentParser, Namespace

from cloud.cli.export import moment


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("gateway", metavar="GATEWAY", help="its key")
    parser.add_argument("device", metavar="DEVICE", help="its key")
    parser.add_argument(
        "--since", type=moment, metavar="TIME", help="then or later; ISO 8601 with Z or an offset"
    )
    parser.add_argument("--until", type=moment, metavar="TIME", help="and before this")


def run(arguments: Namespace, database_url: str) -> None:
    """A line for each: its time, and the frame in hex. Raises InMetterError."""
    # Not before: a worker loads this module for its arguments only.
    from cloud.services import gateways
    from cloud.services.messages import span_of
    from cloud.services.store import Store
    from cloud.services.telegrams import all_telegrams

    store = Store(database_url)
    try:
        gateway_id = gateways.id_of(store, arguments.gateway)
        start, end = span_of(arguments.since, arguments.until)
        for one in all_telegrams(store, gateway_id, arguments.device, start, end):
            at = one.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            print(at, one.frame)
    finally:
        store.close()
