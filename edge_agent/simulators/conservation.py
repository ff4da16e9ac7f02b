"""The conservation check: what the world consumed = what a register says = what the cloud has.

Every difference gets its name. The world and the counters are functions of time, so what a device
showed when a reading was taken is known exactly; a difference has a name only if its size is the
one that the name stands for. All sums are in small units (mWh or ml).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from msgspec import DecodeError, Struct

from common.errors import ConfigError
from edge_agent.simulators.counter import Counter
from edge_agent.simulators.entries import Site
from edge_agent.simulators.truth import DeviceTruth, read_truth
from edge_agent.simulators.world import Meter

SKEW_MS = {"c11do1eth": 250, "mbus": 2000, "modbus": 2000}
"""So much before or after a reading's time it was measured: a module says when that was, of all
others is known when their answer was there."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """What the cloud has of a counting register at a time, in the register's unit (Wh or m³)."""

    at_ms: int
    value: Decimal


class Difference(Struct, frozen=True):
    """What lies between the world and the cloud, by name; the cloud has so much less."""

    name: str
    amount: Decimal


class Balance(Struct, frozen=True):
    """One device's books since the origin, in Wh or m³.

    consumed = registered + the differences up to the device = stored + all differences +
    ``unexplained``. ``stored`` and ``unexplained`` are None when the cloud has nothing of it.
    """

    device: str
    unit: str
    consumed: Decimal
    registered: Decimal
    stored: Decimal | None
    differences: tuple[Difference, ...]
    unexplained: Decimal | None

    @property
    def explained(self) -> bool:
        return self.unexplained == 0


@dataclass(frozen=True, slots=True)
class _Break:
    """An instant at which a register did not go on from where it was."""

    at_ms: int
    name: str


def check_site(site: Site, truth: Path, indexes: Mapping[str, Sequence[Indexed]]) -> list[Balance]:
    """The books of every device, from its scenario, its truth file and what the cloud has.

    Raises ConfigError when the truth cannot be read or is another scenario's.
    """
    try:
        told = read_truth(truth)
    except (OSError, DecodeError) as error:
        raise ConfigError(f"{truth}: cannot read the truth: {error}") from error
    meters = site.world.meters
    for name, device in told.devices.items():
        if device.meter not in meters:
            raise ConfigError(f"{truth}: the scenario has no meter {device.meter!r} (of {name})")
    return [
        _Books(name, device, meters[device.meter], told.at_ms).balance(indexes.get(name, ()))
        for name, device in told.devices.items()
    ]


class _Books:
    """One device: its meter, its counter as it was, and the instant of the comparison."""

    def __init__(self, name: str, device: DeviceTruth, meter: Meter, now_ms: int) -> None:
        self._name = name
        self._device = device
        self._meter = meter
        self._now_ms = now_ms
        self._origin_ms = meter.timeline.origin_ms
        self._counter = Counter(self._total, device.modulus, device.legs)
        self._skew_ms = SKEW_MS[device.kind]
        self._items: dict[str, int] = {}
        self._grain = 0 if device.kind == "c11do1eth" else device.resolution
        self._allowed = 0

    def balance(self, readings: Sequence[Indexed]) -> Balance:
        consumed = self._meter.consumed(self._now_ms)
        registered = self._register(self._now_ms) - self._register(self._origin_ms)
        unexplained = consumed - registered - self._explain_register(consumed, registered)
        stored = None
        times = sorted((one for one in readings), key=lambda one: one.at_ms)
        if times:
            left, last = self._explain_cloud(times)
            unexplained += left
            stored = last - self._register(self._origin_ms)
        return Balance(
            device=self._name,
            unit="Wh" if self._meter.small_unit == "mWh" else "m³",
            consumed=self._shown(consumed),
            registered=self._shown(registered),
            stored=None if stored is None else self._shown(stored),
            differences=tuple(
                Difference(name, self._shown(amount))
                for name, amount in self._items.items()
                if amount
            ),
            unexplained=None if stored is None else self._shown(unexplained),
        )

    # -- what the device shows

    def _total(self, at_ms: int) -> int:
        if self._device.kind == "c11do1eth":
            return self._meter.pulses(at_ms, self._device.step)
        return self._meter.start + self._meter.turned(at_ms)

    def _unbroken(self, at_ms: int) -> int:
        """What the register would show if nothing had befallen it, but for a constant."""
        return self._total(at_ms) * self._device.step

    def _register(self, at_ms: int) -> int:
        start = self._meter.start if self._device.kind == "c11do1eth" else 0
        return start + max(0, self._counter.count(at_ms)) * self._device.step

    def _explain_register(self, consumed: int, registered: int) -> int:
        """Name what lies between the world and the register; its sum."""
        turned = self._unbroken(self._now_ms) - self._unbroken(self._origin_ms)
        if self._device.kind == "c11do1eth":
            self._add("resolution", consumed - turned)
        else:
            self._add("back flow", consumed - turned)
        named = consumed - turned
        for jump in self._device.jumps:
            if self._origin_ms < jump.at_ms <= self._now_ms:
                amount = (jump.before - jump.after) * self._device.step
                self._add(str(jump.change), amount)
                named += amount
        left = consumed - registered - named
        if self._device.modulus and left % (self._device.modulus * self._device.step) == 0:
            self._add("rollover", left)
            named += left
        return named

    # -- what the cloud has

    def _explain_cloud(self, readings: list[Indexed]) -> tuple[int, int]:
        """Name what lies between the register and the cloud; what has no name, and its index."""
        times = [one.at_ms for one in readings]
        end = len(readings) - 1
        named = 0
        for name, first, last in self._brackets(times):
            if last is None:
                end = first
                break
            named += self._bridge(name, readings[first], readings[last])
        last_ms, value = times[end], self._small(readings[end].value)
        self._add("in flight", self._register(self._now_ms) - self._register(last_ms))
        left = self._register(last_ms) - value - named
        moved = self._flowed(last_ms) + self._allowed
        if 0 <= left < self._grain:
            self._add("resolution", left)
            left = 0
        elif moved and -moved <= left <= moved + self._grain:
            self._add("sampling", left)
            left = 0
        return left, value

    def _bridge(self, name: str, before: Indexed, after: Indexed) -> int:
        """Name what became of a break between two readings; its sum.

        Either the cloud's index has gone the register's way, and nothing is between them, or the
        gateway has bridged the break, and may have made up nothing for what it could not know.
        """
        register = self._register(after.at_ms) - self._register(before.at_ms)
        world = self._unbroken(after.at_ms) - self._unbroken(before.at_ms)
        cloud = self._small(after.value) - self._small(before.value)
        slack = self._slack(before.at_ms) + self._slack(after.at_ms)
        if abs(cloud - register) <= min(slack, abs(cloud - world)):
            return 0
        if not -slack <= cloud <= world + slack:
            return 0
        self._add(f"{name} bridged", register - world)
        self._add(f"{name} not counted", world - cloud)
        self._allowed += slack
        return register - cloud

    def _brackets(self, times: list[int]) -> list[tuple[str, int, int | None]]:
        """For each break: its name, the last reading before it, the first one after it.

        Breaks between the same two readings are one. None: there is no reading after it yet.
        """
        found: list[tuple[str, int, int | None]] = []
        for one in self._breaks(times):
            name = one.name
            first = bisect_right(times, one.at_ms - self._skew_ms) - 1
            after = bisect_left(times, one.at_ms + self._skew_ms)
            last = after if after < len(times) else None
            if first < 0:
                continue
            if found and (found[-1][2] is None or first < found[-1][2]):
                before, first, _ = found.pop()
                name = before if name in before else f"{before} and {name}"
            found.append((name, first, last))
        return found

    def _breaks(self, times: list[int]) -> list[_Break]:
        """Changes of the counter, and where it reached the end of its range, in order."""
        breaks = [_Break(jump.at_ms, str(jump.change)) for jump in self._device.jumps]
        modulus = self._device.modulus
        if modulus:
            edges = [times[0], *(one.at_ms for one in breaks if one.at_ms > times[0]), times[-1]]
            for begin, end in pairwise(edges):
                breaks += self._wraps(begin, end - 1, modulus)
        return sorted(breaks, key=lambda one: one.at_ms)

    def _wraps(self, begin: int, end: int, modulus: int) -> list[_Break]:
        found: list[_Break] = []
        running = self._counter.running
        while begin < end and running(begin) // modulus < running(end) // modulus:
            goal = running(begin) // modulus + 1
            low, high = begin, end
            while low + 1 < high:
                middle = (low + high) // 2
                low, high = (low, middle) if running(middle) >= goal * modulus else (middle, high)
            found.append(_Break(high, "rollover"))
            begin = high
        return found

    def _slack(self, at_ms: int) -> int:
        """How far a right reading may be from what the register showed at its time."""
        return self._flowed(at_ms) + self._grain

    def _flowed(self, at_ms: int) -> int:
        """What went through while a reading of this time may have been taken."""
        begin, end = at_ms - self._skew_ms, at_ms + self._skew_ms
        return abs(self._unbroken(end) - self._unbroken(begin))

    def _add(self, name: str, amount: int) -> None:
        self._items[name] = self._items.get(name, 0) + amount

    def _small(self, value: Decimal) -> int:
        return int(value.scaleb(self._meter.small_decimals))

    def _shown(self, amount: int) -> Decimal:
        return Decimal(amount).scaleb(-self._meter.small_decimals)
