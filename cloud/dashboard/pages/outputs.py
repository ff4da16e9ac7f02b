"""All outputs, each as it stands."""

import asyncio

from nicegui import ui

from cloud.dashboard.live import Live, Snapshot, Watch
from cloud.dashboard.output_card import OutputCard, rule_of
from cloud.dashboard.problems import told
from cloud.dashboard.shell import BUILD_S, frame
from cloud.dashboard.widgets import box, empty
from cloud.services import outputs, rules
from cloud.services.store import Store
from common.clock import Clock


def register(store: Store, live: Live, clock: Clock) -> None:
    """Put the page at ``/outputs``."""

    @ui.page("/outputs", response_timeout=BUILD_S)
    @told(clock)
    async def page_of_outputs() -> None:
        found, rule_list = await asyncio.gather(
            asyncio.to_thread(outputs.outputs, store, clock.now_ms()),
            asyncio.to_thread(rules.rules, store),
        )
        with frame("Outputs", "/outputs", live, clock) as page:
            page.subtitle.text = "What can be switched, as it was last read back."
            cards = {one.register.id: OutputCard(one, rule_of(rule_list, one)) for one in found}
            if not found:
                with box("card"):
                    empty(
                        "outputs",
                        "Nothing to switch",
                        "Digital outputs of modules on site appear here by themselves.",
                    )

            def show(snapshot: Snapshot) -> None:
                for output in snapshot.outputs:
                    if output.register.id in cards:
                        cards[output.register.id].show(output)

            page.follow(Watch(outputs=True), show)
