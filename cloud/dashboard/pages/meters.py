"""All meters in one table, searchable, a page at a time."""

import asyncio
from collections.abc import Callable, Sequence

from nicegui import ui

from cloud.dashboard import media, quantity
from cloud.dashboard.live import Live, Snapshot, Watch
from cloud.dashboard.problems import told
from cloud.dashboard.shell import BUILD_S, frame
from cloud.dashboard.widgets import (
    Age,
    Text,
    Value,
    box,
    button,
    empty,
    link,
    medium_chip,
    named,
    set_prop,
)
from cloud.services import metering
from cloud.services.store import Store
from cloud.services.views import LatestView, MeterView
from common.clock import Clock

ROWS = 50


def register(store: Store, live: Live, clock: Clock) -> None:
    """Put the page at ``/meters``."""

    @ui.page("/meters", response_timeout=BUILD_S)
    @told(clock)
    async def meters() -> None:
        found = await asyncio.to_thread(metering.meters, store, clock.now_ms())
        found.sort(key=media.by_place)
        with frame("Meters", "/meters", live, clock) as page:
            page.subtitle.text = f"{quantity.count(len(found))} meters, newest readings"
            if not found:
                with box("card"):
                    empty(
                        "meters",
                        "No meters yet",
                        "Meters appear by themselves when a gateway reports its devices.",
                    )
                page.follow(Watch(), lambda _: None)
                return
            table = _Table(found)
            with page.side, box("search"):
                search = ui.input(placeholder="Find a meter, site or device").props(
                    "outlined dense"
                )
                search.props["aria-label"] = "Find a meter"
                search.style("width:100%")
                named(search, "meter-search")
                search.on_value_change(lambda: follow(table.search(search.value or "")))

            def follow(registers: frozenset[int]) -> None:
                page.follow(Watch(registers=registers), table.update)

            table.on_turn = follow
            follow(table.draw())


class _Table:
    """One page of meters; drawn anew only when a person searches or turns the page."""

    def __init__(self, meters: Sequence[MeterView]) -> None:
        self._all = meters
        self._found = list(meters)
        self._place = 0
        self._rows: list[_Row] = []
        self.on_turn: Callable[[frozenset[int]], None] = lambda _: None
        with box("card", "section"):
            with box("table-wrap"), box("table pairs", "table"):
                with box("", "thead"), box("", "tr"):
                    for title, classes in (
                        ("Meter", ""),
                        ("Site", "phone-hide"),
                        ("Index", "num"),
                        ("Now", "num phone-hide"),
                        ("Newest reading", ""),
                    ):
                        set_prop(Text(title, classes, "th"), "scope", "col")
                self._body = box("", "tbody")
            with box("pager"):
                self._count = Text("", "quiet")
                self._back = button("Back", "btn small")
                self._on = button("Next", "btn small")
        self._back.on("click", lambda: self._turn(-ROWS))
        self._on.on("click", lambda: self._turn(ROWS))

    def search(self, text: str) -> frozenset[int]:
        """Show what has every word of ``text`` in it; returns the registers now on the page."""
        words = text.lower().split()
        self._found = [m for m in self._all if all(word in _words(m) for word in words)]
        self._place = 0
        return self.draw()

    def draw(self) -> frozenset[int]:
        """Draw the page of rows; returns the registers on it."""
        self._body.clear()
        page = self._found[self._place : self._place + ROWS]
        with self._body:
            self._rows = [_Row(meter) for meter in page]
        total = len(self._found)
        first = self._place + 1 if page else 0
        self._count.text = f"{first}–{self._place + len(page)} of {quantity.count(total)}"
        for element, off in ((self._back, not self._place), (self._on, first + ROWS > total)):
            element.props.set_bool("disabled", off)
        return frozenset[int]().union(*(row.registers for row in self._rows))

    def update(self, snapshot: Snapshot) -> None:
        """Show what the database says now."""
        for row in self._rows:
            row.update(snapshot)

    def _turn(self, rows: int) -> None:
        self._place = max(0, min(self._place + rows, (len(self._found) - 1) // ROWS * ROWS))
        self.on_turn(self.draw())


def _words(meter: MeterView) -> str:
    parts = (meter.name, meter.key, meter.site_name, meter.gateway, media.label(meter.medium))
    return " ".join(parts).lower()


class _Row:
    def __init__(self, meter: MeterView) -> None:
        self._meter = meter
        with box(f"click {media.css_class(meter.medium)}", "tr"):
            with box("", "td"), link("name-cell", f"/meters/{meter.id}"):
                medium_chip(meter.medium, small=True)
                with box():
                    Text(meter.name, tag="b")
                    Text(media.label(meter.medium), tag="small")
            with box("phone-hide", "td"):
                Text(meter.site_name)
            with box("num", "td"):
                self._index = Value("index", f"index-{meter.key}")
            with box("num phone-hide", "td"):
                self._rate = Value("")
            with box("", "td"):
                self._age = Age()
        self._show(meter.index, meter.rate)

    @property
    def registers(self) -> frozenset[int]:
        shown = (self._meter.index, self._meter.rate)
        return frozenset(latest.register.id for latest in shown if latest)

    def update(self, snapshot: Snapshot) -> None:
        index, rate = self._meter.index, self._meter.rate
        self._show(
            snapshot.latest.get(index.register.id) if index else None,
            snapshot.latest.get(rate.register.id) if rate else None,
        )

    def _show(self, index: LatestView | None, rate: LatestView | None) -> None:
        for value, latest in ((self._index, index), (self._rate, rate)):
            shown = quantity.present(latest.register, latest.reading) if latest else None
            value.show(shown or quantity.UNKNOWN)
        self._age.show(index)
