"""Accounts and their API tokens."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from cloud.storage.tables import account, token


@dataclass(frozen=True, slots=True)
class AccountRow:
    """``password`` is its argon2 hash."""

    id: int
    name: str
    password: str
    role: str
    disabled: bool


_COLUMNS = (
    account.c.id,
    account.c.name,
    account.c.password,
    account.c.role,
    account.c.disabled,
)


class Accounts:
    """Who may come in."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[AccountRow]:
        """Every account, by name."""
        rows = self._connection.execute(select(*_COLUMNS).order_by(account.c.name))
        return [AccountRow(*row) for row in rows]

    def by_name(self, name: str) -> AccountRow | None:
        """The account of exactly this name (whatever the database's collation thinks alike)."""
        rows = self._connection.execute(select(*_COLUMNS).where(account.c.name == name))
        return next((AccountRow(*row) for row in rows if row.name == name), None)

    def is_taken(self, name: str) -> bool:
        """Whether the database holds ``name`` equal to that of an account."""
        found = self._connection.execute(select(account.c.id).where(account.c.name == name))
        return found.first() is not None

    def add(self, name: str, password: str, role: str, created_at: int) -> int:
        """A new account's id; ``password`` is a hash."""
        result = self._connection.execute(
            insert(account).values(
                name=name, password=password, role=role, disabled=False, created_at=created_at
            )
        )
        return int(result.lastrowid)

    def add_token(
        self,
        account_id: int,
        label: str,
        digest: str,
        *,
        created_at: int,
        expires_at: int | None,
        scopes: str | None,
    ) -> None:
        """Keep the SHA-256 of a new token."""
        self._connection.execute(
            insert(token).values(
                account_id=account_id,
                name=label,
                hash=digest,
                created_at=created_at,
                expires_at=expires_at,
                scopes=scopes,
            )
        )

    def by_token(self, digest: str, now: int) -> tuple[AccountRow, str | None] | None:
        """The account whose unexpired token has this SHA-256, and the token's scopes."""
        query = (
            select(*_COLUMNS, token.c.scopes)
            .join(token, token.c.account_id == account.c.id)
            .where(token.c.hash == digest)
            .where(token.c.expires_at.is_(None) | (token.c.expires_at > now))
        )
        row = self._connection.execute(query).first()
        return (AccountRow(*row[:-1]), row.scopes) if row else None
