"""The overview: is everything well, what stands on the meters, how do the outputs stand."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

from nicegui import ui

from cloud.dashboard import media, quantity
from cloud.dashboard.alarms import AlarmList
from cloud.dashboard.live import Live, Snapshot, Watch
from cloud.dashboard.meter_card import MeterCard
from cloud.dashboard.output_card import OutputCard, rule_of
from cloud.dashboard.problems import told
from cloud.dashboard.shell import BUILD_S, Frame, frame
from cloud.dashboard.widgets import Stat, Text, box, empty, link
from cloud.domain.consumption import Step
from cloud.services import gateways, metering, outputs, rules
from cloud.services.store import Store
from cloud.services.views import ConsumptionView, GatewayView, MeterView, OutputView, RuleView
from common.clock import Clock, to_datetime

CARDS = 24
SITES = 4
OUTPUTS = 6
DAY_REFRESH_S = 60.0


def register(store: Store, live: Live, clock: Clock) -> None:
    """Put the page at ``/``."""

    @ui.page("/", response_timeout=BUILD_S)
    @told(clock)
    async def overview() -> None:
        now_ms = clock.now_ms()
        meters, gates, outs, rule_list = await asyncio.gather(
            asyncio.to_thread(metering.meters, store, now_ms),
            asyncio.to_thread(gateways.gateways, store, now_ms),
            asyncio.to_thread(outputs.outputs, store, now_ms),
            asyncio.to_thread(rules.rules, store),
        )
        with frame("Overview", "/", live, clock) as page:
            health = _Health(gates)
            meters.sort(key=media.by_place)
            shown = _chosen(meters)
            alarms = AlarmList(store, live, clock, page.person)
            cards, output_cards = _content(shown, len(meters), gates, outs, rule_list)
            _subtitle(page, meters)

            def show(snapshot: Snapshot) -> None:
                health.show(snapshot.gateways, len(snapshot.alarms))
                alarms.show(snapshot.alarms)
                for card in cards.values():
                    card.update(snapshot)
                for output in snapshot.outputs:
                    if output.register.id in output_cards:
                        output_cards[output.register.id].show(output)

            watched = frozenset[int]().union(*(card.registers for card in cards.values()))
            page.follow(Watch(registers=watched, gateways=True, outputs=True), show)

            async def show_days() -> None:
                for meter in shown:
                    if meter.index is not None:
                        hours = await asyncio.to_thread(
                            _last_day, store, meter.index.register.id, clock.now_ms()
                        )
                        cards[meter.id].show_day(hours)

            ui.timer(DAY_REFRESH_S, show_days)


def _last_day(store: Store, register_id: int, now_ms: int) -> Sequence[ConsumptionView]:
    end = to_datetime(now_ms)
    return metering.consumption(store, register_id, Step.HOUR, end - timedelta(hours=23), end)


def _subtitle(page: Frame, meters: Sequence[MeterView]) -> None:
    reporting = sum(1 for m in meters if m.index and m.index.reading and not m.index.stale)
    if not meters:
        page.subtitle.text = "Nothing is connected yet."
    elif reporting == len(meters):
        page.subtitle.text = (
            f"All {len(meters)} meters report." if reporting > 1 else "1 meter reports."
        )
    else:
        page.subtitle.text = f"{reporting} of {len(meters)} meters report."


def _chosen(meters: Sequence[MeterView]) -> Sequence[MeterView]:
    """All meters, if they are few; else the first ones of each of the first sites."""
    if len(meters) <= CARDS:
        return meters
    sites = [list(group) for _, group in groupby(meters, key=lambda meter: meter.site_name)]
    return [meter for group in sites[:SITES] for meter in group[: CARDS // min(len(sites), SITES)]]


def _content(
    shown: Sequence[MeterView],
    total: int,
    gates: Sequence[GatewayView],
    outs: Sequence[OutputView],
    rule_list: Sequence[RuleView],
) -> tuple[dict[int, MeterCard], dict[int, OutputCard]]:
    cards: dict[int, MeterCard] = {}
    output_cards: dict[int, OutputCard] = {}
    if not gates:
        with box("card"):
            empty(
                "gateways",
                "No gateway has reported yet",
                "As soon as an edge agent reaches the broker and says hello, its site and its "
                "meters appear here by themselves.",
            )
    for output in outs[:OUTPUTS]:
        output_cards[output.register.id] = OutputCard(output, rule_of(rule_list, output))
    for site, group in groupby(shown, key=lambda meter: meter.site_name):
        with box("section"):
            Text(site, tag="h2")
            if total > CARDS:
                with link("link", "/meters"):
                    Text(f"All {quantity.count(total)} meters")
        with box("cards"):
            for meter in group:
                cards[meter.id] = MeterCard(meter)
    if gates and not shown:
        with box("card"):
            empty(
                "meters",
                "The gateway is here, its meters are not",
                "Meters appear when the gateway sends its catalogue of devices.",
            )
    return cards, output_cards


class _Health:
    """Four figures: connected, waiting, complete, alarms."""

    def __init__(self, gates: Sequence[GatewayView]) -> None:
        with box("card stats"):
            self._online = Stat("Gateways online", "gateways-online")
            self._queued = Stat("Waiting on gateways", "queued")
            self._complete = Stat("Completeness", "completeness")
            self._alarms = Stat("Open alarms", "alarms")
        self.show(gates, 0)

    def show(self, gates: Sequence[GatewayView], alarms: int) -> None:
        online = sum(gate.online for gate in gates)
        tone = "" if online == len(gates) else "bad"
        offline = "all connected" if not tone else f"{len(gates) - online} not connected"
        note = offline if gates else "none yet"
        self._online.show(f"{online} / {len(gates)}", note, tone)
        queued = sum(gate.queued for gate in gates)
        oldest = min((gate.oldest_at for gate in gates if gate.oldest_at), default=None)
        since = f"since {oldest:%H:%M:%S} UTC" if queued and oldest else "nothing is waiting"
        self._queued.show(quantity.count(queued), since, "warn" if queued > 1000 else "")
        self._show_completeness(gates)
        self._alarms.show(
            str(alarms), "someone must look" if alarms else "all quiet", "bad" if alarms else ""
        )

    def _show_completeness(self, gates: Sequence[GatewayView]) -> None:
        committed = sum(gate.committed for gate in gates)
        missing = sum(gate.missing for gate in gates)
        if not committed:
            self._complete.show(quantity.NOTHING, "no entries yet")
        elif missing:
            share = 100 * committed / (committed + missing)
            text = f"{min(share, 99.99):.2f}{quantity.THIN}%"
            self._complete.show(text, f"{quantity.count(missing)} entries missing", "bad")
        else:
            note = f"{quantity.count(committed)} entries, none missing"
            self._complete.show(f"100{quantity.THIN}%", note, "ok")
