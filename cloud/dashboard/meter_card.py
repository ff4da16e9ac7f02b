"""A meter on the overview: index, present rate, age, and the last 24 hours in small bars."""

from collections.abc import Sequence
from decimal import Decimal

from cloud.dashboard import charts, media, quantity
from cloud.dashboard.live import Snapshot
from cloud.dashboard.widgets import Age, Text, Value, box, link, medium_chip, restyle, svg
from cloud.services.views import ConsumptionView, LatestView, MeterView
from common.registers import Kind

RATE_NAMES = {Kind.POWER: "Now", Kind.FLOW: "Flow"}


class MeterCard:
    """Built once; ``show`` brings it up to date."""

    def __init__(self, meter: MeterView) -> None:
        self._meter = meter
        self._look = f"card meter-card {media.css_class(meter.medium)}"
        self._frame = link(self._look, f"/meters/{meter.id}")
        with self._frame:
            with box("top"):
                medium_chip(meter.medium)
                with box("names"):
                    Text(meter.name, "name", "div")
                    Text(media.label(meter.medium), "kind", "div")
                self._age = Age()
            self._index = Value("big index", f"index-{meter.key}")
            with box("now"):
                with box("row"):
                    rate = meter.rate
                    Text(RATE_NAMES.get(rate.register.kind, "Now") if rate else "This hour")
                    self._rate = Text("", tag="b")
                    self._rate.props["data-live"] = ""
                self._day = Text("")
            self._spark = svg(charts.spark([]), "spark")
        self._show(meter.index, meter.rate)

    @property
    def registers(self) -> frozenset[int]:
        """The registers to watch."""
        return frozenset(
            latest.register.id for latest in (self._meter.index, self._meter.rate) if latest
        )

    def update(self, snapshot: Snapshot) -> None:
        """Show what the database says now."""
        index, rate = self._meter.index, self._meter.rate
        self._show(
            snapshot.latest.get(index.register.id, index) if index else None,
            snapshot.latest.get(rate.register.id, rate) if rate else None,
        )

    def show_day(self, hours: Sequence[ConsumptionView]) -> None:
        """The consumption of the last 24 hours."""
        if self._meter.index is None:
            return
        known = [hour.value for hour in hours if hour.value is not None]
        self._spark.content = charts.spark(hours)
        unit = self._meter.index.register.unit
        if self._meter.rate is None and hours:
            self._rate.text = quantity.amount(unit, hours[-1].value).text
        if known:
            self._day.text = f"24 h: {quantity.amount(unit, sum(known, Decimal(0))).text}"
        else:
            self._day.text = "nothing in the last 24 h"

    def _show(self, index: LatestView | None, rate: LatestView | None) -> None:
        if index is None:
            self._index.show(quantity.UNKNOWN)
        else:
            value = index.reading.value if index.reading else None
            self._index.show(quantity.index(index.register, value))
            restyle(self._frame, self._look + (" dim" if index.stale or value is None else ""))
        self._age.show(index)
        if rate is not None:
            self._rate.text = quantity.present(rate.register, rate.reading).text
