"""The buttons that order an output, with a question before anything moves."""

import asyncio

from nicegui import ui

from cloud.dashboard import roof, session
from cloud.dashboard.live import Live
from cloud.dashboard.widgets import Text, box, button, named
from cloud.services import accounts, commands
from cloud.services.commands import Dispatcher
from cloud.services.store import Store
from cloud.services.views import OutputView, Role
from common.clock import Clock
from common.errors import InMetterError, NotAllowed

TTL_S = 60
LABELS = {"open": "Open", "closed": "Close", "on": "Switch on", "off": "Switch off"}
TESTIDS = {0: "output-close", 1: "output-open"}


class Switch:
    """Two buttons and their dialog. Only for accounts that may operate, checked at each click."""

    def __init__(
        self,
        store: Store,
        live: Live,
        clock: Clock,
        dispatcher: Dispatcher | None,
        output: OutputView,
    ) -> None:
        self._store = store
        self._live = live
        self._clock = clock
        self._dispatcher = dispatcher
        self._output = output
        self._buttons: dict[int, Text] = {}
        self._wanted = 0

    def build(self) -> None:
        """Put the buttons here."""
        states = self._output.register.states or ("off", "on")
        for value in (1, 0):
            made = button(LABELS.get(states[value], states[value].capitalize()), "btn")
            named(made, TESTIDS[value])
            made.on("click", lambda _, value=value: self._ask(value))
            self._buttons[value] = made
        with ui.dialog() as self._dialog, ui.card().classes("dialog"):
            self._question = Text("", tag="h2")
            self._consequence = Text("", tag="p")
            with box("row"):
                cancel = button("Cancel", "btn")
                cancel.props["autofocus"] = True
                cancel.on("click", self._dialog.close)
                self._confirm = button("", "btn primary")
                named(self._confirm, "confirm").on("click", self._order)

    def show(self, output: OutputView) -> None:
        """Point at the button that would change something."""
        self._output = output
        for value, element in self._buttons.items():
            stands = output.reading is not None and output.reading.value == value
            wanted = "btn" if stands else "btn primary"
            if " ".join(element.classes) != wanted:
                element.classes(replace=wanted)

    def _ask(self, value: int) -> None:
        output = self._output
        states = output.register.states or ("off", "on")
        self._wanted = value
        verb = LABELS.get(states[value], states[value].capitalize())
        self._question.text = f"{verb} {output.register.name.lower()}?"
        offline = "" if output.online else "The gateway is offline: the order waits for it. "
        self._consequence.text = (
            f"It stands {roof.state_name(output)} now, at {output.site_name}. {offline}"
            f"If the order is not carried out within {TTL_S} seconds, it expires."
        )
        self._confirm.text = verb
        self._dialog.open()

    async def _order(self) -> None:
        self._dialog.close()
        now_ms = self._clock.now_ms()
        try:
            person = session.require(Role.OPERATOR, now_ms)
            await asyncio.to_thread(self._issue, person.name, self._wanted, now_ms)
        except InMetterError as error:
            ui.notify(str(error))
            return
        self._live.hurry()

    def _issue(self, name: str, value: int, now_ms: int) -> None:
        account = next((one for one in accounts.accounts(self._store) if one.name == name), None)
        if account is None or account.disabled or account.role is Role.VIEWER:
            raise NotAllowed("Your account may no longer switch.")
        commands.issue(
            self._store,
            self._dispatcher,
            register_id=self._output.register.id,
            value=value,
            issued_by=name,
            reason="by hand, from the dashboard",
            ttl_s=TTL_S,
            now_ms=now_ms,
        )
