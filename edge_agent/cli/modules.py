"""C11DO1ETH modules that connect to a command of the installer's, which keeps nothing they say."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from common.clock import Clock
from common.errors import Unreachable
from edge_agent.config import Config
from edge_agent.devices import Devices, communication_server
from edge_agent.drivers.base import Sample
from edge_agent.drivers.c11do1eth import Item
from edge_agent.metering.pulses import measure
from edge_agent.protocols.c11do1eth import Clock as ItemClock
from edge_agent.protocols.c11do1eth import Hello, Rec
from edge_agent.store.database import is_in_use


class Listener:
    """Takes the first record of each module and acknowledges none: none is lost.

    A session stays open, and its modules wait for their acknowledgement.
    """

    def __init__(self, devices: Devices) -> None:
        loop = asyncio.get_running_loop()
        self._devices = devices
        self.samples: dict[str, asyncio.Future[Sample]] = {
            key: loop.create_future() for key in devices.modules
        }

    async def resume(self, device: str, hello: Hello) -> int:
        return hello.oldest - 1

    async def store(self, device: str, items: Sequence[Item]) -> int:
        module, future = self._devices.modules[device], self.samples[device]
        for item in items:
            if isinstance(item, Rec) and not future.done():
                time_ok = item.clock is not ItemClock.UNKNOWN
                future.set_result(
                    Sample(device, item.at_ms, measure(module, item, time_ok=time_ok))
                )
        await asyncio.Event().wait()
        raise AssertionError


def absence(config: Config, wait_s: float) -> str:
    """Why a module may not have come, in as many words as fit a table."""
    server = config.settings.c11do1eth
    where = f"has not connected to {server.host}:{server.port} within {wait_s:g} s"
    loopback = server.host in ("localhost", "::1") or server.host.startswith("127.")
    own = f"{server.host} is this computer only (c11do1eth.host), " if loopback else ""
    return (
        f"{where}: {own}the server set in the module is not this computer, or its key is another; "
        f"`inmetter-edge scan c11do1eth {config.path}` says who calls"
    )


@asynccontextmanager
async def listening(config: Config, devices: Devices, clock: Clock) -> AsyncIterator[Listener]:
    """Modules may connect for the length of the ``async with``.

    Raises Unreachable when the port is taken, with a word on who may have it.
    """
    listener = Listener(devices)
    server = communication_server(config, devices.modules, listener, clock)
    running = asyncio.ensure_future(server.run())
    try:
        ready = asyncio.ensure_future(server.listening())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if running.done():
            raise Unreachable(_taken(config, running.exception()))
        yield listener
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _taken(config: Config, error: BaseException | None) -> str:
    port = config.settings.c11do1eth.port
    if is_in_use(config.database):
        return (
            f"port {port} is the running agent's: stop it first (systemctl stop inmetter-edge), "
            "or use the dashboard"
        )
    return f"port {port} cannot be listened on: {error}"
