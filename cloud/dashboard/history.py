"""What was ordered before: when, what, by whom or which rule, why, and how it ended."""

from zoneinfo import ZoneInfo

from nicegui import ui

from cloud.dashboard import lifeline, quantity
from cloud.dashboard.shell import card
from cloud.dashboard.widgets import Pill, Text, box, empty, restyle
from cloud.services.views import CommandView

ROWS = 20
COLUMNS = (
    ("Ordered", ""),
    ("Command", ""),
    ("Why", "phone-hide"),
    ("Outcome", ""),
    ("Took", "num phone-hide"),
)


class History:
    """Rows come on top; each shows how its command stands."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._rows: dict[str, _Row] = {}
        with card("Commands"):
            with box("table-wrap"), box("table", "table"):
                with box("", "thead"), box("", "tr"):
                    for title, classes in COLUMNS:
                        Text(title, classes, "th").props["scope"] = "col"
                self._body = box("", "tbody")
            self._empty = empty(
                "outputs", "Nothing was ordered yet", "Commands stay here, whoever gave them."
            )

    def show(self, newest: list[CommandView]) -> None:
        """The newest commands, newest first."""
        current = {command.id: command for command in newest}
        for gone in self._rows.keys() - current.keys():
            self._rows.pop(gone).element.delete()
        for place, (key, command) in enumerate(current.items()):
            if key not in self._rows:
                with self._body:
                    row = _Row(command, self._zone)
                if place < len(self._rows):
                    row.element.move(target_index=place)
                self._rows[key] = row
            self._rows[key].show(command)
        restyle(self._empty, "empty hidden" if current else "empty")


class _Row:
    def __init__(self, command: CommandView, zone: ZoneInfo) -> None:
        issued = command.issued_at.astimezone(zone)
        self.element: ui.element = box("", "tr")
        with self.element:
            with box("nowrap", "td"):
                Text(f"{issued:%d %b}", "quiet", "div")
                Text(f"{issued:%H:%M:%S}", tag="div")
            with box("", "td"):
                Text(command.wanted, tag="b")
                Text(f"by {command.issued_by}", "quiet", "div")
            with box("phone-hide", "td"):
                Text(command.reason, "quiet")
            with box("", "td"):
                self._state = Pill()
                self._detail = Text("", "quiet", "div")
            with box("num nowrap phone-hide", "td"):
                self._took = Text("")

    def show(self, command: CommandView) -> None:
        self._state.show(
            lifeline.tone(command.state), command.state, busy=lifeline.under_way(command)
        )
        self._detail.text = command.detail
        if command.done_at:
            self._took.text = quantity.duration(command.done_at - command.issued_at)
