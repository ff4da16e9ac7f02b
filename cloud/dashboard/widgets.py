"""The small parts that pages are made of. Setting a part to what it shows already costs nothing."""

from datetime import datetime
from typing import TypeVar

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from cloud.dashboard import media, quantity
from cloud.dashboard.icons import icon
from cloud.dashboard.quantity import Shown
from cloud.services.views import LatestView
from common.clock import to_ms
from common.reading import Quality
from common.registers import Medium

Part = TypeVar("Part", bound=ui.element)


class Text(TextElement):
    """A run of text in a tag of its own."""

    def __init__(self, text: str = "", classes: str = "", tag: str = "span") -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)


def box(classes: str = "", tag: str = "div") -> ui.element:
    """A plain element with classes."""
    return ui.element(tag).classes(classes)


def svg(markup: str, classes: str = "", tag: str = "span") -> ui.html:
    """Markup of our own; nothing from outside may be put in."""
    return ui.html(markup, sanitize=False, tag=tag).classes(classes)


def named(element: Part, testid: str) -> Part:
    """Give the element the name by which tests find it."""
    element.props["data-testid"] = testid
    return element.mark(testid)


def restyle(element: ui.element, classes: str) -> None:
    """Replace the element's classes, if they differ."""
    if list(element.classes) != classes.split():
        element.classes(replace=classes)


def set_prop(element: ui.element, key: str, value: str) -> None:
    """Set an attribute, if it differs."""
    if element.props.get(key) != value:
        element.props[key] = value


def link(classes: str, href: str) -> ui.element:
    """An anchor to a page."""
    anchor = box(classes, "a")
    anchor.props["href"] = href
    return anchor


def button(text: str, classes: str = "", label: str = "") -> Text:
    """A native button; ``label`` is its name for a screen reader where the text is none."""
    made = Text(text, classes, "button")
    made.props["type"] = "button"
    if label:
        made.props["aria-label"] = label
        made.props["title"] = label
    return made


class Pill:
    """A status in one word. ``tone`` is ok, warn, bad, idle or accent."""

    def __init__(self, tone: str = "idle", text: str = "") -> None:
        self.element = Text(text, f"pill s-{tone}")

    def show(self, tone: str, text: str, *, busy: bool = False) -> None:
        self.element.text = text
        restyle(self.element, f"pill s-{tone}" + (" busy" if busy else ""))


class Value:
    """A number with its fraction and unit set apart; it flashes when it changes."""

    def __init__(self, classes: str, testid: str = "") -> None:
        self.element = box(f"value {classes}")
        self.element.props["data-live"] = ""
        if testid:
            named(self.element, testid)
        with self.element:
            self._whole = Text()
            self._fraction = Text(classes="fraction")
            self._unit = Text(classes="unit")

    def show(self, shown: Shown) -> None:
        self._whole.text = shown.whole
        self._fraction.text = shown.fraction
        self._unit.text = shown.unit


class Age:
    """How old a reading is; ticks in the browser, and says so when it is too old."""

    def __init__(self, never: str = "no reading yet") -> None:
        self.element = self._frame = box("fresh never", "span")
        with self._frame:
            self._ago = ui.element("im-ago")
            self._ago.props["never"] = never

    def show(self, latest: LatestView | None) -> None:
        if latest is None or latest.reading is None:
            restyle(self._frame, "fresh never")
            return
        self.show_time(latest.reading.at, stale=latest.stale)

    def show_time(self, at: datetime | None, *, stale: bool) -> None:
        set_prop(self._ago, "at", str(to_ms(at)) if at else "")
        restyle(self._frame, "fresh never" if at is None else "fresh stale" if stale else "fresh")
        set_prop(self._frame, "title", "older than it should be" if stale else "up to date")


def ago(at: datetime | None) -> ui.element:
    """A moment as a distance from now."""
    element = ui.element("im-ago")
    element.props["at"] = str(to_ms(at)) if at else ""
    return element


def medium_chip(medium: Medium, *, small: bool = False) -> None:
    """The medium's icon in its colour."""
    with box(f"chip {media.css_class(medium)}" + (" small" if small else "")) as chip:
        svg(icon(media.icon_name(medium)))
    chip.props["title"] = media.label(medium)
    chip.props["role"] = "img"
    chip.props["aria-label"] = media.label(medium)


def empty(icon_name: str, title: str, text: str) -> ui.element:
    """What stands where nothing is yet, and what would change that."""
    with box("empty") as frame:
        svg(icon(icon_name))
        Text(title, tag="b")
        Text(text, tag="p")
    return frame


class Stat:
    """A figure with its name above and a note below."""

    def __init__(self, label: str, testid: str = "") -> None:
        self._frame = box("stat")
        with self._frame:
            Text(label, "label")
            self._value = Value("figure", testid)
            self._note = Text(classes="note")

    def show(self, shown: Shown | str, note: str = "", tone: str = "") -> None:
        self._value.show(Shown(shown) if isinstance(shown, str) else shown)
        self._note.text = note
        restyle(self._frame, "stat" + (f" s-{tone}" if tone else ""))


def quality_tone(quality: Quality) -> str:
    """How loudly a quality is shown."""
    if quality is Quality.GOOD:
        return "ok"
    return "warn" if quality in {Quality.ESTIMATED, Quality.TIME_UNCERTAIN} else "bad"


def quality_name(quality: Quality) -> str:
    return quantity.QUALITIES.get(quality, "unknown")
