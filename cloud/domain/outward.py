"""Where metering points are published for others, and whether."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

ONLINE, OFFLINE = b"online", b"offline"
"""What Home Assistant takes by default for available and not available."""


@dataclass(frozen=True, slots=True)
class Topics:
    """Where it is said. ``discovery`` is Home Assistant's prefix; empty: nothing for it."""

    prefix: str
    discovery: str

    @property
    def status(self) -> str:
        """Whether somebody publishes."""
        return f"{self.prefix}/status"

    def point(self, site: str, key: str) -> str:
        """A metering point's index; ``+`` stands for any."""
        return f"{self.prefix}/{site}/{key}"

    def sensor(self, key: str) -> str:
        """How Home Assistant finds a metering point; ``+`` stands for any."""
        return f"{self.discovery}/sensor/{self.node}/{key}/config"

    @property
    def node(self) -> str:
        """The prefix as one level: what keeps two clouds apart under one discovery prefix."""
        return self.prefix.replace("/", "_")

    @property
    def ours(self) -> list[str]:
        """Filters of all topics that are ours."""
        ours = [self.status, self.point("+", "+")]
        return [*ours, self.sensor("+")] if self.discovery else ours


Level = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length=100)]


class OutwardSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether and where metering points are published. ``enabled`` false takes back all of it."""

    enabled: bool = True
    prefix: Level = "inmetter-points"
    home_assistant: bool = True
    discovery_prefix: Level = "homeassistant"
    every_s: Annotated[float, Meta(ge=1, le=86_400)] = 30

    @property
    def topics(self) -> Topics:
        """Where it is published."""
        return Topics(self.prefix, self.discovery_prefix if self.home_assistant else "")
