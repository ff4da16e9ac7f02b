"""A register's curve over a chosen time, which grows as readings arrive."""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from nicegui import ui

from cloud.dashboard import charts, quantity
from cloud.dashboard.shell import card
from cloud.dashboard.widgets import Text, box, button, empty, named, restyle, set_prop
from cloud.services import metering
from cloud.services.store import Store
from cloud.services.views import LatestView, MeterView
from common.clock import Clock, to_datetime, to_ms
from common.registers import Kind

SPANS = {
    "1 h": timedelta(hours=1),
    "6 h": timedelta(hours=6),
    "24 h": timedelta(hours=24),
    "14 d": timedelta(days=14),
}
POINTS = 720
NOT_DRAWN = {Kind.OUTPUT, Kind.INPUT}


@dataclass(slots=True)
class _Drawn:
    """What the chart shows at present."""

    register_id: int
    span: timedelta
    newest: datetime | None = None


def _shortest_with(latest: LatestView, clock: Clock) -> timedelta:
    """The shortest span that has the newest reading in it: a silent meter shows its last curve."""
    if latest.reading is None:
        return SPANS["1 h"]
    age = to_datetime(clock.now_ms()) - latest.reading.at
    return next((span for span in SPANS.values() if age < 0.8 * span), SPANS["14 d"])


class Curve:
    """A card with a chart; ``load`` reads history, ``show`` appends what is new."""

    def __init__(self, store: Store, clock: Clock, meter: MeterView) -> None:
        self._store = store
        self._clock = clock
        self._zone = ZoneInfo(meter.timezone)
        self._registers = {
            one.register.id: one.register
            for one in meter.registers
            if one.register.kind not in NOT_DRAWN
        }
        first = meter.rate or meter.index or meter.registers[0]
        self._drawn = _Drawn(first.register.id, _shortest_with(first, clock))
        self._spans: dict[str, Text] = {}
        self._kinds: dict[int, Text] = {}
        self._build()

    async def load(self) -> None:
        """Read the chosen register over the chosen time, and draw it."""
        drawn = _Drawn(self._drawn.register_id, self._drawn.span)
        self._drawn = drawn
        self._press()
        register = self._registers[drawn.register_id]
        end = to_datetime(self._clock.now_ms())
        start = end - drawn.span
        series = await asyncio.to_thread(
            metering.series, self._store, register.id, to_ms(start), to_ms(end) + 1000, POINTS
        )
        if drawn is not self._drawn:
            return  # something else was chosen meanwhile
        interval = timedelta(seconds=register.interval_s)
        data = charts.points(series, register.kind, self._zone, interval)
        charts.redraw(self._chart, charts.line(data, register.kind, start, end, self._zone))
        drawn.newest = series[-1][0] if series else None
        self._unit.text = quantity.plot_scale(register.kind)[1]
        restyle(self._empty, "hidden" if series else "chart-empty")
        restyle(self._frame, "chart" if series else "chart hidden")

    def show(self, latest: dict[int, LatestView]) -> None:
        """Append the newest reading, if it is newer than what is drawn."""
        drawn, newest = self._drawn, latest.get(self._drawn.register_id)
        reading = newest.reading if newest else None
        if drawn.newest is None or newest is None or reading is None or reading.value is None:
            return
        if reading.at <= drawn.newest:
            return
        drawn.newest = reading.at
        factor, _ = quantity.plot_scale(newest.register.kind)
        point = [charts.site_ms(reading.at, self._zone), float(reading.value * factor)]
        span_ms = drawn.span // timedelta(milliseconds=1)
        ui.run_javascript(f"inmetter.append({self._chart.id}, {json.dumps([point])}, {span_ms})")

    def _build(self) -> None:
        with card("Curve") as end:
            with end:
                self._unit = Text("", "quiet")
                with box("seg") as kinds:
                    for register in self._registers.values():
                        self._kinds[register.id] = button(register.name)
                with box("seg") as spans:
                    for name in SPANS:
                        self._spans[name] = button(name)
                        named(self._spans[name], f"span-{name.replace(' ', '')}")
            with box("chart") as self._frame:
                register = self._registers[self._drawn.register_id]
                now = to_datetime(self._clock.now_ms())
                options = charts.line([], register.kind, now - self._drawn.span, now, self._zone)
                self._chart = charts.chart(options, f"Curve of {register.name}")
            with box("hidden") as self._empty:
                empty(
                    "meters",
                    "No readings in this time",
                    "Choose a longer time, or look at the gateway whether this device answers.",
                )
        for group, label in ((kinds, "Register"), (spans, "Time")):
            group.props["role"] = "group"
            group.props["aria-label"] = label
        for name, element in self._spans.items():
            element.on("click", lambda _, name=name: self._choose(span=SPANS[name]))
        for number, element in self._kinds.items():
            element.on("click", lambda _, number=number: self._choose(register_id=number))

    async def _choose(
        self, *, register_id: int | None = None, span: timedelta | None = None
    ) -> None:
        self._drawn = _Drawn(register_id or self._drawn.register_id, span or self._drawn.span)
        await self.load()

    def _press(self) -> None:
        for name, element in self._spans.items():
            pressed = SPANS[name] == self._drawn.span
            set_prop(element, "aria-pressed", "true" if pressed else "false")
        for number, element in self._kinds.items():
            pressed = number == self._drawn.register_id
            set_prop(element, "aria-pressed", "true" if pressed else "false")
