"""ETags (RFC 9110): whoever has an answer already need not get it again, and a configuration that
somebody else has changed meanwhile is not replaced."""

import hashlib
import re
from typing import Annotated

from fastapi import Depends, Header
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TAG = re.compile(r'(W/)?("[^"]*")')
_OF_CONTENT = {b"content-length", b"content-type"}


def tag(content: bytes) -> str:
    """The strong ETag of what a GET answers with."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


class ETags:
    """ASGI middleware: whole answers to GET under ``/api/`` have an ETag; 304 for who has it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] == "http" and scope["method"] == "GET"
        if not asked or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        had = Headers(scope=scope).get("if-none-match", "")
        start: Message | None = None

        async def send_tagged(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start is not None:
                whole = start["status"] == 200 and not message.get("more_body")
                if whole and _tagged(start, message.get("body", b""), had):
                    message = {"type": "http.response.body", "body": b""}
                await send(start)
                start = None
            await send(message)

        await self._app(scope, receive, send_tagged)


def _tagged(start: Message, content: bytes, had: str) -> bool:
    """Tag an answer; where it is one of ``had`` (If-None-Match), True, and it becomes a 304."""
    headers = MutableHeaders(raw=start["headers"])
    ours = tag(content)
    headers["ETag"] = ours
    headers.setdefault("Cache-Control", "private, no-cache")
    known = had.strip() == "*" or any(theirs == ours for _, theirs in _TAG.findall(had))
    if known:
        start["status"] = 304
        start["headers"] = [one for one in headers.raw if one[0] not in _OF_CONTENT]
    return known


class Precondition:
    """If-Match: which content the caller means to replace."""

    def __init__(self, if_match: str | None) -> None:
        self._wanted = if_match

    def holds(self, content: bytes) -> bool:
        """Whether ``content``, what a GET answers with now, is what the caller has seen."""
        if self._wanted is None or self._wanted.strip() == "*":
            return True
        return tag(content) in {theirs for weak, theirs in _TAG.findall(self._wanted) if not weak}


async def _precondition(
    if_match: Annotated[
        str | None, Header(description="The ETag of what is to be replaced, as a GET gave it")
    ] = None,
) -> Precondition:
    return Precondition(if_match)


IfMatch = Annotated[Precondition, Depends(_precondition)]
