"""Who may come in: people by password, programs by token."""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Collection
from datetime import timedelta
from functools import cache
from threading import BoundedSemaphore, Lock

from pwdlib import PasswordHash

from cloud.services.metrics import sign_ins_failed
from cloud.services.scopes import OF_ROLE, Access, Scope, granted, written
from cloud.services.views import AccountView, Role
from cloud.storage.accounts import AccountRow
from cloud.storage.unit_of_work import Store
from common.clock import Clock, SystemClock
from common.errors import NotFound, Permanent
from common.logs import events

MAX_NAME = 190
MIN_PASSWORD = 8
MAX_PASSWORD = 1024
FREE_ATTEMPTS = 5
"""Wrong passwords in a row before a name has to wait."""

PAUSE_S = 30.0
"""How long it waits then; each further attempt costs the same pause again."""

_NAMES_REMEMBERED = 10_000
_SYSTEM = SystemClock()
_passwords = PasswordHash.recommended()
_hashing = BoundedSemaphore(2)  # argon2 takes 64 MiB each time


class _Throttle:
    """Counts attempts by name; only what must wait, or may have to, is remembered."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._attempts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, name: str, now: float) -> float:
        attempts, since = self._attempts.get(name, (0, now))
        return max(0.0, since + PAUSE_S - now) if attempts >= FREE_ATTEMPTS else 0.0

    def admit(self, name: str, now: float) -> bool:
        """Whether ``name`` may try now; an attempt that may be made is counted at once."""
        with self._lock:
            if self.wait_s(name, now) > 0:
                return False
            attempts = self._attempts.pop(name, (0, now))[0] + 1
            self._attempts[name] = (attempts, now)
            while len(self._attempts) > _NAMES_REMEMBERED:
                self._attempts.popitem(last=False)
            return True

    def forget(self, name: str) -> None:
        with self._lock:
            self._attempts.pop(name, None)


_throttle = _Throttle()


def authenticate(
    store: Store, name: str, password: str, *, clock: Clock = _SYSTEM
) -> AccountView | None:
    """The account, when name and password are right, it is not disabled and need not wait.

    After FREE_ATTEMPTS failures in a row a name waits PAUSE_S before each further attempt; even
    the right password is refused meanwhile (see ``wait_s``). An unknown name takes as long as a
    wrong password.
    """
    if len(name) > MAX_NAME or len(password) > MAX_PASSWORD:
        return None
    if not _throttle.admit(name, clock.monotonic()):
        events.warning("sign-in as %r refused: too many failures", name)
        sign_ins_failed.labels("too_many").inc()
        return None
    with store.read() as uow:
        row = uow.accounts.by_name(name)
    with _hashing:
        right = _passwords.verify(password, row.password if row else _nobodys_hash())
    if row is None or row.disabled or not right:
        events.warning("sign-in as %r failed", name)
        sign_ins_failed.labels("wrong").inc()
        return None
    _throttle.forget(name)
    return _view(row)


def wait_s(name: str, *, clock: Clock = _SYSTEM) -> float:
    """Seconds for which every sign-in as ``name`` is refused; 0 when it may try now."""
    return _throttle.wait_s(name, clock.monotonic())


def create(store: Store, name: str, password: str, role: Role, now_ms: int) -> AccountView:
    """A new account. Raises Permanent for an unfit name or password, or a name that is taken."""
    if not 0 < len(name) <= MAX_NAME or not name.isprintable() or name != name.strip():
        raise Permanent(f"an account's name is 1 to {MAX_NAME} printable characters")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Permanent(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    hashed = hash_of(password)
    with store.begin() as uow:
        if uow.accounts.is_taken(name):
            raise Permanent(f"there is an account {name!r} already")
        account_id = uow.accounts.add(name, hashed, role.value, now_ms)
    events.info("account %r created as %s", name, role.value)
    return AccountView(account_id, name, role, disabled=False)


def hash_of(password: str) -> str:
    """What is kept of a password (Argon2id). Takes long, as it is meant to."""
    with _hashing:
        return _passwords.hash(password)


def accounts(store: Store) -> list[AccountView]:
    """Every account, by name."""
    with store.read() as uow:
        return [_view(row) for row in uow.accounts.all()]


def create_token(
    store: Store,
    name: str,
    label: str,
    now_ms: int,
    ttl: timedelta | None,
    *,
    scopes: Collection[Scope] = (),
) -> str:
    """A new API token of the account ``name``; shown once, kept as its SHA-256.

    It never expires when ``ttl`` is None. It is for ``scopes``, or for all that the account's role
    has, now or later. Raises NotFound; Permanent for an unfit label, or scopes that the role does
    not have.
    """
    if not 0 < len(label) <= 200:
        raise Permanent("a token's label is 1 to 200 characters")
    secret = "im_" + secrets.token_urlsafe(32)
    expires_at = None if ttl is None else now_ms + ttl // timedelta(milliseconds=1)
    with store.begin() as uow:
        row = uow.accounts.by_name(name)
        if row is None:
            raise NotFound(f"there is no account {name!r}")
        if beyond := set(scopes) - OF_ROLE[Role(row.role)]:
            raise Permanent(f"{name!r} is {row.role} and has no scope {written(beyond)}")
        uow.accounts.add_token(
            row.id,
            label,
            _digest(secret),
            created_at=now_ms,
            expires_at=expires_at,
            scopes=written(scopes) if scopes else None,
        )
    events.info("token %r created for %r", label, name)
    return secret


def by_token(store: Store, token: str, now_ms: int) -> Access | None:
    """What may be done with this token, if it has not expired nor its account is disabled.

    It is looked up by its hash: what can be guessed from the time that takes is of no use.
    """
    with store.read() as uow:
        found = uow.accounts.by_token(_digest(token), now_ms)
    if found is None or found[0].disabled:
        return None
    account = _view(found[0])
    return Access(account, granted(account.role, found[1]))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


@cache
def _nobodys_hash() -> str:
    """What an unknown name's password is compared with."""
    return _passwords.hash(secrets.token_urlsafe(16))


def _view(row: AccountRow) -> AccountView:
    return AccountView(row.id, row.name, Role(row.role), row.disabled)
