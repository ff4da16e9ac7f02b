"""One output: the roof as it stands, two buttons, and the life of each command."""

import asyncio
from zoneinfo import ZoneInfo

from nicegui import ui

from cloud.dashboard import history, roof, session
from cloud.dashboard.lifeline import LifeLine
from cloud.dashboard.live import Live, Snapshot, Watch
from cloud.dashboard.output_card import rule_line, rule_of
from cloud.dashboard.problems import told
from cloud.dashboard.shell import BUILD_S, card, frame
from cloud.dashboard.switch import Switch
from cloud.dashboard.widgets import Age, Pill, Text, box, empty, named, restyle, svg
from cloud.services import commands, outputs, rules
from cloud.services.commands import Dispatcher
from cloud.services.store import Store
from cloud.services.views import CommandView, OutputView, Role
from common.clock import Clock


def register(store: Store, live: Live, clock: Clock, dispatcher: Dispatcher | None) -> None:
    """Put the page at ``/outputs/{id}``; ``dispatcher`` publishes what is ordered."""

    @ui.page("/outputs/{register_id}", response_timeout=BUILD_S)
    @told(clock)
    async def page_of_output(register_id: int) -> None:
        output, ordered, rule_list = await asyncio.gather(
            asyncio.to_thread(outputs.output, store, register_id, clock.now_ms()),
            asyncio.to_thread(commands.recent, store, register_id, history.ROWS),
            asyncio.to_thread(rules.rules, store),
        )
        back = ("Outputs", "/outputs")
        zone = ZoneInfo(output.timezone)
        with frame(output.register.name, "/outputs", live, clock, back=back) as page:
            page.subtitle.text = f"{output.device_name} · {output.site_name}"
            with page.side:
                online = Pill()
            with box("output-page"):
                switch = None
                if _may(page.person):
                    switch = Switch(store, live, clock, dispatcher, output)
                standing = _Standing(output, switch)
                with box("side"):
                    with card("Rule"), box("card-body"):
                        rule_line(rule_of(rule_list, output), output)
                    progress = _Progress(zone)
            table = history.History(zone)

            def show_output(now: OutputView) -> None:
                online.show("ok" if now.online else "bad", "Online" if now.online else "Offline")
                standing.show(now)

            def show_commands(newest: list[CommandView]) -> None:
                progress.show(newest)
                table.show(newest)

            def show(snapshot: Snapshot) -> None:
                for one in snapshot.outputs:
                    if one.register.id == register_id:
                        show_output(one)
                show_commands(snapshot.commands.get(register_id, []))

            show_output(output)
            show_commands(ordered)
            page.follow(Watch(outputs=True, commands_of=register_id), show)


def _may(person: session.Session) -> bool:
    return person.may(Role.OPERATOR)


class _Standing:
    """The drawing, the state as read back with its age, and the buttons."""

    def __init__(self, output: OutputView, switch: Switch | None) -> None:
        self._switch = switch
        with box("card roof-card", "section"):
            self._scene = svg(roof.drawing(output), roof.scene_class(output), "div")
            self._scene.props["role"] = "img"
            with box("roof-bar"):
                with box():
                    self._state = Text("", "output-state", "div")
                    named(self._state, "output-state")
                    with box("row"):
                        Text("read back", "quiet")
                        self._age = Age()
                with box("row"):
                    if switch:
                        switch.build()
                    else:
                        Text("Your account may look, not switch.", "quiet")
        self.show(output)

    def show(self, output: OutputView) -> None:
        state = roof.state_name(output)
        restyle(self._scene, roof.scene_class(output))
        if self._scene.props.get("aria-label") != state:
            self._scene.props["aria-label"] = state
        self._state.text = state
        self._age.show_time(output.reading.at if output.reading else None, stale=output.stale)
        if self._switch:
            self._switch.show(output)


class _Progress:
    """The life line of the newest command."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        with card("Latest command") as end:
            with end:
                self._wanted = Text("", "quiet")
            self._life: LifeLine | None = None
            self._place = box()
            with self._place:
                self._empty = empty(
                    "outputs", "No command yet", "The next one is followed here, step by step."
                )

    def show(self, newest: list[CommandView]) -> None:
        if not newest:
            return
        if self._life is None:
            self._empty.delete()
            with self._place:
                self._life = LifeLine(self._zone)
        self._wanted.text = newest[0].wanted
        self._life.show(newest[0])
