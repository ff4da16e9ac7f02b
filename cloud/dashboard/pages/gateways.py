"""Gateways: connected, how much waits on them, what the ledger has and lacks, their devices."""

import asyncio

from nicegui import ui

from cloud.dashboard import quantity
from cloud.dashboard.live import Live, Snapshot, Watch
from cloud.dashboard.problems import told
from cloud.dashboard.shell import BUILD_S, frame
from cloud.dashboard.widgets import Age, Pill, Stat, Text, box, empty, named, set_prop
from cloud.services import gateways
from cloud.services.store import Store
from cloud.services.views import DeviceHealthView, GatewayView
from common.clock import Clock

DRIVERS = {"c11do1eth": "C11DO1ETH", "mbus": "M-Bus", "modbus": "Modbus"}
HEALTH = {"ok": ("ok", "OK"), "failing": ("bad", "Failing")}


def register(store: Store, live: Live, clock: Clock) -> None:
    """Put the page at ``/gateways``."""

    @ui.page("/gateways", response_timeout=BUILD_S)
    @told(clock)
    async def page_of_gateways() -> None:
        found = await asyncio.to_thread(gateways.gateways, store, clock.now_ms())
        with frame("Gateways", "/gateways", live, clock) as page:
            page.subtitle.text = "What stands on site, and whether everything it said has arrived."
            if not found:
                with box("card"):
                    empty(
                        "gateways",
                        "No gateway has reported yet",
                        "Start an edge agent and give it this installation's broker: it "
                        "introduces itself.",
                    )
            column = box("stack")
            cards: dict[int, _Card] = {}

            def show(snapshot: Snapshot) -> None:
                _show(column, cards, snapshot.gateways)

            _show(column, cards, found)
            page.follow(Watch(gateways=True), show)


def _show(column: ui.element, cards: dict[int, "_Card"], found: list[GatewayView]) -> None:
    for gateway in found:
        if gateway.id not in cards:
            with column:
                cards[gateway.id] = _Card(gateway)
        cards[gateway.id].show(gateway)


class _Card:
    """One gateway; its devices come as it reports them."""

    def __init__(self, gateway: GatewayView) -> None:
        self._devices: dict[str, _Device] = {}
        with box("card gateway", "section"):
            with box("card-head"):
                with box():
                    Text(gateway.name or gateway.key, tag="h2")
                    Text(f"{gateway.site_name} · {gateway.key}", "quiet", "div")
                with box("end"):
                    self._seen = Age()
                    self._online = Pill()
                    named(self._online.element, f"gateway-{gateway.key}")
            with box("stats"):
                self._queued = Stat("Waiting to be sent")
                self._journal = Stat("Journal on disk")
                self._committed = Stat("Committed")
                self._missing = Stat("Missing")
                self._rejected = Stat("Rejected")
                self._agent = Stat("Edge agent")
            with box("table-wrap"), box("table pairs", "table"):
                with box("", "thead"), box("", "tr"):
                    for title, classes in (
                        ("Device", ""),
                        ("Driver", "phone-hide"),
                        ("Health", ""),
                        ("Last read", ""),
                    ):
                        Text(title, classes, "th").props["scope"] = "col"
                self._body = box("", "tbody")

    def show(self, gateway: GatewayView) -> None:
        """The gateway as it is now."""
        self._online.show(
            "ok" if gateway.online else "bad", "Online" if gateway.online else "Offline"
        )
        self._seen.show_time(gateway.seen_at, stale=not gateway.online)
        oldest = gateway.oldest_at
        self._queued.show(
            quantity.count(gateway.queued),
            f"since {oldest:%d %b %H:%M:%S} UTC" if gateway.queued and oldest else "nothing",
            "warn" if gateway.queued > 1000 or (gateway.queued and not gateway.online) else "",
        )
        self._journal.show(quantity.size(gateway.journal_bytes), "kept for resending")
        self._committed.show(quantity.count(gateway.committed), "entries")
        self._missing.show(
            quantity.count(gateway.missing),
            "entries" if gateway.missing else "complete",
            "bad" if gateway.missing else "ok",
        )
        self._rejected.show(
            quantity.count(gateway.rejected), "entries", "warn" if gateway.rejected else ""
        )
        agent, _, version = gateway.agent.rpartition(" ")
        self._agent.show(version or quantity.NOTHING, agent)
        for device in gateway.devices:
            if device.key not in self._devices:
                with self._body:
                    self._devices[device.key] = _Device(device)
            self._devices[device.key].show(device)


class _Device:
    def __init__(self, device: DeviceHealthView) -> None:
        with box("", "tr"):
            with box("", "td"), box("name-cell"), box():
                Text(device.name, tag="b")
                Text(device.key, tag="small")
            with box("phone-hide", "td"):
                Text(DRIVERS.get(device.driver, device.driver))
            with box("", "td"):
                self._health = Pill()
                self._error = Text("", "quiet", "div")
            with box("nowrap", "td"):
                self._ok = Age("never")

    def show(self, device: DeviceHealthView) -> None:
        tone, name = HEALTH.get(device.state, ("idle", "Unknown"))
        times = f" ×{device.failures}" if device.failures else ""
        self._health.show(tone, name + times)
        set_prop(self._health.element, "title", f"{device.failures} failures in a row")
        self._error.text = device.error if device.state == "failing" else ""
        self._ok.show_time(device.last_ok_at, stale=device.state == "failing")
