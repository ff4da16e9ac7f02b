"""What ``init`` asks, in its order."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from common.errors import Retryable, Undecodable
from common.ids import check_key
from edge_agent.cli.found import KINDS, FoundDevice, LineKind
from edge_agent.cli.interview import Interview
from edge_agent.cli.plan import Literal, Plan
from edge_agent.cli.progress import show
from edge_agent.config import ServerSettings
from edge_agent.metering.scaling import parse_quantity, parse_weight
from edge_agent.pulse_settings import PULSED

SKIP = "-"
MOST = 250
ZONE = Path("/etc/timezone")
WEIGHTS = {"electricity": "1000 imp/kWh", "gas": "0.01 m³"}


class Questions:
    """Makes ``plan``, a configuration in ``directory``, of what a person or a file answers."""

    def __init__(self, interview: Interview, directory: Path) -> None:
        self.plan = Plan(directory)
        self._interview = interview

    def ask_all(self) -> None:
        """From the first to the last. Raises ConfigError."""
        self._gateway()
        self._broker()
        for kind in KINDS:
            self._lines(kind)
        self._modules()

    def _gateway(self) -> None:
        key = partial(check_key, what="key")
        id_ = self._interview.ask("gateway.id", "Key of this gateway, such as hall-1", key)
        site = self._interview.ask("gateway.site", "Key of its site", key)
        self.plan.add(
            "gateway",
            id=id_,
            name=self._interview.ask("gateway.name", "The gateway's name", _text, id_),
            site=site,
            site_name=self._interview.ask("gateway.site_name", "The site's name", _text, site),
            timezone=self._interview.ask(
                "gateway.timezone", "The site's time zone", _zone, _local_zone()
            ),
        )

    def _broker(self) -> None:
        host = self._interview.ask(
            "mqtt.host", "MQTT broker's host (nothing: no cloud yet)", str.strip
        )
        if not host:
            return
        port = self._interview.ask("mqtt.port", "Its port", _port, "1883")
        ca = self._interview.ask("mqtt.tls_ca_file", "File of its CA (nothing: no TLS)", str.strip)
        username = self._interview.ask(
            "mqtt.username", "User name there (nothing: none)", str.strip
        )
        file = None
        if username:
            file = "mqtt.password"
            self.plan.secrets[file] = self._interview.ask(
                "mqtt.password", "Its password", _text, secret=True
            )
        self.plan.add(
            "mqtt",
            host=host,
            port=port,
            tls_ca_file=ca or None,
            username=username or None,
            password_file=file,
        )

    def _lines(self, kind: LineKind) -> None:
        for number in range(1, MOST):
            where = f"{kind.driver}.{number}"
            question = f"{kind.word} line: its URL, {kind.example} (nothing: no more)"
            url = self._interview.ask(f"{where}.url", question, partial(_url, kind.parse_url))
            if not url:
                return
            line = f"{kind.driver}-{number}"
            self.plan.add("[line]", id=line, url=url)
            for place, device in enumerate(self._look(where, url, kind), 1):
                self._found(f"{where}.device.{place}", line, kind, device)

    def _look(self, where: str, url: str, kind: LineKind) -> list[FoundDevice]:
        """What is on the line: found now, or by the run that was interrupted."""
        kept = self._interview.found(url)
        if kept:
            question = f"{len(kept)} devices were found there before. Take them?"
            if self._interview.yes(f"{where}.keep", question, "yes"):
                return kept
        ways = kind.ways
        one_of = partial(_one_of, ways)
        way = self._interview.ask(
            f"{where}.scan", f"Look for devices? ({', '.join(ways)})", one_of, ways[0]
        )
        if way == "no":
            return []
        found: list[FoundDevice] = []

        async def look() -> None:
            async for device in kind.find(url, way, show):
                found.append(device)
                self._interview.keep_found(url, found)

        try:
            asyncio.run(look())
        except Retryable as error:
            self._interview.say(f"  {error}")
        show("")
        self._interview.say(f"  {len(found) or 'no'} devices found; `inmetter-edge scan` says more")
        return found

    def _found(self, where: str, line: str, kind: LineKind, device: FoundDevice) -> None:
        """Take a device that was found, or leave it out."""
        fitting = ", ".join(device.profiles) or "none fits"
        self._interview.say(
            f"  {device.name}: {device.place.replace(' = ', ' ')}; profiles: {fitting}"
        )

        def profile_of(text: str) -> str:
            if text != SKIP:
                kind.load_profile(text, self.plan.directory)
            return text

        question = (
            "  Read it by which profile? (a profile, a file of your own, or - to leave it out)"
        )
        default = device.profiles[0] if device.profiles else SKIP
        profile = self._interview.ask(f"{where}.profile", question, profile_of, default)
        if profile == SKIP:
            return
        key = self._interview.ask(
            f"{where}.key", "  Its key", self.plan.new_key, self.plan.free_key(device.key)
        )
        place, _, value = device.place.partition(" = ")
        self.plan.add_device(
            key,
            driver=device.driver,
            name=self._interview.ask(f"{where}.name", "  Its name", _text, device.name),
            line=line,
            **{place: Literal(value)},
            profile=profile,
        )

    def _modules(self) -> None:
        question = "Keys of the C11DO1ETH modules, separated by spaces (nothing: none)"
        keys = self._interview.ask("c11do1eth.keys", question, partial(_keys, self.plan)).split()
        if not keys:
            return
        host = ServerSettings().host
        question = "Address to listen on for them; 0.0.0.0 lets the network in"
        self.plan.add(
            "c11do1eth",
            host=self._interview.ask("c11do1eth.host", question, _text, host),
            port=self._interview.ask("c11do1eth.port", "Port", _port, str(ServerSettings().port)),
        )
        for key in keys:
            self._module(key)

    def _module(self, key: str) -> None:
        where = f"c11do1eth.{key}"
        media = ", ".join(PULSED)
        name = self._interview.ask(f"{where}.name", f"{key}: its name", _text, key)
        medium = self._interview.ask(
            f"{where}.medium", f"{key}: what its meter counts ({media})", partial(_one_of, PULSED)
        )
        unit = "Wh" if medium == "electricity" else "m³"
        weight = self._interview.ask(
            f"{where}.pulse_weight",
            f"{key}: quantity a pulse, as on the meter's face",
            partial(_quantity, lambda text: parse_weight(text, unit)),
            WEIGHTS.get(medium, "10 l"),
        )
        start = self._interview.ask(
            f"{where}.start_index",
            f"{key}: what the meter shows now, such as 1234.5 {'kWh' if unit == 'Wh' else 'm³'}"
            " (nothing: count from 0)",
            partial(_quantity, lambda text: parse_quantity(text, unit) if text else None),
        )
        file = f"{key}.key"
        self.plan.secrets[file] = secrets.token_hex(16)
        self.plan.add_device(
            key,
            driver="c11do1eth",
            name=name,
            medium=medium,
            key_file=file,
            pulse_weight=weight,
            start_index=start or None,
        )
        if self._interview.yes(f"{where}.output", f"{key}: is its output used?"):
            self.plan.add(
                "device.output",
                key="output",
                name=self._interview.ask(
                    f"{where}.output_name", f"{key}: what it switches", _text, "Output"
                ),
            )


def _text(text: str) -> str:
    if not text.strip() or len(text) > 200:
        raise Undecodable("expected 1 to 200 characters")
    return text.strip()


def _url(parse: Callable[[str], object], text: str) -> str:
    if text:
        parse(text)
    return text


def _quantity(parse: Callable[[str], object], text: str) -> str:
    parse(text)
    return text


def _one_of(choices: Sequence[str], text: str) -> str:
    if text not in choices:
        raise Undecodable(f"expected one of {', '.join(choices)}")
    return text


def _keys(plan: Plan, text: str) -> str:
    keys = [plan.new_key(key) for key in text.split()]
    if len(set(keys)) != len(keys):
        raise Undecodable("expected each key once")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise Undecodable("expected 1 to 65535")
    return int(text)


def _zone(text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Undecodable("expected a zone such as Europe/Bucharest") from None


def _local_zone() -> str:
    """The machine's, where it has one; UTC is a server's, not a site's."""
    try:
        found = ZONE.read_text("utf-8").strip()
    except OSError:
        return ""
    return "" if found in ("Etc/UTC", "UTC") else found
