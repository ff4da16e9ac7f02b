"""The configuration of a C11DO1ETH module, and what follows from it."""

from collections.abc import Iterator
from datetime import date, datetime, time
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from common.clock import to_ms
from common.errors import Undecodable
from common.ids import check_key
from edge_agent.drivers.c11do1eth_orders import Setup
from edge_agent.metering.amounts import parse_rate
from edge_agent.metering.counters import CounterRule, highest_rate
from edge_agent.metering.gas import Conversion, Factor, parse_factor
from edge_agent.metering.scaling import parse_quantity, parse_weight
from edge_agent.protocols.c11do1eth import Edge

Text = Annotated[str, Meta(min_length=1, max_length=200)]
StateName = Annotated[str, Meta(min_length=1, max_length=48)]
WholeSeconds = Annotated[int, Meta(ge=1, le=86400)]
LongSeconds = Annotated[int, Meta(ge=0, le=31_536_000)]

PULSED = ("cold_water", "electricity", "gas", "hot_water", "waste_water", "water")
"""Media of meters that a C11DO1ETH counts."""

TAKEN = ("energy", "energy_import", "flow", "power", "volume")
"""Keys of the registers of a meter that a C11DO1ETH counts."""

DEBOUNCE_MS = {"reed": 60, "s0": 15}
"""By the kind of contact (field.md §4: reed 50 to 100 ms, S0 10 to 20 ms)."""


class OutputSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The module's output; ``states`` name 0 and 1. ``safe``: what it does when the server is lost
    for ``safe_after_s``."""

    key: str
    name: Text
    states: tuple[StateName, StateName] = ("closed", "open")
    safe: Literal["hold", "on", "off"] = "hold"
    safe_after_s: Annotated[int, Meta(ge=0, le=86400)] = 300


class AnalysisSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What the module itself watches for; 0 and "" turn a thing off."""

    rate_limit: str = ""
    leak_after_s: LongSeconds = 0
    leak_pause_s: WholeSeconds = 900
    standstill_after_s: LongSeconds = 0
    stuck_after_s: LongSeconds = 0


class GasSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What a m³ of gas is worth, from the beginning of a day on the site."""

    calorific_value: Text
    z: str | float | int = 1
    correction: str | float | int = 1
    since: date | None = field(name="from", default=None)

    @property
    def factor(self) -> Fraction:
        """Wh per m³; raises Undecodable."""
        return parse_factor(str(self.z), str(self.correction), self.calorific_value)


class C11Settings(
    Struct, frozen=True, forbid_unknown_fields=True, tag="c11do1eth", tag_field="driver"
):
    """A C11DO1ETH module: it connects to us."""

    key: str
    name: Text
    medium: str
    key_file: str
    pulse_weight: Text
    start_index: str = ""
    start_total: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    meter: Annotated[str, Meta(max_length=64)] = ""
    max_flow: str = ""
    counter_modulus: Annotated[int, Meta(ge=2, le=2**63 - 1)] | None = None
    counter_jitter: Annotated[int, Meta(ge=0, le=1000)] = 0
    contact: Literal["reed", "s0"] = "reed"
    debounce_ms: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    edge: Literal["rising", "falling"] = "falling"
    log_period_s: WholeSeconds = 900
    push_period_s: WholeSeconds = 60
    delta_pulses: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0
    analysis: AnalysisSettings = AnalysisSettings()
    gas: GasSettings | tuple[GasSettings, ...] | None = None
    output: OutputSettings | None = None

    @property
    def base_unit(self) -> str:
        """The unit of the index."""
        return "Wh" if self.medium == "electricity" else "m³"

    @property
    def weight(self) -> Fraction:
        """The index's unit per pulse; raises Undecodable."""
        return parse_weight(self.pulse_weight, self.base_unit)

    @property
    def rule(self) -> CounterRule:
        """What is known of the counter; raises Undecodable."""
        rate = self._pulses_a_second(self.max_flow) if self.max_flow else None
        return CounterRule(self.counter_modulus, rate, self.counter_jitter)

    @property
    def setup(self) -> Setup:
        """What the module is told; raises Undecodable."""
        analysis, output = self.analysis, self.output
        limit = analysis.rate_limit
        debounce_ms = self.debounce_ms
        return Setup(
            debounce_ms=DEBOUNCE_MS[self.contact] if debounce_ms is None else debounce_ms,
            edge=Edge(self.edge),
            weight=self.weight,
            safe=output.safe if output else "hold",
            safe_after_s=output.safe_after_s if output else 0,
            limit_mhz=self._limit_mhz(limit) if limit else 0,
            leak_s=analysis.leak_after_s,
            pause_s=analysis.leak_pause_s,
            standstill_s=analysis.standstill_after_s,
            stuck_s=analysis.stuck_after_s,
        )

    def conversion(self, zone: ZoneInfo) -> Conversion | None:
        """How gas becomes energy; days begin in the site's ``zone``. Raises Undecodable."""
        factors = []
        for one in _series(self.gas):
            midnight = datetime.combine(one.since or date(1970, 1, 2), time(), zone)
            factors.append(Factor(to_ms(midnight), one.factor))
        return Conversion(tuple(factors)) if factors else None

    def _pulses_a_second(self, flow: str) -> Fraction:
        return highest_rate(parse_rate(flow, self.base_unit), self.weight)

    def _limit_mhz(self, flow: str) -> int:
        rate = parse_rate(flow, self.base_unit) / self.weight / 3600
        return min(max(1, int(rate * 1000)), 2**32 - 1)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Key and reason of what the types alone do not rule out."""
        if self.medium not in PULSED:
            yield "medium", f"{self.medium!r}: expected one of {', '.join(PULSED)}"
            return
        try:
            parse_weight(self.pulse_weight, self.base_unit)
        except Undecodable as error:
            yield "pulse_weight", str(error)
        if self.start_index:
            try:
                parse_quantity(self.start_index, self.base_unit)
            except Undecodable as error:
                yield "start_index", str(error)
        rates = {"max_flow": self.max_flow, "analysis.rate_limit": self.analysis.rate_limit}
        for key, rate in rates.items():
            try:
                _ = rate and parse_rate(rate, self.base_unit)
            except Undecodable as error:
                yield key, str(error)
        yield from self._setup_problems()
        yield from self._gas_problems()
        if self.output:
            try:
                check_key(self.output.key, "it")
            except Undecodable as error:
                yield "output.key", str(error)
            if self.output.key in TAKEN:
                yield "output.key", f"{self.output.key!r} names a register of the meter"

    def _setup_problems(self) -> Iterator[tuple[str, str]]:
        try:
            directives = self.setup.directives()
        except Undecodable:
            return
        for directive in directives:
            try:
                directive.to_arguments()
            except ValueError as error:
                yield "pulse_weight", f"no module takes it as {directive.word}: {error}"

    def _gas_problems(self) -> Iterator[tuple[str, str]]:
        series = _series(self.gas)
        if series and self.medium != "gas":
            yield "gas", f"only gas is converted, not {self.medium!r}"
        for number, one in enumerate(series, 1):
            key = f"gas[{number}]" if isinstance(self.gas, tuple) else "gas"
            try:
                _ = one.factor
            except Undecodable as error:
                yield key, str(error)
            if number > 1 and one.since is None:
                yield f"{key}.from", "missing: the day from which on it holds"
        days = [one.since or date.min for one in series[:1]]
        days += [one.since for one in series[1:] if one.since]
        if any(earlier >= later for earlier, later in pairwise(days)):
            yield "gas", "expected the days of from in ascending order"


def _series(gas: GasSettings | tuple[GasSettings, ...] | None) -> tuple[GasSettings, ...]:
    if gas is None:
        return ()
    return gas if isinstance(gas, tuple) else (gas,)
