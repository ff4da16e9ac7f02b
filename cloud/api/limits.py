"""How much a client may send."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.api.errors import problem

MAX_BODY_BYTES = 65_536
MAX_CONFIGURATION_BYTES = 1_100_000
"""A gateway's configuration, as JSON."""

MAX_IMPORT_BYTES = 33_554_432
"""A file with readings or metering points."""


class BodyLimit:
    """ASGI middleware: a body under ``/api/`` of more than MAX_BODY_BYTES is answered with 413.

    That of a ``…/configuration`` may have MAX_CONFIGURATION_BYTES, of an ``…/import/…``
    MAX_IMPORT_BYTES.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        most = _most(scope["path"])
        too_large = f"a request's body has at most {most} bytes"
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > most:
            await problem(413, too_large)(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise HTTPException(413, too_large)
            return message

        await self._app(scope, receive_counted, send)


def _most(path: str) -> int:
    if path.startswith("/api/v1/import/"):
        return MAX_IMPORT_BYTES
    return MAX_CONFIGURATION_BYTES if path.endswith("/configuration") else MAX_BODY_BYTES
