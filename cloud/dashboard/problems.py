"""What a person sees instead of a page: not found, not allowed, not now. Never a traceback."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec

from fastapi.exceptions import RequestValidationError
from nicegui import Client, app, ui
from starlette.requests import Request
from starlette.responses import Response

from cloud.dashboard import theme
from cloud.dashboard.icons import WORD_MARK
from cloud.dashboard.widgets import Text, box, link, svg
from common.clock import Clock
from common.errors import InMetterError, NotFound, Retryable

Args = ParamSpec("Args")
Builder = Callable[Args, Awaitable[None]]


def register(clock: Clock) -> None:
    """Show what goes wrong outside and inside of pages in the product's own words."""

    async def no_page(request: Request, _: Exception) -> Response:
        with Client(ui.page(""), request=request) as client:
            show(NotFound("there is no such page"), clock)
        return client.build_response(request, 404)

    app.exception_handler(404)(no_page)
    app.exception_handler(RequestValidationError)(no_page)
    app.on_page_exception(lambda error: show(error, clock))


def told(clock: Clock) -> Callable[[Builder[Args]], Builder[Args]]:
    """Lets a page builder raise our errors: the person is told, in place of the page."""

    def decorate(build: Builder[Args]) -> Builder[Args]:
        @wraps(build)
        async def built(*args: Args.args, **kwargs: Args.kwargs) -> None:
            client = ui.context.client
            try:
                await build(*args, **kwargs)
            except InMetterError as error:
                client.content.clear()
                client.status_code = _status(error)
                show(error, clock)

        return built

    return decorate


def _status(error: InMetterError) -> int:
    if isinstance(error, NotFound):
        return 404
    return 503 if isinstance(error, Retryable) else 403


def show(error: Exception, clock: Clock) -> None:
    """Build the page that tells of ``error``."""
    title, text = words(error)
    theme.head(clock.now_ms())
    ui.page_title(f"{title} · inMetter")
    with box("gate", "main"), box("gate-card"):
        svg(WORD_MARK, "brand", "div")
        Text(title, "gate-head", "h1")
        Text(text, "gate-title", "p")
        with link("btn primary wide", "/"):
            Text("To the overview")


def words(error: Exception) -> tuple[str, str]:
    """A title and a sentence for the error; what is not ours is not repeated."""
    if isinstance(error, NotFound):
        return "Not found", f"{str(error).capitalize()}."
    if isinstance(error, Retryable):
        return "Not at the moment", "The database does not answer. Please try again shortly."
    if isinstance(error, InMetterError):
        return "Not possible", str(error)
    return "Something went wrong", "The page could not be built. The log says why."
