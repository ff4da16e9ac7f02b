"""What tables are made of, the same on MariaDB/MySQL and on SQLite."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeDecorator, TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigInt = BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
Millis = BigInt
Id = Integer
Blob = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


class Key(TypeDecorator[str]):
    """A key or hex identity: ASCII, compared byte by byte."""

    impl = String
    cache_ok = True

    def __init__(self, length: int = 48) -> None:
        super().__init__(length)
        self.key_length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(
                mysql.VARCHAR(self.key_length, charset="ascii", collation="ascii_bin")
            )
        return dialect.type_descriptor(String(self.key_length))


OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",  # text is compared as on SQLite
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def new_table(name: str, *items: SchemaItem) -> Table:
    """A table of ``metadata``."""
    return Table(name, metadata, *items, **OPTIONS)
