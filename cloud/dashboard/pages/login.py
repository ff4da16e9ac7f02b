"""Signing in."""

import asyncio

from nicegui import ui

from cloud.dashboard import session, theme
from cloud.dashboard.icons import WORD_MARK, icon
from cloud.dashboard.widgets import Text, box, button, named, restyle, set_prop, svg
from cloud.services import accounts
from cloud.services.store import Store
from common.clock import Clock
from common.errors import Retryable


def register(store: Store, clock: Clock) -> None:
    """Put the page at ``/login``."""

    @ui.page("/login", title="Sign in · inMetter")
    def login(next: str = "/") -> None:  # noqa: A002 the name in the address
        target = session.local_path(next)
        if session.current(clock.now_ms()):
            ui.navigate.to(target)
        theme.head(clock.now_ms())
        with box("gate", "main"), box("gate-card"):
            svg(WORD_MARK, "brand", "div")
            Text("Sign in to see your meters.", "gate-title", "h1")
            error = box("gate-error hidden")
            error.props["role"] = "alert"
            with error:
                svg(icon("warn"))
                problem = Text()
            with box("stack", "form").on("submit.prevent"):
                name = _field("Name", "login-name", "username")
                password = _field("Password", "login-password", "current-password")
                submit = named(button("Sign in", "btn primary wide"), "login-submit")
            Text("Water, gas and electricity, from the pulse to the page.", "gate-foot")

        def refuse(text: str) -> None:
            problem.text = text
            restyle(error, "gate-error")

        async def attempt() -> None:
            if "disabled" in submit.props:
                return
            submit.props["disabled"] = True
            try:
                await enter(name.value or "", password.value or "")
            except Retryable:
                refuse("The database does not answer. Please try again in a moment.")
            finally:
                submit.props.pop("disabled", None)

        async def enter(who: str, secret: str) -> None:
            who = who.strip()
            account = await asyncio.to_thread(
                accounts.authenticate, store, who, secret, clock=clock
            )
            if account is not None:
                session.sign_in(account, clock.now_ms())
                ui.navigate.to(target)
                return
            wait = accounts.wait_s(who, clock=clock)
            set_prop(password, "aria-invalid", "true")
            if wait > 0:
                refuse(f"Too many attempts. Please wait {int(wait) + 1} seconds.")
            else:
                refuse("Name or password is wrong.")

        submit.on("click", attempt)
        name.on("keydown.enter", attempt)
        password.on("keydown.enter", attempt)


def _field(label: str, testid: str, autocomplete: str) -> ui.input:
    with box("field"):
        text = Text(label, tag="label")
        text.props["for"] = testid
        field = ui.input(password=autocomplete == "current-password").props("outlined dense")
        field.style("width:100%")
        field.props.update(
            {"for": testid, "autocomplete": autocomplete, "maxlength": 1024, "spellcheck": "false"}
        )
        if autocomplete == "username":
            field.props["autofocus"] = True
    named(field, testid)
    return field
