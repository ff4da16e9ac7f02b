"""``inmetter-edge simulate``: devices on the wire, without hardware."""

from collections.abc import Sequence


def simulate(arguments: Sequence[str]) -> int:
    """Hand over to the simulators, which nothing that runs at a customer's imports."""
    from edge_agent.simulators.__main__ import main

    return main(arguments)
