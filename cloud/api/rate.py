"""How often a client may ask: a bucket of requests for each token, else for each address."""

import hashlib
import math
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.api.errors import problem
from common.clock import Clock

CLIENTS = 10_000
"""So many tokens, and so many addresses, are remembered: those that asked last."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A client may ask ``at_once`` times, and then ``per_s`` times a second; 0: without end."""

    per_s: float = 50
    at_once: int = 200


USUAL = Rate()


class Buckets:
    """Who has how many requests left. Of each bucket only the time when it is full is kept."""

    def __init__(self, rate: Rate, clients: int = CLIENTS) -> None:
        self._rate = rate
        self._clients = clients
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __contains__(self, client: str) -> bool:
        return client in self._full_at

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, client: str, now: float) -> float:
        """Take a request out of the bucket; returns how many are left.

        Below 0 there was none, and nothing is taken.
        """
        full_at = max(self._full_at.pop(client, now), now)
        left = self._rate.at_once - (full_at - now) * self._rate.per_s - 1
        # A hair: what was filled up in floating point must be as good as what was counted.
        self._full_at[client] = full_at + (1 / self._rate.per_s if left > -1e-6 else 0)
        while len(self._full_at) > self._clients:
            self._full_at.popitem(last=False)
        return left if left < -1e-6 else max(left, 0)


class RateLimit:
    """ASGI middleware: who asks too often is answered with 429, before anything else is done.

    A token has a bucket of its own once it was found to be valid; until then, and for who has
    none, the address counts. So guessed tokens are limited like any other stranger. Neither the
    health of the program nor the dashboard is limited.
    """

    def __init__(self, app: ASGIApp, rate: Rate, clock: Clock) -> None:
        self._app, self._rate, self._clock = app, rate, clock
        self._tokens, self._addresses = Buckets(rate), Buckets(rate)
        window_s = math.ceil(rate.at_once / rate.per_s)
        self._policy = f'"requests";q={rate.at_once};w={window_s}'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(("/api/", "/metrics")):
            await self._app(scope, receive, send)
            return
        now = self._clock.monotonic()
        token = _token(scope)
        if token in self._tokens:
            left = self._tokens.take(token, now)
        else:
            left = self._addresses.take(_address(scope), now)

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                if was_signed_in(scope) and token not in self._tokens:
                    self._tokens.take(token, now)
                headers = MutableHeaders(raw=message["headers"])
                headers["RateLimit-Policy"] = self._policy
                headers["RateLimit"] = self._state(left)
            await send(message)

        if left >= 0:
            await self._app(scope, receive, send_told)
        else:
            wait_s = max(1, math.ceil(-left / self._rate.per_s))
            detail = f"too many requests: wait {wait_s} s"
            answer = problem(429, detail, headers={"Retry-After": str(wait_s)})
            await answer(scope, receive, send_told)

    def _state(self, left: float) -> str:
        whole = max(0, math.floor(left))
        full_s = math.ceil((self._rate.at_once - whole) / self._rate.per_s)
        return f'"requests";r={whole};t={full_s}'


def note_signed_in(request: Request) -> None:
    """The token of ``request`` is valid."""
    request.state.signed_in = True


def was_signed_in(scope: Scope) -> bool:
    """Whether the token of a request was found to be valid."""
    return bool(scope.get("state", {}).get("signed_in", False))


def _token(scope: Scope) -> str:
    """What names a token; not the token itself, which is kept nowhere."""
    given = Headers(scope=scope).get("authorization", "")
    return hashlib.sha256(given.encode("latin-1")).hexdigest()


def _address(scope: Scope) -> str:
    """Where a request comes from; of IPv6 the network, of which a client has all addresses."""
    host = str(scope["client"][0]) if scope.get("client") else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        return f"{int(address) >> 64:x}"
    return host
