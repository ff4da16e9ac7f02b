"""Who is signed in, and what they may do."""

from dataclasses import dataclass
from urllib.parse import quote

from nicegui import app
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp

from cloud.dashboard.theme import STATIC_URL
from cloud.services.views import AccountView, Role
from common.clock import Clock
from common.errors import NotAllowed

SESSION_MS = 12 * 3_600_000
OPEN_PATHS = ("/login", "/_nicegui/", f"{STATIC_URL}/", "/favicon.ico")
RANK = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether the person's role includes ``role``."""
        return RANK[self.role] >= RANK[role]


def current(now_ms: int) -> Session | None:
    """The session of the browser that asks; None when there is none, or it is over."""
    stored = app.storage.user
    name, role, until = stored.get("name"), stored.get("role"), stored.get("until")
    if not isinstance(name, str) or role not in set(Role) or not isinstance(until, int):
        return None
    return Session(name, Role(role)) if now_ms < until else None


def require(role: Role, now_ms: int) -> Session:
    """The session, if it may act as ``role``; raises NotAllowed. For every handler that acts."""
    session = current(now_ms)
    if session is None:
        raise NotAllowed("You are signed out. Sign in again.")
    if not session.may(role):
        raise NotAllowed(f"Your account may look, not switch: this needs the role {role}.")
    return session


def sign_in(account: AccountView, now_ms: int) -> None:
    """Remember the account for this browser, for twelve hours."""
    app.storage.user.update(name=account.name, role=str(account.role), until=now_ms + SESSION_MS)


def sign_out() -> None:
    """Forget who it was; the theme stays."""
    for key in ("name", "role", "until"):
        app.storage.user.pop(key, None)


def local_path(target: str) -> str:
    """``target`` if it is a page of ours, else the overview: nobody is sent to another host."""
    simple = target.startswith("/") and not target.startswith(("//", "/login"))
    return target if simple and "\\" not in target and target.isprintable() else "/"


class Gate(BaseHTTPMiddleware):
    """Sends whoever is not signed in to the sign-in page, and remembers where they wanted to go."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        super().__init__(app)
        self._clock = clock

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        path = request.url.path
        if path.startswith(OPEN_PATHS) or current(self._clock.now_ms()):
            return await call_next(request)
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/login?next={quote(path + query)}", status_code=303)
