"""The frame around every page: navigation at the side, at the bottom on a phone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nicegui import app, ui

from cloud.dashboard import session, theme
from cloud.dashboard.icons import WORD_MARK, icon
from cloud.dashboard.live import Live, Show, Snapshot, Watch
from cloud.dashboard.session import Session
from cloud.dashboard.widgets import Text, box, button, link, named, restyle, set_prop, svg
from cloud.services.views import Role
from common.clock import Clock

BUILD_S = 15.0
"""How long a page may take to be built, on a database that is busy."""

ITEMS = {
    "/": ("overview", "Overview"),
    "/meters": ("meters", "Meters"),
    "/outputs": ("outputs", "Outputs"),
    "/gateways": ("gateways", "Gateways"),
    "/events": ("events", "Events"),
}


@dataclass(frozen=True, slots=True)
class Frame:
    """What a page gets: who looks at it, its header's right side, and its live wire."""

    person: Session
    side: ui.element
    subtitle: Text
    notice: ui.element
    badges: list[Text]
    live: Live

    def follow(self, watch: Watch, show: Show) -> None:
        """Keep this page up to date until it is closed."""

        def show_all(snapshot: Snapshot) -> None:
            for badge in self.badges:
                badge.text = str(len(snapshot.alarms)) if snapshot.alarms else ""
            show(snapshot)

        def warn(failing: bool) -> None:
            restyle(self.notice, "banner" if failing else "banner hidden")

        self.live.attach(ui.context.client, watch, show_all, warn)


@contextmanager
def frame(
    title: str, here: str, live: Live, clock: Clock, *, back: tuple[str, str] | None = None
) -> Iterator[Frame]:
    """Build the page ``title`` inside; ``here`` is the navigation item that it belongs to.

    Raises NotAllowed when nobody is signed in.
    """
    now_ms = clock.now_ms()
    person = session.require(Role.VIEWER, now_ms)
    theme.head(now_ms)
    ui.page_title(f"{title} · inMetter")
    skip = link("btn skip", "#content")
    with skip:
        Text("Skip to content")
    with box("frame"):
        badges = [_sidebar(here, person)]
        _topbar()
        with box("main", "main") as main, box("page"):
            main.props["id"] = "content"
            with box("head", "header"):
                with box():
                    if back:
                        with link("crumb", back[1]):
                            svg(icon("back"))
                            Text(back[0])
                    Text(title, tag="h1")
                    subtitle = Text("", "sub", "p")
                side = box("head-side")
            notice = box("banner hidden")
            notice.props["role"] = "status"
            with notice:
                svg(icon("warn"))
                Text("The database does not answer: what you see is not brought up to date.")
            yield Frame(person, side, subtitle, notice, badges, live)
        badges.append(_tabbar(here))


def _items(here: str) -> Text:
    for path, (name, label) in ITEMS.items():
        with link("nav-item", path) as item:
            if path == here:
                item.props["aria-current"] = "page"
            svg(icon(name))
            Text(label)
            if path == "/events":
                badge = Text("", "badge")
                badge.props["title"] = "open alarms"
    return badge


def _sidebar(here: str, person: Session) -> Text:
    with box("nav", "aside"), box("nav-in"):
        brand = link("brand", "/")
        with brand:
            svg(WORD_MARK, "brand-mark row")
        brand.props["aria-label"] = "inMetter, overview"
        with box("nav-items", "nav") as nav:
            nav.props["aria-label"] = "Main"
            badge = _items(here)
        with box("nav-foot"):
            _themes()
            with box("who"):
                Text(person.name[:1], "avatar")
                with box() as names:
                    Text(person.name, "who-name", "div")
                    Text(person.role, "who-role", "div")
                names.style("min-width:0;flex:1")
                _leave()
    return badge


def _leave() -> None:
    leave = named(button("", "icon-btn", "Sign out"), "logout")
    with leave:
        svg(icon("leave"))

    def sign_out() -> None:
        session.sign_out()
        ui.navigate.to("/login")

    leave.on("click", sign_out)


def _themes() -> None:
    chosen = app.storage.user.get("theme", "auto")
    with box("themes") as group:
        group.props["role"] = "group"
        group.props["aria-label"] = "Theme"
        buttons: dict[str, Text] = {}
        for name, icon_name in (("auto", "auto"), ("light", "sun"), ("dark", "moon")):
            made = button("", "", theme.THEMES[name])
            buttons[name] = made
            made.props["aria-pressed"] = "true" if name == chosen else "false"
            with made:
                svg(icon(icon_name))

            def choose(name: str = name) -> None:
                theme.choose(name)
                for other, element in buttons.items():
                    set_prop(element, "aria-pressed", "true" if other == name else "false")

            made.on("click", lambda _, choose=choose: choose())


def _topbar() -> None:
    with box("topbar"):
        brand = link("brand", "/")
        with brand:
            svg(WORD_MARK, "row")
        brand.props["aria-label"] = "inMetter, overview"
        with box("topbar-end"):
            toggle = button("", "icon-btn", "Light or dark")
            with toggle:
                svg(icon("auto"))

            def turn() -> None:
                order = list(theme.THEMES)
                now = app.storage.user.get("theme", "auto")
                theme.choose(order[(order.index(now) + 1) % len(order)])

            toggle.on("click", turn)
            _leave()


def _tabbar(here: str) -> Text:
    with box("tabbar", "nav") as bar:
        bar.props["aria-label"] = "Main, phone"
        return _items(here)


@contextmanager
def card(title: str, *, classes: str = "") -> Iterator[ui.element]:
    """A card with a heading; gives the right side of its head."""
    with box(f"card {classes}".strip(), "section"):
        with box("card-head"):
            Text(title, tag="h2")
            end = box("end")
        yield end
