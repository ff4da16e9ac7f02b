"""The dashboard: NiceGUI pages over the services."""

from pathlib import Path

from fastapi import FastAPI
from nicegui import app as nicegui_app
from nicegui import ui
from nicegui.storage import Storage

from cloud.dashboard import problems, theme
from cloud.dashboard.icons import FAVICON
from cloud.dashboard.live import Live
from cloud.dashboard.pages import (
    events,
    gateways,
    login,
    meter,
    meters,
    output,
    outputs,
    overview,
)
from cloud.dashboard.session import Gate
from cloud.services.commands import Dispatcher
from cloud.services.store import Store
from common.clock import Clock

__all__ = ["mount", "register"]


def register(store: Store, *, clock: Clock, dispatcher: Dispatcher | None) -> Live:
    """Put all pages, their style and their poller into NiceGUI's app."""
    live = Live(store, clock)
    theme.serve()
    nicegui_app.add_middleware(Gate, clock=clock)
    problems.register(clock)
    login.register(store, clock)
    overview.register(store, live, clock)
    meters.register(store, live, clock)
    meter.register(store, live, clock)
    outputs.register(store, live, clock)
    output.register(store, live, clock, dispatcher)
    gateways.register(store, live, clock)
    events.register(store, live, clock)
    nicegui_app.on_startup(live.start)
    nicegui_app.on_shutdown(live.stop)
    return live


def mount(
    app: FastAPI,
    store: Store,
    *,
    clock: Clock,
    dispatcher: Dispatcher | None = None,
    storage_secret: str,
    sessions: Path | None = None,
    secure_cookie: bool = False,
) -> None:
    """Put the dashboard at ``/`` of ``app``; routes that are added later are hidden by it.

    ``dispatcher`` publishes the commands that are ordered. ``storage_secret`` signs the session
    cookie. What sessions hold is kept in the folder ``sessions`` (by default
    ``.nicegui`` in the working directory). ``secure_cookie``: browsers send the cookie over
    HTTPS only.
    """
    if sessions is not None:
        Storage.path = sessions.resolve()
        nicegui_app.storage = Storage()
    register(store, clock=clock, dispatcher=dispatcher)
    ui.run_with(
        app,
        title="inMetter",
        favicon=FAVICON,
        language="en-GB",
        tailwind=False,
        storage_secret=storage_secret,
        session_middleware_kwargs={"same_site": "lax", "https_only": secure_cookie},
        show_welcome_message=False,
        reconnect_timeout=10.0,
    )
