"""Alarms that nobody has acknowledged yet, with the button that does."""

import asyncio
from collections.abc import Sequence

from nicegui import ui

from cloud.dashboard import session
from cloud.dashboard.icons import icon
from cloud.dashboard.live import Live
from cloud.dashboard.session import Session
from cloud.dashboard.widgets import Text, ago, box, button, restyle, svg
from cloud.services import events
from cloud.services.store import Store
from cloud.services.views import EventView, Role
from common.clock import Clock
from common.errors import InMetterError

SHOWN = 5


def where(event: EventView) -> str:
    """The event's gateway and device."""
    return f"{event.gateway} · {event.device}" if event.device else event.gateway


class AlarmList:
    """A card that is there only while there are alarms; rows come and go one by one."""

    def __init__(self, store: Store, live: Live, clock: Clock, person: Session) -> None:
        self._store = store
        self._live = live
        self._clock = clock
        self._may = person.may(Role.OPERATOR)
        self._rows: dict[tuple[int, int], ui.element] = {}
        self._frame = box("card alarms hidden", "section")
        self._frame.props["aria-label"] = "Open alarms"

    def show(self, alarms: Sequence[EventView]) -> None:
        """The newest alarms; what was acknowledged, here or elsewhere, disappears."""
        shown = {(alarm.stream_id, alarm.seq): alarm for alarm in alarms[:SHOWN]}
        for key in self._rows.keys() - shown.keys():
            self._rows.pop(key).delete()
        for place, (key, alarm) in enumerate(shown.items()):
            if key not in self._rows:
                with self._frame:
                    self._rows[key] = self._row(alarm)
                self._rows[key].move(target_index=place)
        restyle(self._frame, "card alarms" if shown else "card alarms hidden")

    def _row(self, alarm: EventView) -> ui.element:
        with box("alarm s-bad") as row:
            svg(icon("warn"))
            with box("what"):
                Text(alarm.text, tag="b")
                with box():
                    Text(f"{where(alarm)} · ")
                    ago(alarm.at)
            if self._may:
                button("Acknowledge", "btn small").on("click", lambda: self._acknowledge(alarm))
        return row

    async def _acknowledge(self, alarm: EventView) -> None:
        now_ms = self._clock.now_ms()
        try:
            person = session.require(Role.OPERATOR, now_ms)
            await asyncio.to_thread(
                events.acknowledge, self._store, alarm.stream_id, alarm.seq, person.name, now_ms
            )
        except InMetterError as error:
            ui.notify(str(error))
        self._live.hurry()
