"""What a token may be used for. A role has scopes; a token may have fewer, never more."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from cloud.services.views import AccountView, Role


class Scope(StrEnum):
    """What may be done."""

    READ = "read"
    COMMAND = "command"
    BILL = "bill"
    CONFIGURE = "configure"


OF_ROLE = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.OPERATOR: frozenset({Scope.READ, Scope.COMMAND, Scope.BILL}),
    Role.ADMIN: frozenset(Scope),
}


@dataclass(frozen=True, slots=True)
class Access:
    """The account whose token came along, and what may be done with it now."""

    account: AccountView
    scopes: frozenset[Scope]


def written(scopes: Iterable[Scope]) -> str:
    """As they are kept: in order, with spaces between them."""
    given = set(scopes)
    return " ".join(one for one in Scope if one in given)


def granted(role: Role, kept: str | None) -> frozenset[Scope]:
    """What a token of ``kept`` scopes may be used for by an account of ``role``.

    None is all that the role has. A word that is no scope here is worth nothing.
    """
    allowed = OF_ROLE[role]
    return allowed if kept is None else allowed.intersection(kept.split())
