"""Counts answers, and how long they took."""

from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.services.metrics import http_duration, http_requests

OTHER = "other"
"""Files, and what does not exist: whatever a client makes up must not make a metric of its own."""

FILES = "/_nicegui/"


def template_of(scope: Scope) -> str:
    """``/api/v1/sites/{site_id}`` for a request that came to this route; OTHER without one.

    A route knows its template from where it was included on; before that, all is literal.
    """
    path: str = scope["path"]
    template: str | None = getattr(scope.get("route"), "path_format", None)
    if template is None or path.startswith(FILES):
        return OTHER
    filled = template.format_map(scope["path_params"])
    return path.removesuffix(filled) + template if path.endswith(filled) else OTHER


class Traffic:
    """ASGI middleware: every answer is counted under the template of its route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = perf_counter(), 500

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_seen)
        finally:
            route = template_of(scope)
            http_requests.labels(route, f"{status // 100}xx").inc()
            http_duration.labels(route).observe(perf_counter() - started)
