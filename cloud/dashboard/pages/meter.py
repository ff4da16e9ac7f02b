"""One meter: its index, its curve, its consumption, and every register with its quality."""

import asyncio
from datetime import timedelta
from zoneinfo import ZoneInfo

from nicegui import ui

from cloud.dashboard import charts, media, quantity
from cloud.dashboard.curve import Curve
from cloud.dashboard.live import Live, Snapshot, Watch
from cloud.dashboard.problems import told
from cloud.dashboard.registers import RegisterTable
from cloud.dashboard.shell import BUILD_S, card, frame
from cloud.dashboard.widgets import Age, Pill, Text, Value, box, medium_chip, restyle, svg
from cloud.domain.consumption import Step
from cloud.services import metering
from cloud.services.store import Store
from cloud.services.views import ConsumptionView, LatestView, MeterView
from common.clock import Clock, to_datetime

PERIODS_REFRESH_S = 60.0
HOURS = timedelta(hours=47)
DAYS = timedelta(days=13)
DRIVERS = {"c11do1eth": "C11DO1ETH pulse module", "mbus": "M-Bus", "modbus": "Modbus"}


def register(store: Store, live: Live, clock: Clock) -> None:
    """Put the page at ``/meters/{id}``."""

    @ui.page("/meters/{meter_id}", response_timeout=BUILD_S)
    @told(clock)
    async def page_of_meter(meter_id: int) -> None:
        meter = await asyncio.to_thread(metering.meter, store, meter_id, clock.now_ms())
        back = ("Meters", "/meters")
        with frame(meter.name, "/meters", live, clock, back=back) as page:
            page.subtitle.text = f"{media.label(meter.medium)} · {meter.site_name}"
            with page.side:
                medium_chip(meter.medium)
            with box(f"stack {media.css_class(meter.medium)}"):
                svg(charts.HATCHING, "sr")
                top = _Top(meter)
                curve = Curve(store, clock, meter)
                consumption = _Consumption(meter)
                with box("wide-narrow"):
                    table = RegisterTable(meter)
                    _facts(meter)

            def show(snapshot: Snapshot) -> None:
                top.show(snapshot.latest)
                curve.show(snapshot.latest)
                table.show(snapshot.latest)

            watched = frozenset(latest.register.id for latest in meter.registers)
            page.follow(Watch(registers=watched), show)

            async def show_periods() -> None:
                if meter.index is None:
                    return
                now = to_datetime(clock.now_ms())
                number = meter.index.register.id
                hours, days = await asyncio.gather(
                    asyncio.to_thread(
                        metering.consumption, store, number, Step.HOUR, now - HOURS, now
                    ),
                    asyncio.to_thread(
                        metering.consumption, store, number, Step.DAY, now - DAYS, now
                    ),
                )
                consumption.show(hours, days)
                top.show_periods(hours, days)

            ui.timer(PERIODS_REFRESH_S, show_periods)
            ui.timer(0, curve.load, once=True)


class _Top:
    """Index, present rate, today: the three figures that people come for."""

    def __init__(self, meter: MeterView) -> None:
        self._meter = meter
        with box("card meter-top", "section") as self._frame:
            with box():
                Text("Index", "label")
                self._index = Value("huge index", f"index-{meter.key}")
                with box("row"):
                    self._age = Age()
                    self._quality = Pill()
            with box():
                names = {"power": "Power now", "flow": "Flow now"}
                Text(names.get(meter.rate.register.kind, "Now") if meter.rate else "Now", "label")
                self._rate = Value("big", f"rate-{meter.key}")
                self._rate_age = Age()
                if meter.rate is None:
                    restyle(self._rate_age.element, "hidden")
                    Text("This meter reports no rate.", "quiet")
            with box():
                Text("Today", "label")
                self._today = Value("big", f"today-{meter.key}")
                self._hour = Text("", "quiet")
        self.show({one.register.id: one for one in meter.registers})

    def show(self, latest: dict[int, LatestView]) -> None:
        """The newest readings."""
        if self._meter.index:
            index = latest.get(self._meter.index.register.id, self._meter.index)
            reading = index.reading
            self._index.show(quantity.index(index.register, reading.value if reading else None))
            self._age.show(index)
            good = reading is not None and reading.quality == 0
            restyle(self._quality.element, "hidden" if good else "pill s-warn")
            if reading and not good:
                self._quality.show("warn", quantity.QUALITIES[reading.quality])
            stale = index.stale or reading is None
            restyle(self._frame, "card meter-top" + (" dim" if stale else ""))
        if self._meter.rate:
            rate = latest.get(self._meter.rate.register.id, self._meter.rate)
            self._rate.show(quantity.present(rate.register, rate.reading))
            self._rate_age.show(rate)

    def show_periods(self, hours: list[ConsumptionView], days: list[ConsumptionView]) -> None:
        """Consumption today and in the hour that runs."""
        if self._meter.index is None or not hours or not days:
            return
        unit = self._meter.index.register.unit
        self._today.show(quantity.amount(unit, days[-1].value))
        if hours[-1].value is None:
            self._hour.text = "nothing yet in this hour"
        else:
            self._hour.text = f"{quantity.amount(unit, hours[-1].value).text} since the full hour"


class _Consumption:
    """Two bar charts: the last 48 hours, the last 14 days."""

    def __init__(self, meter: MeterView) -> None:
        self._zone = ZoneInfo(meter.timezone)
        self._register = meter.index.register if meter.index else None
        self._charts: list[ui.echart] = []
        if self._register is None:
            return
        unit = quantity.plot_scale(self._register.kind)[1]
        with box("two"):
            for title in ("Last 48 hours", "Last 14 days"):
                with card(f"Consumption, {title.lower()}") as end:
                    with end:
                        box("hatch-key", "span")
                        Text(f"estimated · {unit}", "quiet")
                    with box("chart low"):
                        options = charts.bars([], self._register.kind, self._zone, "")
                        self._charts.append(charts.chart(options, f"Consumption, {title}"))

    def show(self, hours: list[ConsumptionView], days: list[ConsumptionView]) -> None:
        """Bring the bars up to date."""
        if self._register is None:
            return
        for chart, periods, labels in zip(
            self._charts, (hours, days), ("%a %H:%M", "%d %b"), strict=True
        ):
            options = charts.bars(periods, self._register.kind, self._zone, labels)
            charts.redraw(chart, options)


def _facts(meter: MeterView) -> None:
    facts = {
        "Device": meter.key,
        "Model": meter.model or quantity.NOTHING,
        "Connected by": DRIVERS.get(meter.driver, meter.driver),
        "Gateway": meter.gateway,
        "Site": meter.site_name,
        "Time zone": meter.timezone,
    }
    with card("Device"), box("card-body"), box("facts", "dl"):
        for name, value in facts.items():
            Text(name, tag="dt")
            Text(value, tag="dd")
