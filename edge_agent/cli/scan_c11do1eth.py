"""``inmetter-edge scan c11do1eth``: which modules call this computer, and would they get in?

It listens as the agent does, lets each module introduce itself and prove its key, and hangs up:
nothing is welcomed and nothing acknowledged, so that a module keeps all that it has.
"""

import asyncio
import errno
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from common.clock import SystemClock
from common.errors import ConfigError, Unreachable
from edge_agent.cli.arguments import WAIT_S, seconds
from edge_agent.cli.document import document
from edge_agent.cli.table import table
from edge_agent.config import Config, GatewaySettings, ServerSettings, Settings
from edge_agent.devices import Devices, communication_server
from edge_agent.drivers.c11do1eth import Caller, Counters, Item, Verdict
from edge_agent.protocols.c11do1eth import Hello
from edge_agent.pushed import running
from edge_agent.store.database import is_in_use

KEY = {Verdict.KNOWN: "right", Verdict.WRONG_KEY: "wrong", Verdict.UNKNOWN: None}
_WORDS = {
    Verdict.KNOWN: "configured, its key is right",
    Verdict.WRONG_KEY: "configured, but its key is wrong: compare key_file with the module's",
    Verdict.UNKNOWN: "not configured",
}
NOBODY = GatewaySettings("scan", "scan", "scan", "scan", "UTC")


@dataclass(frozen=True, slots=True)
class Module:
    """A module that has called, as it was at its last call."""

    caller: Caller
    calls: int = 1

    @property
    def configured(self) -> bool:
        return self.caller.verdict is not Verdict.UNKNOWN

    @property
    def key(self) -> str | None:
        """Whether its key is right or wrong; None where none is configured."""
        return KEY[self.caller.verdict]


@dataclass(frozen=True, slots=True)
class Found:
    """What a scan has heard; ``causes``: why it may have been nobody."""

    server: ServerSettings
    modules: tuple[Module, ...]
    causes: tuple[str, ...]


class _OnlyLooking:
    """A sink that welcomes nobody."""

    async def resume(self, device: str, hello: Hello) -> int:
        raise Unreachable("this is only a scan")

    async def store(self, device: str, items: Sequence[Item]) -> int:
        raise AssertionError("nobody was welcomed")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "config", type=Path, nargs="?", help="the configuration file, to check keys with"
    )
    parser.add_argument("--host", help="the address to listen on; 0.0.0.0 for the whole network")
    parser.add_argument("--port", type=int, help=f"the port ({ServerSettings().port})")
    parser.add_argument(
        *("--wait", "-w"),
        type=seconds,
        default=WAIT_S,
        metavar="S",
        help=f"seconds to wait ({WAIT_S:g}); less when every configured module has called",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: Namespace) -> int:
    """Print a table or JSON; 0 when somebody called, else 1. Raises ConfigError, Unreachable."""
    config = _config(arguments.config, arguments.host, arguments.port)
    found = asyncio.run(_until_told(config, arguments.wait))
    print(_json(found) if arguments.json else _text(found))
    return 0 if found.modules else 1


async def listen(
    config: Config, wait_s: float, heard: Callable[[Caller], None], stop: asyncio.Event
) -> Found:
    """Who calls within ``wait_s`` or until ``stop``; no longer than until every configured module
    has called. ``heard`` is told of each call. Raises Unreachable when the port is taken."""
    clock = SystemClock()
    devices = Devices(config, clock)
    modules: dict[str, Module] = {}

    def called(caller: Caller) -> None:
        before = modules.get(caller.device)
        modules[caller.device] = Module(caller, before.calls + 1 if before else 1)
        heard(caller)
        if devices.modules and devices.modules.keys() <= modules.keys():
            stop.set()

    server = communication_server(config, devices.modules, _OnlyLooking(), clock)
    server.on_caller = called
    running = asyncio.ensure_future(server.run())
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({running, stopped}, timeout=wait_s, return_when="FIRST_COMPLETED")
        if running.done():
            running.result()
    except OSError as error:
        raise Unreachable(_not_listening(config, error)) from error
    finally:
        for task in (running, stopped):
            task.cancel()
        await asyncio.gather(running, stopped, return_exceptions=True)
        await devices.close()
    settings = config.settings.c11do1eth
    causes = () if modules else tuple(_causes(settings, server.counters, wait_s))
    return Found(settings, tuple(modules.values()), causes)


async def _until_told(config: Config, wait_s: float) -> Found:
    """Ctrl-C ends the waiting, and what was found until then is shown."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    server = config.settings.c11do1eth
    _say(f"listening on {server.host}:{server.port} for {wait_s:g} s; Ctrl-C ends it sooner")
    return await listen(config, wait_s, lambda caller: _say(_line(caller)), stop)


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(text, file=sys.stderr)


def _line(caller: Caller) -> str:
    return f"{caller.device} calls from {caller.address}: {_WORDS[caller.verdict]}"


def _config(path: Path | None, host: str | None, port: int | None) -> Config:
    """The file's, or one without any device; ``host`` and ``port`` instead of the file's."""
    config = running(path) if path else Config(Path("-"), Settings(NOBODY))
    server = config.settings.c11do1eth
    if port is not None and not 1 <= port <= 65535:
        raise ConfigError(f"--port: {port}: expected 1 to 65535")
    server = replace(server, host=host or server.host, port=port or server.port)
    return Config(config.path, replace(config.settings, c11do1eth=server))


def _not_listening(config: Config, error: OSError) -> str:
    server = config.settings.c11do1eth
    where = f"{server.host}:{server.port}"
    if error.errno != errno.EADDRINUSE:
        return f"{where} cannot be listened on: {error.strerror or error}"
    if is_in_use(config.database):
        return (
            f"{where} is the running agent's. Its log says who calls and who is refused;"
            " or stop it (systemctl stop inmetter-edge) and scan again"
        )
    return (
        f"{where} is taken by another program, perhaps an agent: ss -ltnp 'sport = {server.port}'"
    )


def _causes(server: ServerSettings, seen: Counters, wait_s: float) -> Iterator[str]:
    """Why nobody may have called, the likeliest first."""
    if seen.refused_tls and server.tls_cert_file:
        yield (
            f"{seen.refused_tls} connections failed at TLS: the module does not speak it, or does"
            " not trust this certificate"
        )
    elif seen.refused_tls:
        yield f"{seen.refused_tls} connections spoke TLS: set c11do1eth.tls_cert_file"
    if strange := seen.refused_protocol + seen.refused_rate + seen.handshake_timeouts:
        yield f"{strange} connections did not introduce themselves: no module, or another protocol"
    if server.host in ("localhost", "::1") or server.host.startswith("127."):
        yield f"{server.host} is this computer only: --host 0.0.0.0 lets the network in"
    yield f"the server in the module is not this computer's address with port {server.port}"
    yield f"a firewall here or between does not let port {server.port} in"
    yield "the module has no power or no network: look at the lamps of its Ethernet socket"
    if wait_s < WAIT_S:
        yield f"a module may pause for a minute between calls: --wait {WAIT_S:g}"


def _text(found: Found) -> str:
    if found.modules:
        rows = [
            [
                one.caller.device,
                one.caller.model,
                one.caller.firmware,
                one.caller.address,
                str(one.calls),
                _WORDS[one.caller.verdict],
            ]
            for one in found.modules
        ]
        return table(["device", "model", "firmware", "address", "calls", "verdict"], rows)
    causes = "\n".join(f"- {cause}" for cause in found.causes)
    return f"nobody has called {found.server.host}:{found.server.port}. Likely causes:\n{causes}"


def _json(found: Found) -> str:
    said = {
        "listened_on": f"{found.server.host}:{found.server.port}",
        "modules": [
            {
                "device": one.caller.device,
                "model": one.caller.model,
                "firmware": one.caller.firmware,
                "address": one.caller.address,
                "calls": one.calls,
                "configured": one.configured,
                "key": one.key,
            }
            for one in found.modules
        ],
        "likely_causes": list(found.causes),
    }
    return document(said)
