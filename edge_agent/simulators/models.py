"""Consumption models: from a scenario's sources and meters to the world."""

from collections.abc import Iterator
from fractions import Fraction
from random import Random

from common.registers import Medium
from edge_agent.simulators.entries import (
    MAX_COUNT,
    MAX_RATE,
    MeterEntry,
    Mistakes,
    Scenario,
    Source,
)
from edge_agent.simulators.series import HOURLY, STANDARD, draw_offs, hourly, standard
from edge_agent.simulators.world import HOUR_MS, Curve, Flow, Meter, Timeline, World

DRAW_OFFS = "draw_offs"
STEADY = "steady"
MAX_SHIFT_MIN = 120
"""So much earlier, at most, one of many meters lives its day."""


def build_world(scenario: Scenario, mistakes: Mistakes) -> World:
    """The meters that the scenario describes. Raises ConfigError."""
    return _Builder(scenario, mistakes).world()


class _Builder:
    def __init__(self, scenario: Scenario, mistakes: Mistakes) -> None:
        self._scenario = scenario
        self._error = mistakes.error
        self._mistakes = mistakes
        if not 1 <= scenario.speed <= 100_000:
            raise self._error("speed", "expected 1 to 100000")
        self._timeline = Timeline(
            mistakes.origin_ms,
            scenario.speed,
            None if scenario.until is None else mistakes.ms("until", scenario.until),
        )

    def world(self) -> World:
        sources = {source.key for source in self._scenario.source}
        if len(sources) != len(self._scenario.source):
            raise self._error("source", "two sources have the same key")
        flows = {
            source.key: self._flow(f"source[{number}]", source)
            for number, source in enumerate(self._scenario.source, 1)
        }
        meters: dict[str, Meter] = {}
        for number, entry in enumerate(self._scenario.meter, 1):
            for meter in self._meters(f"meter[{number}]", entry, flows):
                if meter.key in meters:
                    raise self._error(f"meter[{number}].key", f"{meter.key!r} is there already")
                meters[meter.key] = meter
        return World(meters)

    def _meters(self, where: str, entry: MeterEntry, flows: dict[str, Flow]) -> Iterator[Meter]:
        if entry.medium.upper() not in Medium.__members__:
            raise self._error(f"{where}.medium", f"{entry.medium!r} is not a medium")
        for key in entry.sources:
            if key not in flows:
                raise self._error(f"{where}.sources", f"there is no source {key!r}")
        if entry.start < 0:
            raise self._error(f"{where}.start", "expected 0 or more")
        if not 0 <= entry.count <= MAX_COUNT:
            raise self._error(f"{where}.count", f"expected 0 to {MAX_COUNT}")
        pauses = [
            self._span(f"{where}.standstill[{number}]", span.from_, span.until)
            for number, span in enumerate(entry.standstill, 1)
        ]
        own = [_pause(flows[key], pauses) for key in entry.sources]
        medium, keys = Medium[entry.medium.upper()], [entry.key]
        if entry.count:
            keys = [f"{entry.key}-{number}" for number in range(1, entry.count + 1)]
        for number, key in enumerate(keys):
            chance = Random(f"{self._scenario.seed}/{key}")
            early_ms = chance.randrange(MAX_SHIFT_MIN) * 60_000 if number else 0
            extra = chance.randrange(10**6) if number else 0
            shifted = tuple(
                Flow(flow.curve, flow.spans, flow.shift_ms + early_ms, flow.back) for flow in own
            )
            yield Meter(key, medium, (entry.start + extra) * 1000, shifted, self._timeline)

    def _flow(self, where: str, source: Source) -> Flow:
        span = self._span(where, source.from_, source.until)
        return Flow(self._curve(where, source), (span,), back=source.back)

    def _span(self, where: str, begin: str, end: str) -> tuple[int, int | None]:
        """In ms of the world's time since its origin."""
        begin_ms, end_ms = 0, None
        if begin:
            at_ms = self._mistakes.instant(f"{where}.from", begin)
            begin_ms = self._timeline.elapsed_ms(at_ms)
        if end:
            end_ms = self._timeline.elapsed_ms(self._mistakes.instant(f"{where}.until", end))
            if end_ms < begin_ms:
                raise self._error(f"{where}.until", f"{end!r} is before it begins")
        return begin_ms, end_ms

    def _curve(self, where: str, source: Source) -> Curve:
        if source.base < 0 or source.scale < 0 or not 0 <= source.limit <= MAX_RATE:
            raise self._error(where, "base, scale and limit are 0 or more")
        if source.pace < 1 or HOUR_MS % source.pace:
            raise self._error(f"{where}.pace", "expected a divisor of 3600000")
        base = source.base * 1000
        if source.series == STEADY:
            return Curve((base,), HOUR_MS)
        if source.series == DRAW_OFFS:
            if source.litres_each < 1 or not 0 <= source.litres_a_day <= 10**6:
                raise self._error(where, "litres_each is 1 or more, litres_a_day 0 to 1000000")
            seed = f"{self._scenario.seed}/{source.key}"
            flow, step_ms = draw_offs(
                seed, source.litres_a_day, source.litres_each, source.days_off
            )
            return Curve(tuple(base + point for point in flow), step_ms)
        if source.series not in HOURLY + STANDARD:
            known = ", ".join((*HOURLY, *STANDARD, DRAW_OFFS, STEADY))
            raise self._error(f"{where}.series", f"{source.series!r} is not one of {known}")
        hours = hourly(source.series) if source.series in HOURLY else standard(source.series)
        scale, limit = Fraction(str(source.scale)) * 1000, source.limit * 1000
        points = (base + min(int(value * scale), limit) for value in hours)
        return Curve(tuple(points), HOUR_MS // source.pace)


def _pause(flow: Flow, pauses: list[tuple[int, int | None]]) -> Flow:
    """The flow without what falls into the pauses."""
    spans = list(flow.spans)
    for off, on in pauses:
        cut: list[tuple[int, int | None]] = []
        for begin, end in spans:
            if begin < off:
                cut.append((begin, off if end is None else min(end, off)))
            if on is not None and (end is None or on < end):
                cut.append((max(begin, on), end))
        spans = cut
    return Flow(flow.curve, tuple(spans), flow.shift_ms, flow.back)
