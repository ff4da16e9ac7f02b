"""The look: style sheets, script and head of every page. Everything comes from this server."""

import hashlib
from pathlib import Path

from nicegui import app, ui

STATIC = Path(__file__).parent / "static"
STATIC_URL = "/static/inmetter"
SHEETS = ("tokens.css", "base.css", "components.css", "pages.css")
SCRIPT = "dashboard.js"
THEMES = {"auto": "Follow the system", "light": "Light", "dark": "Dark"}


def serve() -> None:
    """Make the style sheets and the script available."""
    app.add_static_files(STATIC_URL, STATIC, max_cache_age=86_400)


def _version() -> str:
    digest = hashlib.sha256()
    for name in (*SHEETS, SCRIPT):
        digest.update((STATIC / name).read_bytes())
    return digest.hexdigest()[:12]


VERSION = _version()


def head(now_ms: int) -> None:
    """The head of the page being built; the theme is set before anything is painted."""
    chosen = app.storage.user.get("theme")
    wanted = chosen if chosen in THEMES else "auto"
    links = "".join(
        f'<link rel="stylesheet" href="{STATIC_URL}/{name}?v={VERSION}">' for name in SHEETS
    )
    ui.add_head_html(
        f'<script>Object.assign(document.documentElement.dataset,{{wanted:"{wanted}",'
        f'now:"{now_ms}"}})</script><script src="{STATIC_URL}/{SCRIPT}?v={VERSION}"></script>'
        f'{links}<meta name="theme-color" content="#0c7463">'
    )


def choose(theme: str) -> None:
    """Keep the person's theme, and show it at once."""
    if theme in THEMES:
        app.storage.user["theme"] = theme
        ui.run_javascript(f'inmetter.theme("{theme}")')
