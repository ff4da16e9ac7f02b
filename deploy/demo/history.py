"""Two weeks of the demo's site in time-lapse, through the gateway's own drivers and journal.

The simulated devices listen on the wire as ever, the edge agent's collector polls them and its
journal keeps what they say; only the clock that both are given runs ahead. The C11DO1ETH modules
fill their own rings: they replay them when the gateway's communication server first answers.
"""

import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from common.clock import ManualClock, to_ms
from deploy.demo.files import history_span
from edge_agent.app import build
from edge_agent.config import Config, load
from edge_agent.simulators.scenario import load_site
from edge_agent.simulators.site import SimulatedSite

STEP_S = 900
FINE_STEP_S = 60
FINE = timedelta(hours=3)
"""So much of the end goes in fine steps: what a person looks at first."""


def main(argv: Sequence[str]) -> int:
    """``python -m deploy.demo.history STATE_DIRECTORY``"""
    state = Path(argv[0])
    asyncio.run(live_through(state))
    (state / "history.done").touch()
    return 0


async def live_through(state: Path) -> None:
    """Fill the journal and the modules' rings, from two weeks ago until now."""
    start, end = history_span()
    clock = ManualClock(to_ms(start))
    site = SimulatedSite(load_site(state / "scenario.toml"), clock)
    app = await build(without_cloud(load(state / "edge.toml")), clock)
    async with site.listening():
        try:
            for module in site.modules.values():
                module.power_up()
            while clock.now_ms() < to_ms(end):
                fine = clock.now_ms() >= to_ms(end - FINE)
                clock.advance(FINE_STEP_S if fine else STEP_S)
                for module in site.modules.values():
                    module.core.record(clock.now_ms())
                for polled in app.devices.polled.values():
                    await app.collector.poll_once(polled.device)
        finally:
            await app.close()
    for module in site.modules.values():
        module.save()


def without_cloud(config: Config) -> Config:
    """The same gateway with nobody to send to."""
    return Config(config.path, msgspec.structs.replace(config.settings, mqtt=None))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
