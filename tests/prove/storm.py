"""What befalls the fleet, and when: a pure function of the seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

EACH_S = 1.4
"""So often a fault begins."""

LEAD_S = 3.0
"""Traffic before the storm begins."""

ORDER_EACH_S = 1.8
"""So often somebody orders an output."""

CALM_S = 2.0
"""How long a target is left alone after most faults, so that the next one finds it alive."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table in docs/reliability.md: what befalls one of ``of``, and for how long.

    ``of``: gateway, link (of a gateway, or the cloud's to the broker), worker, or the name of the
    only target. ``busy`` is what it occupies of its target: two faults with the same never befall
    one target at once, nor within ``calm_s``.
    """

    name: str
    of: str
    busy: str
    lasts_s: tuple[float, float] = (0, 0)
    calm_s: float = CALM_S


FAULTS = (
    Fault("edge killed", "gateway", "edge", (0.5, 6)),
    Fault("simulator killed", "gateway", "devices", (0.5, 4)),
    Fault("ingest killed", "worker", "run", (0.5, 6)),
    Fault("dispatch killed", "dispatch", "run", (0.5, 6), 15),
    Fault("web killed", "web", "run", (0.5, 4), 30),
    Fault("broker killed", "broker", "run", (0.5, 5), 6),
    Fault("broker forgets", "broker", "run", (0.5, 5), 6),
    Fault("database killed", "database", "run", (0.5, 4), 10),
    Fault("database deadlocks", "database", "locks", (2, 6)),
    Fault("sessions killed", "database", "sessions"),
    Fault("database cut", "base", "link"),
    Fault("database dropped", "base", "far end", calm_s=600),
    Fault("link cut", "link", "link"),
    Fault("link dropped", "link", "link"),
    Fault("link black hole", "link", "link", (3, 12)),
    Fault("packets lost", "link", "link", (5, 15)),
    Fault("link slow", "link", "link", (5, 15)),
    Fault("disk full", "gateway", "disk", (5, 10)),
    Fault("clock steps", "gateway", "clock", (4, 12)),
    Fault("duplicates", "duplicator", "run", (4, 10)),
)

STEPS_S = (-3600, -90, -5, 5, 90, 3600)
"""By how much a gateway's clock steps."""


@dataclass(frozen=True, slots=True)
class Blow:
    """One fault that befalls one target; ``value`` is the step of a clock, in s."""

    at_s: float
    fault: Fault
    target: str
    lasts_s: float
    value: int = 0

    def __str__(self) -> str:
        step = f" by {self.value:+} s" if self.value else ""
        lasts = f" for {self.lasts_s:.2f} s" if self.lasts_s else ""
        return f"{self.fault.name}: {self.target}{step}{lasts}"


@dataclass(frozen=True, slots=True)
class Order:
    """Somebody wants the output of a gateway to be ``value`` within ``ttl_s``."""

    at_s: float
    gateway: str
    value: int
    ttl_s: int


def plan(seed: str, seconds: float, gateways: list[str]) -> list[Blow]:
    """All that befalls in ``seconds``, in order: every fault of the table, again and again, those
    first that have not come for longest.

    Everything is over by then.
    """
    chance = Random(f"{seed}/storm")
    blows: list[Blow] = []
    free_at: dict[tuple[str, str], float] = {}
    left: list[Fault] = []
    at_s = 1.0
    while at_s < seconds - 1:
        left = left or chance.sample(FAULTS, len(FAULTS))
        for fault in [*left, *chance.sample(FAULTS, len(FAULTS))]:
            free = [
                target
                for target in _targets(fault.of, gateways)
                if free_at.get((target, fault.busy), 0) <= at_s
            ]
            if free:
                target = chance.choice(free)
                lasts_s = min(chance.uniform(*fault.lasts_s), seconds - at_s)
                value = chance.choice(STEPS_S) if fault.busy == "clock" else 0
                blows.append(Blow(round(at_s, 3), fault, target, round(lasts_s, 3), value))
                free_at[target, fault.busy] = at_s + lasts_s + fault.calm_s
                left = [one for one in left if one is not fault]
                break
        at_s += EACH_S * chance.uniform(0.5, 1.5)
    return blows


def orders(seed: str, seconds: float, gateways: list[str]) -> list[Order]:
    """All that is ordered in ``seconds``: nothing near their end, so that nobody need wait for it.

    What nobody hears of is unconfirmed half a minute after its expiry.
    """
    chance = Random(f"{seed}/orders")

    def give() -> Iterator[Order]:
        at_s = -LEAD_S / 2  # one finds everything well
        while at_s < seconds - min(20, 0.5 * seconds):
            ttl_s = chance.choice((2, 5, 8))
            yield Order(round(at_s, 3), chance.choice(gateways), chance.randrange(2), ttl_s)
            at_s += ORDER_EACH_S * chance.uniform(0.3, 1.7)

    return list(give())


def _targets(of: str, gateways: list[str]) -> list[str]:
    match of:
        case "gateway":
            return gateways
        case "link":
            return [*gateways, "cloud"]
        case "worker":
            return ["ingest-1", "ingest-2"]
        case _:
            return [of]
