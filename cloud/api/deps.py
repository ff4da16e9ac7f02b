"""What routes ask for: the store, the clock, and the account whose token came along."""

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Path, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from pydantic import AwareDatetime

from cloud.api.rate import note_signed_in
from cloud.services import accounts
from cloud.services.commands import Dispatcher
from cloud.services.metrics import Source
from cloud.services.scopes import OF_ROLE, Access, Scope
from cloud.services.store import Store
from cloud.services.views import AccountView
from common.clock import Clock, to_ms
from common.errors import Permanent

Check = Callable[[], None]
RowId = Annotated[int, Path(ge=1, le=2**31 - 1, description="As listed")]

_bearer = HTTPBearer(
    auto_error=False, scheme_name="token", description="An API token, made by an administrator"
)


def provide(
    app: FastAPI,
    *,
    store: Store,
    clock: Clock,
    dispatcher: Dispatcher | None,
    checks: Sequence[Check],
    figures: Source,
) -> None:
    """Give the routes of ``app`` what they ask for."""
    app.state.store, app.state.clock = store, clock
    app.state.dispatcher, app.state.checks = dispatcher, checks
    app.state.figures = figures


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


async def _figures(request: Request) -> Source:
    figures: Source = request.app.state.figures
    return figures


TheStore = Annotated[Store, Depends(_store)]
NowMs = Annotated[int, Depends(_now_ms)]
Checks = Annotated[Sequence[Check], Depends(_checks)]
Figures = Annotated[Source, Depends(_figures)]
TheDispatcher = Annotated[Dispatcher | None, Depends(_dispatcher)]


def signed_in(
    request: Request,
    store: TheStore,
    now_ms: NowMs,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Access:
    """What may be done with the bearer token that came along; without one the answer is 401."""
    token = credentials.credentials if credentials else ""
    access = accounts.by_token(store, token, now_ms) if token else None
    if access is None:
        detail = "the token is not valid (any more)" if token else "a bearer token is needed"
        raise HTTPException(401, detail, headers={"WWW-Authenticate": "Bearer"})
    note_signed_in(request)
    return access


async def permitted(
    needed: SecurityScopes, access: Annotated[Access, Depends(signed_in)]
) -> AccountView:
    """The account whose token came along, if that has the scopes that the route needs."""
    account = access.account
    for scope in needed.scopes:
        if scope in access.scopes:
            continue
        has = OF_ROLE[account.role]
        lacking = "this token" if scope in has else f"{account.name}, who is {account.role},"
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
        raise HTTPException(
            403, f"{lacking} has no scope {scope}", headers={"WWW-Authenticate": challenge}
        )
    return account


# What a route needs. Each has one of these: the first as a dependency, the others as a parameter.

READ = Security(permitted, scopes=[Scope.READ])
Commander = Annotated[AccountView, Security(permitted, scopes=[Scope.COMMAND])]
Biller = Annotated[AccountView, Security(permitted, scopes=[Scope.BILL])]
Configurer = Annotated[AccountView, Security(permitted, scopes=[Scope.CONFIGURE])]


def span_ms(start: AwareDatetime, end: AwareDatetime) -> tuple[int, int]:
    """Both in epoch milliseconds; raises Permanent when there is nothing between them."""
    if start >= end:
        raise Permanent("end must be later than start")
    return to_ms(start), to_ms(end)


async def _account_unless_local(
    needed: SecurityScopes,
    request: Request,
    store: TheStore,
    now_ms: NowMs,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> AccountView | None:
    """None for a program on this machine that speaks to us directly, not through a proxy."""
    proxied = "forwarded" in request.headers or "x-forwarded-for" in request.headers
    if not proxied and request.client and _is_loopback(request.client.host):
        return None
    access = await run_in_threadpool(signed_in, request, store, now_ms, credentials)
    return await permitted(needed, access)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


LocalOrReader = Annotated[AccountView | None, Security(_account_unless_local, scopes=[Scope.READ])]
