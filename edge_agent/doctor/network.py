"""The network: interfaces, the way out, the broker, and the port that modules connect to."""

import asyncio
import contextlib
import secrets
import socket
import ssl
from ipaddress import ip_address
from pathlib import Path

from common import topics
from common.errors import ConfigError, Unreachable
from common.mqtt import MqttSettings, try_login
from edge_agent.config import Config, ServerSettings
from edge_agent.doctor.finding import Finding, Verdict, bad, good, unknown, warning
from edge_agent.store.database import is_in_use

WITHIN_S = 10.0
CONNECTED = Path("/sys/class/net")
ROUTES = Path("/proc/net/route")


async def check_network(config: Config, within_s: float = WITHIN_S) -> list[Finding]:
    """Interfaces and routes, then the broker as far as it can be reached, then our own port."""
    findings = [_interfaces(), _default_route()]
    if config.mqtt is None:
        findings.append(
            warning("broker", "none is configured", "add [mqtt]: without it nothing is sent")
        )
    else:
        findings += await check_broker(config.mqtt, config.settings.gateway.id, within_s)
    if config.settings.c11do1eth and _has_modules(config):
        findings.append(await _port(config.settings.c11do1eth, is_in_use(config.database)))
    return findings


async def check_broker(mqtt: MqttSettings, gateway: str, within_s: float) -> list[Finding]:
    """Its name, its port, its certificate, our login: until the first that is not there."""
    findings: list[Finding] = []
    try:
        addresses = await _addresses(mqtt.host, within_s)
    except (OSError, TimeoutError) as error:
        return [
            bad("broker's name", f"{mqtt.host}: {_words(error)}", "is DNS set? mqtt.host right?")
        ]
    findings.append(good("broker's name", f"{mqtt.host} is {', '.join(addresses)}"))
    where = f"{mqtt.host}:{mqtt.port}"
    try:
        await _connect(mqtt, within_s, tls=False)
    except (OSError, TimeoutError) as error:
        advice = "is mqtt.port right, the broker up, the port open in the firewall?"
        return [*findings, bad("broker's port", f"{where}: {_words(error)}", advice)]
    findings.append(good("broker's port", f"{where} takes connections"))
    if mqtt.tls_ca_file:
        tls = await _tls(mqtt, where, within_s)
        findings.append(tls)
        if tls.verdict is Verdict.BAD:
            return findings
    elif not _is_loopback(addresses):
        findings.append(
            warning(
                "broker's TLS",
                "is off: whoever listens reads the password and every reading",
                "set mqtt.tls_ca_file",
            )
        )
    findings.append(await _login(mqtt, gateway, within_s))
    return findings


async def _tls(mqtt: MqttSettings, where: str, within_s: float) -> Finding:
    subject = "broker's TLS"
    try:
        await _connect(mqtt, within_s, tls=True)
    except ssl.SSLCertVerificationError as error:
        advice = "is mqtt.tls_ca_file the broker's CA, the name in the certificate mqtt.host?"
        return bad(subject, f"{where}: its certificate: {error.verify_message}", advice)
    except ConfigError as error:
        return bad(subject, str(error), "put the broker's CA there, PEM")
    except (OSError, TimeoutError) as error:
        advice = "is mqtt.port the broker's port for TLS (8883 is usual)?"
        return bad(subject, f"{where} speaks no TLS: {_words(error)}", advice)
    return good(subject, "the certificate is good")


async def _login(mqtt: MqttSettings, gateway: str, within_s: float) -> Finding:
    name = f"inmetter-doctor-{secrets.token_hex(4)}"
    try:
        async with asyncio.timeout(within_s):
            await try_login(mqtt, name, [topics.down(gateway, leaf) for leaf in topics.DOWN])
    except TimeoutError:
        advice = f"is it an MQTT broker that listens there{_or_tls(mqtt)}?"
        return bad("broker's login", f"no answer within {within_s:g} s", advice)
    except (Unreachable, ConfigError) as error:
        advice = f"are mqtt.username and mqtt.password_file right{_or_tls(mqtt)}?"
        return bad("broker's login", str(error), advice)
    return good("broker's login", f"{mqtt.username or 'without a name'}: accepted")


def _or_tls(mqtt: MqttSettings) -> str:
    return "" if mqtt.tls_ca_file else ", or does it want TLS (mqtt.tls_ca_file)"


async def _addresses(host: str, within_s: float) -> list[str]:
    async with asyncio.timeout(within_s):
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return sorted({str(one[4][0]) for one in found})


async def _connect(mqtt: MqttSettings, within_s: float, *, tls: bool) -> None:
    context = None
    if tls:
        try:
            context = ssl.create_default_context(cafile=mqtt.tls_ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{mqtt.tls_ca_file}: {error}") from error
    async with asyncio.timeout(within_s):
        _, writer = await asyncio.open_connection(mqtt.host, mqtt.port, ssl=context)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _is_loopback(addresses: list[str]) -> bool:
    return all(ip_address(address.partition("%")[0]).is_loopback for address in addresses)


def _interfaces(connected: Path = CONNECTED) -> Finding:
    try:
        states = {
            one.name: (one / "operstate").read_text("utf-8").strip()
            for one in sorted(connected.iterdir())
            if one.name != "lo"
        }
    except OSError as error:
        return unknown("interfaces", str(error), "look at ip link")
    up = [name for name, state in states.items() if state == "up"]
    if not up:
        found = ", ".join(f"{name} {state}" for name, state in states.items()) or "none"
        return bad("interfaces", f"none is up ({found})", "is the cable in, the switch on?")
    return good("interfaces", f"up: {', '.join(up)}")


def _default_route(routes: Path = ROUTES) -> Finding:
    try:
        lines = [line.split() for line in routes.read_text("utf-8").splitlines()[1:]]
    except OSError as error:
        return unknown("default route", str(error), "look at ip route")
    ways = [line[0] for line in lines if line[1] == "00000000"]
    if not ways:
        advice = "fine for a broker on this network; else set the gateway or DHCP"
        return warning("default route", "there is none", advice)
    return good("default route", f"by {ways[0]}")


def _has_modules(config: Config) -> bool:
    return any(type(one).__struct_config__.tag == "c11do1eth" for one in config.settings.device)


async def _port(server: ServerSettings, running: bool) -> Finding:
    subject = f"port {server.port} for C11DO1ETH modules"
    try:
        listening = await asyncio.start_server(lambda _r, w: w.close(), server.host, server.port)
    except OSError as error:
        if running:
            return good(subject, "the running agent listens there")
        advice = f"who listens there? ss -ltnp 'sport = :{server.port}'; c11do1eth.host right?"
        return bad(subject, f"{server.host}: {_words(error)}", advice)
    listening.close()
    if running:
        return bad(subject, "an agent is running and does not listen there", "look at its log")
    return good(subject, f"free on {server.host}")


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
