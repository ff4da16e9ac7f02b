"""Accounts and tokens, on each kind of database."""

from datetime import timedelta

import pytest

from cloud.services import accounts
from cloud.services.scopes import OF_ROLE, Access, Scope, granted
from cloud.services.store import Store
from cloud.services.views import Role
from cloud.storage.engine import open_engine
from common.clock import ManualClock
from common.errors import NotFound, Permanent
from tests.harness.masterdata import MasterData
from tests.harness.metrics import growth

NOW = 1_790_000_000_000
PASSWORD = "correct horse"
READ = frozenset({Scope.READ})


def test_an_account_comes_in_with_its_password_only(store: Store) -> None:
    created = accounts.create(store, "ana", PASSWORD, Role.OPERATOR, NOW)
    assert accounts.authenticate(store, "ana", PASSWORD) == created
    assert accounts.authenticate(store, "ana", PASSWORD + " ") is None
    assert accounts.authenticate(store, "Ana", PASSWORD) is None
    assert accounts.authenticate(store, "ana ", PASSWORD) is None
    assert accounts.authenticate(store, "nobody", PASSWORD) is None
    assert accounts.authenticate(store, "ana", "x" * 5000) is None
    assert accounts.accounts(store) == [created]


def test_a_disabled_account_does_not_come_in(store: Store, data: MasterData) -> None:
    created = accounts.create(store, "dan", PASSWORD, Role.ADMIN, NOW)
    token = accounts.create_token(store, "dan", "script", NOW, None)
    data.disable_account(created.id)
    assert accounts.authenticate(store, "dan", PASSWORD) is None
    assert accounts.by_token(store, token, NOW) is None


def test_who_fails_too_often_waits_even_with_the_right_password(store: Store) -> None:
    clock = ManualClock(NOW)
    wrong, too_many = (growth("sign_ins_failed_total", why=why) for why in ("wrong", "too_many"))
    accounts.create(store, "eva", PASSWORD, Role.VIEWER, NOW)
    for _ in range(accounts.FREE_ATTEMPTS):
        assert accounts.wait_s("eva", clock=clock) == 0
        assert accounts.authenticate(store, "eva", "wrong", clock=clock) is None
    assert accounts.wait_s("eva", clock=clock) == accounts.PAUSE_S
    assert accounts.authenticate(store, "eva", PASSWORD, clock=clock) is None
    clock.advance(accounts.PAUSE_S)
    assert accounts.authenticate(store, "eva", "wrong", clock=clock) is None
    assert accounts.authenticate(store, "eva", PASSWORD, clock=clock) is None
    clock.advance(accounts.PAUSE_S)
    assert accounts.authenticate(store, "eva", PASSWORD, clock=clock) is not None
    assert accounts.authenticate(store, "eva", "wrong", clock=clock) is None
    assert accounts.authenticate(store, "eva", PASSWORD, clock=clock) is not None
    assert (wrong(), too_many()) == (accounts.FREE_ATTEMPTS + 2, 2)


@pytest.mark.parametrize("name", ["", " ana", "a\nb", "x" * 191])
def test_unfit_names_are_refused(sqlite_store: Store, name: str) -> None:
    with pytest.raises(Permanent):
        accounts.create(sqlite_store, name, PASSWORD, Role.VIEWER, NOW)


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_unfit_passwords_are_refused(sqlite_store: Store, password: str) -> None:
    with pytest.raises(Permanent):
        accounts.create(sqlite_store, "ana", password, Role.VIEWER, NOW)


def test_a_name_is_given_once(store: Store) -> None:
    accounts.create(store, "ion", PASSWORD, Role.VIEWER, NOW)
    with pytest.raises(Permanent, match="already"):
        accounts.create(store, "ion", PASSWORD, Role.ADMIN, NOW)


def test_a_token_works_until_it_expires(store: Store) -> None:
    created = Access(accounts.create(store, "mia", PASSWORD, Role.VIEWER, NOW), READ)
    token = accounts.create_token(store, "mia", "script", NOW, timedelta(seconds=10))
    for_ever = accounts.create_token(store, "mia", "meter", NOW, None)
    assert accounts.by_token(store, token, NOW + 9_999) == created
    assert accounts.by_token(store, token, NOW + 10_000) is None
    assert accounts.by_token(store, for_ever, NOW + 10**12) == created
    assert accounts.by_token(store, token.upper(), NOW) is None
    assert accounts.by_token(store, "", NOW) is None
    with pytest.raises(NotFound):
        accounts.create_token(store, "nobody", "script", NOW, None)


def test_a_token_has_the_scopes_that_it_was_made_for_and_no_others(store: Store) -> None:
    accounts.create(store, "ion", PASSWORD, Role.ADMIN, NOW)
    for scopes in ([Scope.READ], [Scope.CONFIGURE, Scope.COMMAND], list(Scope)):
        token = accounts.create_token(store, "ion", "script", NOW, None, scopes=scopes)
        access = accounts.by_token(store, token, NOW)
        assert access
        assert access.scopes == set(scopes)


def test_no_token_is_made_for_more_than_the_role_has(store: Store) -> None:
    accounts.create(store, "mia", PASSWORD, Role.OPERATOR, NOW)
    with pytest.raises(Permanent, match="operator and has no scope configure"):
        accounts.create_token(
            store, "mia", "script", NOW, None, scopes=[Scope.READ, Scope.CONFIGURE]
        )


@pytest.mark.parametrize("scopes", [(), tuple(Scope)])
def test_a_token_never_has_more_than_the_role_has_when_it_is_used(
    store: Store, data: MasterData, scopes: tuple[Scope, ...]
) -> None:
    created = accounts.create(store, "ion", PASSWORD, Role.ADMIN, NOW)
    token = accounts.create_token(store, "ion", "script", NOW, None, scopes=scopes)
    for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN):
        data.give_role(created.id, role.value)
        access = accounts.by_token(store, token, NOW)
        assert access
        assert access.scopes == OF_ROLE[role]


def test_a_scope_that_is_not_known_here_is_worth_nothing() -> None:
    assert granted(Role.ADMIN, "read everything") == READ
    assert granted(Role.ADMIN, "") == set()


def test_neither_passwords_nor_tokens_are_stored(store: Store, url: str) -> None:
    accounts.create(store, "ana", PASSWORD, Role.VIEWER, NOW)
    token = accounts.create_token(store, "ana", "script", NOW, None)
    engine = open_engine(url)
    with engine.connect() as connection:
        rows = [
            *connection.exec_driver_sql("SELECT * FROM account"),
            *connection.exec_driver_sql("SELECT * FROM token"),
        ]
    engine.dispose()
    kept = repr(rows)
    assert "$argon2id$" in kept
    assert PASSWORD not in kept
    assert token not in kept
