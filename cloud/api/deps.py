"""What routes ask for: the store, the clock, and the account whose token came along."""

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AwareDatetime

from cloud.api.rate import note_signed_in
from cloud.services import accounts
from cloud.services.commands import Dispatcher
from cloud.services.store import Store
from cloud.services.views import AccountView, Role
from common.clock import Clock, to_ms
from common.errors import NotAllowed, Permanent

Check = Callable[[], None]
RowId = Annotated[int, Path(ge=1, le=2**31 - 1, description="As listed")]

_bearer = HTTPBearer(
    auto_error=False, scheme_name="token", description="An API token, made by an administrator"
)


def provide(
    app: FastAPI,
    store: Store,
    clock: Clock,
    dispatcher: Dispatcher | None,
    checks: Sequence[Check],
) -> None:
    """Give the routes of ``app`` what they ask for."""
    app.state.store, app.state.clock = store, clock
    app.state.dispatcher, app.state.checks = dispatcher, checks


# What needs no thread is async: FastAPI calls plain functions in one, each by itself.


async def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


async def _now_ms(request: Request) -> int:
    clock: Clock = request.app.state.clock
    return clock.now_ms()


async def _dispatcher(request: Request) -> Dispatcher | None:
    dispatcher: Dispatcher | None = request.app.state.dispatcher
    return dispatcher


async def _checks(request: Request) -> Sequence[Check]:
    checks: Sequence[Check] = request.app.state.checks
    return checks


TheStore = Annotated[Store, Depends(_store)]
NowMs = Annotated[int, Depends(_now_ms)]
Checks = Annotated[Sequence[Check], Depends(_checks)]
TheDispatcher = Annotated[Dispatcher | None, Depends(_dispatcher)]


def signed_in(
    request: Request,
    store: TheStore,
    now_ms: NowMs,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> AccountView:
    """The account whose bearer token came along; without one the answer is 401."""
    token = credentials.credentials if credentials else ""
    account = accounts.by_token(store, token, now_ms) if token else None
    if account is None:
        detail = "the token is not valid (any more)" if token else "a bearer token is needed"
        raise HTTPException(401, detail, headers={"WWW-Authenticate": "Bearer"})
    note_signed_in(request)
    return account


Account = Annotated[AccountView, Depends(signed_in)]


async def _operator(account: Account) -> AccountView:
    if account.role is Role.VIEWER:
        raise NotAllowed(f"{account.name} may look, but give no orders")
    return account


Operator = Annotated[AccountView, Depends(_operator)]


async def _admin(account: Account) -> AccountView:
    if account.role is not Role.ADMIN:
        raise NotAllowed(f"{account.name} may not configure gateways")
    return account


Admin = Annotated[AccountView, Depends(_admin)]


def span_ms(start: AwareDatetime, end: AwareDatetime) -> tuple[int, int]:
    """Both in epoch milliseconds; raises Permanent when there is nothing between them."""
    if start >= end:
        raise Permanent("end must be later than start")
    return to_ms(start), to_ms(end)


def _account_unless_local(
    request: Request,
    store: TheStore,
    now_ms: NowMs,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> AccountView | None:
    """None for a program on this machine that speaks to us directly, not through a proxy."""
    proxied = "forwarded" in request.headers or "x-forwarded-for" in request.headers
    if not proxied and request.client and _is_loopback(request.client.host):
        return None
    return signed_in(request, store, now_ms, credentials)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


LocalOrAccount = Annotated[AccountView | None, Depends(_account_unless_local)]
