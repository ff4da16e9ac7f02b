"""Events of all gateways, newest first; alarms can be acknowledged here."""

import asyncio

from nicegui import ui

from cloud.dashboard.alarms import AlarmList, where
from cloud.dashboard.live import EVENTS, Live, Snapshot, Watch
from cloud.dashboard.problems import told
from cloud.dashboard.shell import BUILD_S, frame
from cloud.dashboard.widgets import Pill, Text, ago, box, button, empty, restyle, set_prop
from cloud.services import events
from cloud.services.store import Store
from cloud.services.views import EventView
from common.clock import Clock

TONES = {"info": "idle", "warning": "warn", "alarm": "bad"}
FILTERS = {"all": "All", "alarm": "Alarms", "warning": "Warnings", "info": "Information"}


def register(store: Store, live: Live, clock: Clock) -> None:
    """Put the page at ``/events``."""

    @ui.page("/events", response_timeout=BUILD_S)
    @told(clock)
    async def page_of_events() -> None:
        found = await asyncio.to_thread(events.recent, store, EVENTS)
        with frame("Events", "/events", live, clock) as page:
            page.subtitle.text = f"The newest {EVENTS}, from all gateways."
            alarms = AlarmList(store, live, clock, page.person)
            log = _Log()
            with page.side:
                _filters(log)
            log.show(found)

            def show(snapshot: Snapshot) -> None:
                alarms.show(snapshot.alarms)
                log.show(snapshot.events)

            page.follow(Watch(events=True), show)


def _filters(log: "_Log") -> None:
    with box("seg") as group:
        group.props["role"] = "group"
        group.props["aria-label"] = "Severity"
        buttons = {name: button(label) for name, label in FILTERS.items()}

    def choose(chosen: str) -> None:
        log.only(chosen)
        for name, element in buttons.items():
            set_prop(element, "aria-pressed", "true" if name == chosen else "false")

    for name, element in buttons.items():
        element.on("click", lambda _, name=name: choose(name))
    choose("all")


class _Log:
    """Rows are put on top as they happen, and the oldest leave at the bottom."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, int], tuple[EventView, ui.element, Text]] = {}
        self._severity = "all"
        with box("card", "section"):
            with box("table-wrap"), box("table", "table"):
                with box("", "thead"), box("", "tr"):
                    for title, classes in (
                        ("What", ""),
                        ("Where", "phone-hide"),
                        ("Severity", ""),
                        ("When", ""),
                    ):
                        Text(title, classes, "th").props["scope"] = "col"
                self._body = box("", "tbody")
            self._empty = empty(
                "events", "Nothing to report", "Events of gateways and devices appear here."
            )

    def only(self, severity: str) -> None:
        """Show events of one severity, or ``all``."""
        self._severity = severity
        for event, row, _ in self._rows.values():
            restyle(row, self._look(event))
        self._show_emptiness()

    def show(self, events_now: list[EventView]) -> None:
        """The newest events, newest first."""
        current = {(event.stream_id, event.seq): event for event in events_now}
        for key in self._rows.keys() - current.keys():
            self._rows.pop(key)[1].delete()
        for place, (key, event) in enumerate(current.items()):
            if key not in self._rows:
                with self._body:
                    row, seen = self._row(event)
                if place < len(self._rows):
                    row.move(target_index=place)
                self._rows[key] = (event, row, seen)
            by = event.acknowledged_by
            self._rows[key][2].text = f"acknowledged by {by}" if by else ""
        self._show_emptiness()

    def _show_emptiness(self) -> None:
        shown = any(self._fits(event) for event, _, _ in self._rows.values())
        restyle(self._empty, "empty hidden" if shown else "empty")

    def _fits(self, event: EventView) -> bool:
        return self._severity in {"all", event.severity}

    def _look(self, event: EventView) -> str:
        return "event-row" if self._fits(event) else "event-row hidden"

    def _row(self, event: EventView) -> tuple[ui.element, Text]:
        with box(self._look(event), "tr") as row:
            with box("", "td"):
                Text(event.text, "text", "div")
                Text(event.code, "quiet mono", "div")
            with box("phone-hide", "td"):
                Text(where(event), "quiet")
            with box("", "td"):
                Pill(TONES.get(event.severity, "idle"), event.severity)
                seen = Text("", "quiet", "div")
            with box("nowrap quiet", "td"):
                ago(event.at)
        return row, seen
